"""The lessons and tutorials as on Colab: each by itself, from a clean runtime, with nothing but its first code cell to prepare it.

    python scripts/colab_check.py --write     put the badge and that cell at the top of each notebook (--check: are they there?)
    python scripts/colab_check.py 04 verify   run notebooks whose names start so; all without names

A run makes a new environment with the kernel and nothing else, outside the checkout, with an empty home. The install line of the
first code cell is pointed at a source archive of this checkout; nothing else is changed. With --shared the environment is kept for the
next notebook less the package and fastcore, much as Colab has TensorFlow already; that saves most of the time. Needs `pip install -e '.[dev]'`.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
REPO = "github.com/siamese-sig/siamese_sig"
WHERE = f"git+https://{REPO}"  # once the package is on PyPI: leave out " @ " and this
# As HTML, and the picture from the site itself: a page asks nothing of other hosts before it is clicked.
BADGE = '<a href="https://colab.research.google.com/{}/blob/main/{}"><img src="{}images/colab-badge.svg" alt="Open in Colab" height="20"></a>'
INSTALL = f"""#| hide
#| eval: false
# Colab: install the package with what this notebook's tests need. Elsewhere it is installed already.
from importlib.util import find_spec
package = 'siamese_sig[EXTRAS] @ {WHERE}'
if not find_spec('siamese_sig'): get_ipython().run_line_magic('pip', f'install -q "{{package}}"')"""


def notebooks(names=()):
    "Lessons, which begin with a number, and tutorials"
    nbs = ROOT/"nbs"
    return [p for p in [*sorted(nbs.glob("[0-9]*.ipynb")), *sorted((nbs/"tutorials").glob("[!.]*.ipynb"))] if not names or p.name.startswith(tuple(names))]


def install(path):
    "The source of a notebook's install cell; the web page needs Gradio as well, the archive Ray"
    return INSTALL.replace("EXTRAS", {"08_app": "nb,app", "09_archive": "nb,cluster"}.get(path.stem, "nb"))


def first_cells(path):
    "The badge and the install cell of a notebook"
    up = "../"*(len(path.relative_to(ROOT).parts) - 2)
    badge = BADGE.format(REPO.replace(".com", ""), path.relative_to(ROOT).as_posix(), up)
    cells = dict(markdown=dict(id="colab-badge", source=badge), code=dict(id="colab-install", source=install(path), execution_count=None, outputs=[]))
    return [dict(cell, cell_type=kind, metadata={}, source=cell["source"].splitlines(keepends=True)) for kind, cell in cells.items()]


def faults():
    "Notebooks without their badge and install cell right after the title"
    return [f"{p.relative_to(ROOT)}: its first cells are not those of scripts/colab_check.py --write" for p in notebooks()
            if [c["source"] for c in json.loads(p.read_text(encoding="utf-8"))["cells"][1:3]] != [c["source"] for c in first_cells(p)]]


def write(path):
    "Put badge and install cell after the title cell"
    nb, first = json.loads(path.read_text(encoding="utf-8")), first_cells(path)
    marks = 'alt="Open in Colab"', "if not find_spec('siamese_sig')"
    rest = [c for c in nb["cells"] if not any(mark in "".join(c["source"]) for mark in marks)]
    nb["cells"] = [rest[0], *first, *rest[1:]]
    path.write_text(json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def archive(folder):
    "A source archive of the checkout, as pip would get it from git"
    subprocess.run([sys.executable, "-m", "build", "-q", "--sdist", "--outdir", folder, ROOT], check=True, stdout=subprocess.DEVNULL)
    return next(Path(folder).glob("*.tar.gz"))


def runtime(folder):
    "A new environment with a kernel in it, and the variables to run it with, in env.json"
    ours = ("PYTHON", "SIAMESE_SIG", "KAGGLE", "VIRTUAL_ENV")
    env = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    folder.mkdir()
    subprocess.run([sys.executable, "-m", "venv", folder/"venv"], check=True, env=env)
    python = folder/"venv/bin/python"
    subprocess.run([python, "-m", "pip", "install", "-q", "ipykernel"], check=True, env=env, cwd=folder)
    spec = folder/"jupyter/kernels/colab"
    spec.mkdir(parents=True)
    (spec/"kernel.json").write_text(json.dumps(dict(argv=[str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"], display_name="colab", language="python")))
    pip = subprocess.run([python, "-m", "pip", "cache", "dir"], capture_output=True, text=True, env=env).stdout.strip()  # packages need not be fetched ten times
    env |= dict(HOME=str(folder/"home"), PATH=f"{python.parent}:{env['PATH']}", JUPYTER_PATH=str(folder/"jupyter"), PIP_CACHE_DIR=pip, TF_CPP_MIN_LOG_LEVEL="3")
    (folder/"env.json").write_text(json.dumps(env))
    return folder


def run(path, source, folder):
    "Run one notebook in the runtime in `folder`, outside the checkout and with an empty home; raise at its first error"
    import nbformat
    from nbclient import NotebookClient
    nb = nbformat.read(path, as_version=4)
    if nb.cells[2].source != install(path):
        raise SystemExit("\n".join(faults()))
    nb.cells[2].source = install(path).replace(WHERE, source.as_uri())
    env = json.loads((folder/"env.json").read_text())
    for name in ("home", "content"):
        shutil.rmtree(folder/name, ignore_errors=True)
        (folder/name).mkdir()
    subprocess.run([folder/"venv/bin/python", "-m", "pip", "uninstall", "-q", "-y", "siamese_sig", "fastcore"], check=True, env=env, cwd=folder, stderr=subprocess.DEVNULL)
    os.environ["JUPYTER_PATH"] = env["JUPYTER_PATH"]
    client = NotebookClient(nb, timeout=1800, kernel_name="colab", resources=dict(metadata=dict(path=str(folder/"content"))))
    start, seconds = time.time(), []
    client.on_cell_executed = lambda **_: seconds.append(time.time() - start)
    client.execute(env=env, cwd=str(folder/"content"))
    return seconds[0], time.time() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="starts of notebook names; all without")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--shared", action="store_true", help="one environment for all: what the package needs stays, the package itself goes each time")
    args = parser.parse_args()
    if args.write or args.check:
        for path in notebooks() if args.write else []:
            write(path)
        return sys.exit("\n".join(faults()) or 0)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        source, place = archive(folder), None
        for i, path in enumerate(notebooks(args.names)):
            try:
                if not (place and args.shared):
                    shutil.rmtree(Path(folder)/f"runtime{i-1}", ignore_errors=True)
                    place = runtime(Path(folder)/f"runtime{i}")
                install, whole = run(path, source, place)
                print(f"ok      {path.name}: {install:.0f} s to install, {whole - install:.0f} s to run", flush=True)
            except Exception as e:  # the notebook's error; go on with the others
                failed += 1
                print(f"FAILED  {path.name}: {getattr(e, 'ename', type(e).__name__)}: {getattr(e, 'evalue', e)}\n{getattr(e, 'traceback', '')[-1500:]}", flush=True)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
