"""(f) Cold start of the package and of the command, processes of their own.

Example: python benchmarks/cold_start.py
"""
import subprocess
import sys

from common import median_time, row


def main():
    run = lambda *args: subprocess.run([sys.executable, *args], check=True, capture_output=True)
    empty = median_time(run, "-c", "pass", repeats=7)
    for name, args in (("import siamese_sig", ("-c", "import siamese_sig")), ("siamese-sig --help", ("-m", "siamese_sig", "--help"))):
        ours = median_time(run, *args, repeats=7)
        row(f"(f) {name}", f"{ours:.2f} s", f"{empty:.2f} s for Python alone", f"+{ours - empty:.2f} s")


if __name__ == "__main__":
    main()
