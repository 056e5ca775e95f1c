"Write README.md from nbs/index.ipynb; with --check, fail if it differs. (nbdev_readme needs Quarto, this does not.)"
import argparse
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def readme(nb):
    "The markdown cells, and the code cells that are not plumbing, as one page"
    parts = []
    for cell in nb["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(re.sub(r"\]\(([\w/-]+\.ipynb)", r"](nbs/\1", source))  # README stands above nbs/
        elif source and not source.startswith("#|"):
            parts.append(f"```python\n{source}\n```")
    return "<!-- Written by scripts/readme.py from nbs/index.ipynb: edit that. -->\n\n" + "\n\n".join(parts) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = readme(json.loads((ROOT/"nbs/index.ipynb").read_text(encoding="utf-8")))
    target = ROOT/"README.md"
    if not parser.parse_args().check:
        target.write_text(text, encoding="utf-8")
    elif target.read_text(encoding="utf-8") != text:
        raise SystemExit("README.md differs from nbs/index.ipynb: run python scripts/readme.py")


if __name__ == "__main__":
    main()
