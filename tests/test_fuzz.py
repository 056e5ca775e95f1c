"Damaged files by the thousand: an answer or a DataError, and nothing else. Seconds are of computing, not of the clock."
import time
import warnings

import numpy as np
import pytest
from PIL import Image

from siamese_sig.core.messages import DataError
from siamese_sig.core.scan import read_rgb
from siamese_sig.core.tables import read_rows
from siamese_sig.score import read_questions

TEMPLATES = {"a.png": {}, "i.png": dict(bits=2), "a.jpg": {}, "p.jpg": dict(progressive=True), "a.tif": {}, "l.tif": dict(compression="tiff_lzw"), "g.tif": dict(compression="tiff_adobe_deflate"),
             "j.tif": dict(compression="jpeg"), "a.bmp": {}, "a.webp": {}, "l.webp": dict(lossless=True)}
MODES = "1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"


def corpus(folder):
    "Small valid files of each format and mode that can be written"
    ink = np.full((24, 40), 255, "uint8")
    ink[8:12, 5:35] = 20
    files = []
    for name, kw in TEMPLATES.items():
        for mode in MODES:
            image = Image.fromarray(ink.astype("uint16")*257) if mode == "I;16" else Image.fromarray(ink).convert("RGB").convert(mode)
            exif = Image.Exif()
            exif[0x112] = 6
            try:
                with warnings.catch_warnings(action="ignore"):
                    image.save(folder/f"{mode.replace(';', '')}-{name}", exif=exif, **kw)
                files.append((folder/f"{mode.replace(';', '')}-{name}").read_bytes())
            except (OSError, ValueError, KeyError):
                pass
    return files


def mutate(data, rng):
    "Bytes changed, cut, doubled, or swapped for numbers that programs stumble over"
    data = bytearray(data)
    for _ in range(int(rng.geometric(.35))):
        if not data:
            return bytes(rng.integers(0, 256, 20, dtype="uint8"))
        at, kind = int(rng.integers(len(data))) if rng.random() < .6 else int(rng.integers(min(len(data), 80))), rng.integers(7)
        if kind == 0:
            data[at] = rng.integers(256)
        elif kind == 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del data[at:at+int(rng.integers(1, 30))]
        elif kind == 3:
            data[at:at] = data[at:at+int(rng.integers(1, 40))]
        elif kind == 4:
            value = int(rng.choice([0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 2**31-1, 2**31, 2**32-1]))
            size = int(rng.choice([1, 2, 4]))
            data[at:at+size] = (value % 256**size).to_bytes(size, str(rng.choice(["little", "big"])))
        elif kind == 5:
            del data[at:]
        else:
            data[at:at+8] = bytes(rng.integers(0, 256, 8, dtype="uint8"))
    return bytes(data)


def fix_crcs(data):
    "A PNG whose checksums are right again, so that what lies behind them is reached"
    import struct
    import zlib
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = bytearray(data[:8]), 8
    while at+12 <= len(data):
        n = struct.unpack_from(">I", data, at)[0]
        body = data[at+4:at+8+n]
        out += struct.pack(">I", max(0, len(body)-4))+body+struct.pack(">I", zlib.crc32(body))
        at += 12+n
    return bytes(out)


def fuzz_images(folder, seconds, seed=0, report=None):
    "(files tried, read, refused)"
    rng, files, path = np.random.default_rng(seed), corpus(folder), folder/"case"
    end, tried, read = time.process_time()+seconds, 0, 0
    while time.process_time() < end:
        data = mutate(files[rng.integers(len(files))], rng)
        if rng.random() < .5:
            data = fix_crcs(data)
        path.write_bytes(data)
        tried += 1
        try:
            rgb = read_rgb(path)
            assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8 and rgb.size
            read += 1
        except DataError as e:
            assert "\n" not in str(e)
        except BaseException:
            (folder/"found").write_bytes(data)
            print("found:", data.hex())
            raise
    return tried, read, tried-read


ROWS = [b"query,refs\na.png,b.png\n\"c,d.png\",\"e\"\"f.png|g.png\"\n", "\ufeffquery,refs,n\r\nü.png,ß.png,\"x\r\ny\"\r\n".encode(), b"a/1.png,a/2.png,0\na/1.png,b/2.png,1\n", b"a,b,label\n"*3,
        "query;refs\na;b".encode("utf-16"), b'"\n', b"refs,query\r" + b"x,y\r"*20]


def fuzz_rows(folder, seconds, seed=0):
    "(files tried, read, refused)"
    import pandas as pd

    from siamese_sig.core.layouts import read_pairs
    images = pd.DataFrame(dict(path=[f"/x/{n}" for n in ("a/1.png", "a/2.png", "b/2.png")]))
    rng, path = np.random.default_rng(seed), folder/"case.csv"
    end, tried, read = time.process_time()+seconds, 0, 0
    while time.process_time() < end:
        data = mutate(ROWS[rng.integers(len(ROWS))], rng)
        path.write_bytes(data)
        tried += 1
        for reader in (lambda: list(read_questions(path)), lambda: read_pairs(path, images), lambda: list(read_rows(path, "rows"))):
            try:
                reader()
                read += 1
            except DataError as e:
                assert "\n" not in str(e)
            except BaseException:
                print("found:", data.hex())
                raise
    return tried, read, 3*tried-read


def test_images_a_little(tmp_path):
    tried, read, refused = fuzz_images(tmp_path, 4)
    assert tried > 200 and read and refused


def test_rows_a_little(tmp_path):
    tried, read, refused = fuzz_rows(tmp_path, 2)
    assert tried > 200 and read and refused


@pytest.mark.slow
def test_images_long(tmp_path, request):
    print("images: %d tried, %d read, %d refused" % fuzz_images(tmp_path, request.config.getoption("--fuzz-seconds"), 1))


@pytest.mark.slow
def test_rows_long(tmp_path, request):
    print("csv: %d tried, %d read, %d refused" % fuzz_rows(tmp_path, request.config.getoption("--fuzz-seconds"), 1))
