"""Numbers in the prose: each names the result that it comes from, and this script writes it there.

A markdown cell says `19.4<!--=last/sign_data/1/skilled/eer-->`: in front of the comment stands the value that
benchmarks/results/last.json holds under sets, sign_data, 1, skilled, eer. The comment is seen by nobody who reads the page.

    rates (fractions) and pairs of them      in percent, one decimal: 19.4, [13.6, 24.4]; with |0 behind the path: no decimal
    counts                                   with commas: 5,748
    words                                    as they are
    rows                                     by their values: backbones/rows/split=published;input=scan/eer; the first that fits

Examples: python scripts/numbers_in_prose.py           write them
          python scripts/numbers_in_prose.py --check   fail if one differs
"""
import argparse
import functools
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = ROOT/"benchmarks/results"
# A value, an interval in brackets or one word, and the comment behind it
MARKED = re.compile(r"(\[[^\]\[]*\]|[^\s|*()\[\]]+)<!--=([^>]+)-->")


@functools.cache
def results(name):
    return json.loads((RESULTS/f"{name}.json").read_text(encoding="utf-8"))


def fits(row, wanted):
    return all(str(row[key]) == value for key, value in (pair.split("=") for pair in wanted.split(";")))


def look_up(path):
    "The value that a path names"
    name, *steps = path.split("/")
    value = results(name)
    if isinstance(value.get("sets"), dict) and steps[0] in value["sets"]:
        value = value["sets"]
    for step in steps:
        value = next(row for row in value if fits(row, step)) if "=" in step else value[int(step) if isinstance(value, list) else step]
    return value


def in_words(value, digits=1):
    "A value as the prose writes it"
    if isinstance(value, list):
        return f"[{', '.join(in_words(one, digits) for one in value)}]"
    if isinstance(value, float):
        return f"{100*value:.{digits}f}"
    return f"{value:,}" if isinstance(value, int) else value


def written(marker):
    "What should stand in front of a marker"
    path, _, digits = marker.partition("|")
    return in_words(look_up(path), int(digits or 1))


def renew(text, where, faults):
    "The text with the numbers of today; what differed goes to `faults`"
    def one(match):
        try:
            right = written(match[2])
        except (KeyError, StopIteration, IndexError, ValueError, FileNotFoundError) as e:
            faults.append(f"{where}: {match[2]} is not in {RESULTS.relative_to(ROOT)} ({e!r})")
            return match[0]
        if match[1] != right:
            faults.append(f"{where}: {match[1]} should be {right} ({match[2]}): run python scripts/numbers_in_prose.py")
        return f"{right}<!--={match[2]}-->"
    return MARKED.sub(one, text)


def renewed():
    "(notebook, its content with the numbers of today, faults) of every notebook"
    for path in sorted(ROOT.joinpath("nbs").rglob("[!.]*.ipynb")):
        nb, faults = json.loads(path.read_text(encoding="utf-8")), []
        for cell in nb["cells"]:
            if cell["cell_type"] == "markdown":
                where = f"{path.relative_to(ROOT)}, cell {cell['id']}"
                cell["source"] = renew("".join(cell["source"]), where, faults).splitlines(keepends=True)
        yield path, nb, faults


def picture_faults():
    "Does the picture of the start page say what its ten lines print?"
    from PIL import Image
    cells = json.loads((ROOT/"nbs/index.ipynb").read_text(encoding="utf-8"))["cells"]
    printed = ["".join(o["text"]).strip() for c in cells for o in c.get("outputs", []) if o["output_type"] == "stream"]
    drawn = Image.open(ROOT/"nbs/images/verdict.png").info.get("Description")
    return [] if drawn in printed else [f"nbs/images/verdict.png says {drawn!r}, the start page {printed}: run python scripts/site_images.py"]


def faults():
    "Numbers that differ from their source, and result files that do not say how they were made"
    heads = [f"{p.relative_to(ROOT)} does not say its {key}" for p in sorted(RESULTS.glob("*.json"))
             for key in ("command", "data", "commit", "date") if not json.loads(p.read_text(encoding="utf-8")).get(key)]
    return heads + picture_faults() + [fault for _, _, found in renewed() for fault in found]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        sys.exit("\n".join(faults()) or 0)
    for path, nb, found in renewed():
        if found:
            text = json.dumps(nb, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
            path.write_text(text, encoding="utf-8")
            print("\n".join(found))


if __name__ == "__main__":
    main()
