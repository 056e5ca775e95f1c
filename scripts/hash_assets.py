"Write siamese_sig/assets/SHA256SUMS, which the package checks its assets against; with --check, fail if it differs. Run it after an asset was made anew."
import argparse
from pathlib import Path

from siamese_sig.core.files import file_sha256

ASSETS = Path(__file__).parents[1]/"siamese_sig/assets"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    names = sorted(p.relative_to(ASSETS).as_posix() for p in ASSETS.rglob("*") if p.is_file() and p.name != "SHA256SUMS" and p.parent.name != "app")  # the page is code, like the modules
    text = "".join(f"{file_sha256(ASSETS/name)}  {name}\n" for name in names)
    if not check:
        (ASSETS/"SHA256SUMS").write_text(text, encoding="utf-8")
    elif (ASSETS/"SHA256SUMS").read_text(encoding="utf-8") != text:
        raise SystemExit("SHA256SUMS differs from the assets: run python scripts/hash_assets.py")


if __name__ == "__main__":
    main()
