"Make siamese_sig/assets/synthetic.zip, the embedded data set, or check it with --check: same writers, same pixels."
import argparse
import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from siamese_sig.synth import synthesize

ASSET = Path(__file__).parents[1]/"siamese_sig/assets/synthetic.zip"
SETTINGS = dict(writers=60, genuine=11, forged=5, seed=2026, height=80)


def pack(root, archive):
    "Write the files of `root` to a zip with fixed dates and order, so that the same files give the same bytes"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(path.relative_to(root).as_posix(), (2026, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            info.compress_type = zipfile.ZIP_STORED if path.suffix == ".png" else zipfile.ZIP_DEFLATED
            z.writestr(info, path.read_bytes())


def contents(archive):
    "name -> pixels of an image or bytes of a csv; PNG bytes may differ between versions of zlib, pixels may not"
    with zipfile.ZipFile(archive) as z:
        return {n: np.asarray(Image.open(io.BytesIO(z.read(n)))).tobytes() if n.endswith(".png") else z.read(n) for n in z.namelist()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare with the asset instead of writing it")
    check = parser.parse_args().check
    with tempfile.TemporaryDirectory() as tmp:
        made = Path(tmp)/"synthetic.zip"
        pack(synthesize(Path(tmp)/"set", **SETTINGS), made)
        if check and contents(made) != contents(ASSET):
            raise SystemExit(f"{ASSET} differs from what notebook 05 makes now: run scripts/make_embedded.py")
        if not check:
            ASSET.parent.mkdir(exist_ok=True)
            ASSET.write_bytes(made.read_bytes())
    print(f"{ASSET.name}: {ASSET.stat().st_size/1e6:.2f} MB, {SETTINGS}")


if __name__ == "__main__":
    main()
