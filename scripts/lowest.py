"""The lowest versions that settings.ini allows, as constraints for pip: every bound that is promised is one that was tried.

Examples: python scripts/lowest.py           write constraints-min.txt
          python scripts/lowest.py --check   fail if it is not what settings.ini says, or if a requirement has no bound
          python scripts/lowest.py --try     install exactly these versions in a new environment and run the fast tests in it
"""
import argparse
import re
import subprocess
import sys
import tempfile
from configparser import ConfigParser
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT/"constraints-min.txt"
EXTRAS = "app", "cluster", "pdf", "heic"
HEAD = "# The lowest versions that settings.ini allows; written by scripts/lowest.py, tried by: python scripts/lowest.py --try\n"


def requirements():
    "What users install: the package's requirements and those of its extras"
    settings = ConfigParser(delimiters=["="])
    settings.read(ROOT/"settings.ini", encoding="utf-8")
    lists = [settings["DEFAULT"][key] for key in ("requirements", *(f"{extra}_requirements" for extra in EXTRAS))]
    return [line.strip() for lines in lists for line in lines.splitlines() if line.strip()]


def constraint(requirement):
    "name>=bound, perhaps with extras, as name==bound"
    found = re.fullmatch(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)", requirement)
    if not found:
        raise SystemExit(f"settings.ini: {requirement}; expected a lower bound, such as {requirement.split('<')[0]}>=1.0")
    return "==".join(found.groups())


def constraints():
    return HEAD+"".join(f"{line}\n" for line in dict.fromkeys(map(constraint, requirements())))


def try_them(command):
    "Install the package with exactly these versions in a new environment; run the fast tests there"
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder)/"bin/python"
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "-c", FILE, f"{ROOT}[{','.join(EXTRAS)}]", "pytest", "hypothesis", "fastcore<2"], check=True)
        return subprocess.run([python, "-m", "pytest", "-q", *command], cwd=ROOT).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--try", dest="tests", nargs="*", help="run these tests with the lowest versions (all: tests)")
    args = parser.parse_args()
    if args.tests is not None:
        raise SystemExit(try_them(args.tests or ["tests"]))
    if not args.check:
        FILE.write_text(constraints())
    elif not FILE.exists() or FILE.read_text() != constraints():
        raise SystemExit("constraints-min.txt is not what settings.ini says; run: python scripts/lowest.py")


if __name__ == "__main__":
    main()
