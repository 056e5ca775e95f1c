"Write README.md from nbs/index.ipynb and nbs/about/changelog.ipynb from CHANGELOG.md; with --check, fail if one differs. (Needs no Quarto.)"
import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def readme(nb):
    "The markdown cells and the code cells, with what they print, as one page; hidden cells are left out"
    parts = []
    for cell in nb["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            source = re.sub(r"<!--=.*?-->", "", source)  # where a number comes from: see scripts/numbers_in_prose.py
            parts.append(re.sub(r"\]\(([\w/-]+\.(?:ipynb|png))", r"](nbs/\1", source))  # README stands above nbs/
        elif source and not source.startswith("#| hide"):
            if not source.startswith("#| echo: false"):
                parts.append(f"```python\n{source}\n```")
            said = "".join("".join(o["text"]) for o in cell["outputs"] if o["output_type"] == "stream")
            parts += [f"```\n{said.strip()}\n```"] if said else []
    return "<!-- Written by scripts/readme.py from nbs/index.ipynb: edit that. -->\n\n" + "\n\n".join(parts) + "\n"


def changelog(text):
    "CHANGELOG.md as a notebook"
    title, _, rest = text.strip().partition("\n\n")
    pages = f"{title}\n\n> What changed, version by version, for people who use it", rest
    cells = [dict(cell_type="markdown", id=f"changelog-{i}", metadata={}, source=p.splitlines(keepends=True)) for i, p in enumerate(pages)]
    return json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def made():
    "What each written file should hold"
    return {ROOT/"README.md": readme(json.loads((ROOT/"nbs/index.ipynb").read_text(encoding="utf-8"))),
            ROOT/"nbs/about/changelog.ipynb": changelog((ROOT/"CHANGELOG.md").read_text(encoding="utf-8"))}


def faults():
    "Written files that differ from what they are written from"
    return [f"{p.name} is out of date: run python scripts/readme.py" for p, text in made().items() if not p.exists() or p.read_text(encoding="utf-8") != text]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    if parser.parse_args().check:
        sys.exit("\n".join(faults()) or 0)
    for path, text in made().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
