"""How readable the notebooks are, counted, and what may not happen: lines over 120 columns, names that two cells export.

Examples: python scripts/house.py                      the table of all notebooks, and what is wrong; status 1 if something is
          python scripts/house.py nbs/core/ink.ipynb   one notebook, with the places that are over a limit
          python scripts/house.py --compare REV        the same table for another revision beside it
"""
import argparse
import ast
import json
import re
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
COLUMNS_WANTED, COLUMNS_ALLOWED = 100, 120
LINES_WANTED, LINES_ALLOWED = 25, 45
EXPORT = re.compile(r"^#\|\s*exports?i?\b", re.MULTILINE)


class Counts(NamedTuple):
    "What is counted of one notebook"
    cells: int
    exports: int
    median: float  # lines of an export cell
    largest: int
    over_25: int
    over_100: int  # lines of code that are wider
    over_120: int
    shown: float  # share of export cells that a picture, a value or a test follows at once


def code_lines(cell):
    "The lines of a code cell, without blank ones"
    return [line for line in "".join(cell["source"]).splitlines() if line.strip()]


def is_export(cell):
    "Does this cell go into the package?"
    return cell["cell_type"] == "code" and bool(EXPORT.search("".join(cell["source"])))


def parsed(cell):
    "The syntax tree of a code cell, without notebook magics"
    lines = "".join(cell["source"]).splitlines()
    return ast.parse("\n".join("" if line.startswith(("%", "!")) else line for line in lines))


def is_logic(cell):
    "Does an export cell define something that can be shown? Imports cannot"
    return any(not isinstance(node, (ast.Import, ast.ImportFrom)) for node in parsed(cell).body)


def is_data(cell):
    "Is an export cell a table of data, one assignment of a literal?"
    body = [node for node in parsed(cell).body if not isinstance(node, ast.Expr)]
    return len(body) == 1 and isinstance(body[0], ast.Assign) and not any(isinstance(n, ast.Lambda) for n in ast.walk(body[0]))


def followed(cells, place):
    "Is the export cell at `place` followed by a cell that shows or tests it? Prose may stand between"
    after = next((cell for cell in cells[place + 1:] if cell["cell_type"] == "code"), None)
    return after is not None and not is_export(after)


def count(cells):
    "The counts of a notebook's cells"
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    logic = [place for place, cell in enumerate(cells) if is_export(cell) and is_logic(cell)]
    sizes = [len(code_lines(cells[place])) for place in logic]
    widths = [len(line) for cell in code for line in code_lines(cell)]
    sized = [size for place, size in zip(logic, sizes) if not is_data(cells[place])]
    return Counts(len(cells), len(logic), statistics.median(sizes or [0]), max(sized, default=0),
                  sum(size > LINES_WANTED for size in sized), sum(w > COLUMNS_WANTED for w in widths),
                  sum(w > COLUMNS_ALLOWED for w in widths),
                  sum(followed(cells, place) for place in logic) / max(len(logic), 1))


def defined(tree):
    "The names that a cell defines at its top level"
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))


def twice_defined(cells):
    "Names that two export cells of a notebook define: the second would silently replace the first"
    names = Counter(name for cell in cells if is_export(cell) for name in set(defined(parsed(cell))))
    return sorted(name for name, n in names.items() if n > 1)


def faults(name, cells):
    "What is wrong with a notebook, one line each"
    for name_twice in twice_defined(cells):
        yield f"{name}: {name_twice} is defined in two export cells"
    for place, cell in enumerate(cells):
        lines = code_lines(cell) if cell["cell_type"] == "code" else []
        for line in lines:
            if len(line) > COLUMNS_ALLOWED:
                yield f"{name}, cell {place}: a line of {len(line)} columns, at most {COLUMNS_ALLOWED}: {line.strip()[:60]} …"
        if is_export(cell) and not is_data(cell) and len(lines) > LINES_ALLOWED:
            yield f"{name}, cell {place}: an export cell of {len(lines)} lines, at most {LINES_ALLOWED}"


def wishes(name, cells):
    "What could be better in a notebook, one line each"
    for place, cell in enumerate(cells):
        if cell["cell_type"] != "code":
            continue
        lines = code_lines(cell)
        wide = sum(len(line) > COLUMNS_WANTED for line in lines)
        if wide:
            yield f"{name}, cell {place}: {wide} lines over {COLUMNS_WANTED} columns"
        if is_export(cell) and is_logic(cell) and not is_data(cell):
            first = next(iter(defined(parsed(cell))), "")
            if len(lines) > LINES_WANTED:
                yield f"{name}, cell {place} ({first}): {len(lines)} lines, {LINES_WANTED} wanted"
            if not followed(cells, place):
                yield f"{name}, cell {place} ({first}): no picture, value or test follows"


def notebooks(rev=None):
    "(name, cells) of every notebook with export cells, in the working tree or in a revision"
    if rev is None:
        files = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
        texts = {p.relative_to(ROOT/"nbs").as_posix(): p.read_text(encoding="utf-8") for p in files}
    else:
        def git(*words):
            return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
        names = [n for n in git("ls-tree", "-r", "--name-only", rev, "nbs").splitlines() if n.endswith(".ipynb")]
        texts = {n.removeprefix("nbs/"): git("show", f"{rev}:{n}") for n in names}
    for name, text in texts.items():
        cells = json.loads(text)["cells"]
        if any(map(is_export, cells)):
            yield name.removesuffix(".ipynb"), cells


def table(found):
    "The counts of all notebooks as Markdown, the sum last"
    rows = [(name, count(cells)) for name, cells in found]
    total = Counts(sum(c.cells for _, c in rows), sum(c.exports for _, c in rows), statistics.median(c.median for _, c in rows),
                   max(c.largest for _, c in rows), sum(c.over_25 for _, c in rows), sum(c.over_100 for _, c in rows),
                   sum(c.over_120 for _, c in rows),
                   sum(c.shown * c.exports for _, c in rows) / max(1, sum(c.exports for _, c in rows)))
    print("| notebook | cells | export cells | lines: median | largest | over 25 | over 100 columns | over 120 | shown or tested at once |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, c in [*rows, ("**all**", total)]:
        print(f"| {name} | {c.cells} | {c.exports} | {c.median:g} | {c.largest} | {c.over_25} | {c.over_100} | {c.over_120} | {c.shown:.0%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help="notebooks to look at closely; all without")
    parser.add_argument("--compare", metavar="REV", help="a git revision whose table is printed first")
    args = parser.parse_args()
    if args.compare:
        print(f"{args.compare}:\n")
        table(list(notebooks(args.compare)))
        print("\nnow:\n")
    found = list(notebooks()) if not args.files else [(str(f), json.loads(f.read_text(encoding="utf-8"))["cells"]) for f in args.files]
    table(found)
    if args.files:
        print(*(wish for name, cells in found for wish in wishes(name, cells)), sep="\n")
    wrong = [fault for name, cells in found for fault in faults(name, cells)]
    print(*wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
