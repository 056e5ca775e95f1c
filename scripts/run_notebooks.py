"""Run notebooks in place and keep their outputs, which the docs show. `nbdev_test` runs them too but saves nothing.

Examples: python scripts/run_notebooks.py                       all of nbs/
          python scripts/run_notebooks.py nbs/03_train.ipynb    one notebook
          python scripts/run_notebooks.py 04 05                 those whose names start with 04 or 05, in all folders
          python scripts/run_notebooks.py 04 --flags slow
          python scripts/run_notebooks.py --check nbs/index.ipynb   do the stored outputs say what comes out now?
"""
import argparse
import base64
import io
import os
import re
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
for name in [n for n in os.environ if n.startswith("KAGGLE_") or n == "SIAMESE_SIG_DATA"]:
    del os.environ[name]  # what is kept shows the embedded signatures, never real ones

from execnb.nbio import read_nb, write_nb  # noqa: E402
from execnb.shell import CaptureShell  # noqa: E402
from PIL import Image  # noqa: E402
from nbdev.clean import clean_nb  # noqa: E402
from nbdev.config import get_config  # noqa: E402


def directives(cell):
    "What a cell's `#|` lines ask for: their first words, and `eval: false`"
    heads = [line[2:].split() for line in cell.source.splitlines() if line.startswith("#|")]
    return {" ".join(head[:2]) if head[0] == "eval:" else head[0] for head in heads if head}


def without_folders(output):
    "The same output, its temporary folders, which have other names on every run and machine, as …, and the home folder as ~"
    if isinstance(output, dict):
        return type(output)((k, v if k.startswith("image/") else without_folders(v)) for k, v in output.items())
    if isinstance(output, list):
        return [without_folders(v) for v in output]
    if not isinstance(output, str):
        return output
    return re.sub(re.escape(tempfile.gettempdir()) + r"/tmp\w{8}", "…", output).replace(f"{Path.home()}/", "~/")


def small_png(data):
    "A figure as PNG of 256 colours, which takes a third of the room"
    image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    out = io.BytesIO()
    flat.quantize(256, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return base64.b64encode(out.getvalue()).decode()


def kept(outputs):
    "The outputs to store: without stderr, which holds progress bars and log lines with times; figures made small"
    found = [without_folders(o) for o in outputs if o.get("name") != "stderr"]
    for one in found:
        if "image/png" in one.get("data", {}):
            one["data"]["image/png"] = small_png("".join(one["data"]["image/png"]))
    return found


def executed(path, skipped):
    "One notebook after a run; cells with a flag in `skipped` keep the output they have"
    nb = read_nb(path)

    def skip(cell):
        words = directives(cell)
        return cell.cell_type != "code" or bool(words & skipped) or "eval: false" in words

    # retina: twice the pixels of a screen
    CaptureShell(path.parent, mpl_format="retina").run_all(nb, exc_stop=True, preproc=skip)
    for cell in nb.cells:
        if cell.cell_type == "code" and not skip(cell):
            cell.outputs = kept(cell.get("outputs", []))
    clean_nb(nb)
    return nb


def said(cell):
    "What the outputs of a cell say in words, figures left out"
    texts = [o.get("text") or o.get("data", {}).get("text/plain") or "" for o in cell.get("outputs", []) if "image/png" not in o.get("data", {})]
    return "".join("".join(text) for text in texts).strip()


def stale(path, nb):
    "Cells whose stored output says something else than their output now, a line each"
    return [f"{path}, cell {new.id}: stores {said(old)[:200]!r}, says {said(new)[:200]!r} now: python scripts/run_notebooks.py {path}"
            for old, new in zip(read_nb(path).cells, nb.cells) if said(old) != said(new)]


def wanted(path, names):
    "Is a notebook named, by its path or by the start of its name? Without names all are"
    starts = tuple(name for name in names if not name.endswith(".ipynb"))
    return not names or path.name.startswith(starts) or any(path.samefile(n) for n in names if n.endswith(".ipynb"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="notebooks, or starts of their names; all without")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a stored output says something else")
    parser.add_argument("--flags", default="", help="test flags to run that are normally left out, such as slow")
    args = parser.parse_args()
    cfg = get_config()
    skipped = set(cfg.tst_flags.split()) - set(args.flags.split())
    paths = [p for p in sorted(cfg.nbs_path.rglob("*.ipynb"))
             if ".ipynb_checkpoints" not in p.parts and wanted(p, args.names)]
    if not paths:
        sys.exit(f"no notebook starts with {' or '.join(args.names)}")
    faults = []
    for path in paths:
        start = time.time()
        nb = executed(path, skipped)
        if args.check:
            faults += stale(path.relative_to(cfg.config_path), nb)
        else:
            write_nb(nb, path)
        print(f"{path.relative_to(cfg.config_path)}: {time.time() - start:.0f} s", flush=True)
    if faults:
        sys.exit("\n".join(faults))


if __name__ == "__main__":
    main()
