"""Are the versions that settings.ini allows those that work? Every bound that is promised is one that was tried.

Examples: python scripts/versions.py                 write constraints-min.txt, the lowest versions that settings.ini allows
          python scripts/versions.py --check         fail if it is not what settings.ini says, or if a requirement has no bound
          python scripts/versions.py --try lowest    install exactly these in a new environment and run the fast tests there
          python scripts/versions.py --try newest --python python3.13     likewise what pip takes by itself, on another Python
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
HEAD = "# The lowest versions that settings.ini allows; written by scripts/versions.py, tried by: python scripts/versions.py --try lowest\n"


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


def try_versions(which, base, counts):
    "Install the package in a new environment of a Python and run the fast tests there; the exit status of pytest"
    constrained = ["-c", FILE] if which == "lowest" else []
    counted = ["-o", "junit_family=xunit1", f"--junitxml={counts}"] if counts else []
    with tempfile.TemporaryDirectory() as folder:
        copy, python = Path(folder)/"source", Path(folder)/"env/bin/python"
        subprocess.run(["git", "clone", "-q", ROOT, copy], check=True)  # what is committed, and no build folder here
        subprocess.run([base, "-m", "venv", Path(folder)/"env"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *constrained, f"{copy}[{','.join(EXTRAS)}]", "pytest", "hypothesis", "fastcore<2"], check=True)
        return subprocess.run([python, "-m", "pytest", "-q", "tests", "-m", "not slow", *counted], cwd=copy).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--try", dest="which", choices=["lowest", "newest"], help="install these versions and run the fast tests with them")
    parser.add_argument("--python", default=sys.executable, help="the Python of the new environment")
    parser.add_argument("--counts", type=Path, help="JUnit file for the counts")
    args = parser.parse_args()
    if args.which:
        raise SystemExit(try_versions(args.which, args.python, args.counts and args.counts.absolute()))
    if not args.check:
        FILE.write_text(constraints())
    elif not FILE.exists() or FILE.read_text() != constraints():
        raise SystemExit("constraints-min.txt is not what settings.ini says; run: python scripts/versions.py")


if __name__ == "__main__":
    main()
