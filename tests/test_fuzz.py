"""Damaged files by the thousand, for each reader: an answer or a DataError of one line, and nothing else.

Seconds are of computing, in this process and in those that it starts, not of the clock.
"""
import io
import json
import os
import shutil
import struct
import time
import warnings
import zipfile
import zlib
from functools import partial
from pathlib import Path
from typing import Callable, NamedTuple

import numpy as np
import pandas as pd
import pytest
from conftest import signature
from PIL import Image
from test_surfaces import LINE, PDFS, heic_of, page, pdf

from siamese_sig import archive
from siamese_sig.core import apart
from siamese_sig.core.files import ASSETS
from siamese_sig.core.layouts import read_pairs, read_source
from siamese_sig.core.messages import DataError
from siamese_sig.core.networks import read_network
from siamese_sig.core.scan import read_rgb
from siamese_sig.core.tables import read_rows
from siamese_sig.core.unzip import unzip
from siamese_sig.score import read_questions
from siamese_sig.verifier.matchers import EvidenceMatcher, RunMatcher
from siamese_sig.verify import Verifier, read_references


class Reader(NamedTuple):
    "What a fuzz test needs of a kind of files"
    examples: Callable  # (folder) -> valid contents, bytes
    readings: Callable  # (folder) -> functions of one content, each reads it in one way
    needs: str = ""  # Module without which there is no such reader


STUMBLES = 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 2**31-1, 2**31, 2**32-1


def mutate(data, rng):
    "Bytes changed, cut, doubled, or swapped for numbers that programs stumble over"
    data = bytearray(data)
    for _ in range(int(rng.geometric(.35))):
        if not data:
            return bytes(rng.integers(0, 256, 20, dtype="uint8"))
        at = int(rng.integers(len(data) if rng.random() < .6 else min(len(data), 80)))
        kind = rng.integers(7)
        if kind == 0:
            data[at] = rng.integers(256)
        elif kind == 1:
            data[at] ^= 1 << int(rng.integers(8))
        elif kind == 2:
            del data[at:at+int(rng.integers(1, 30))]
        elif kind == 3:
            data[at:at] = data[at:at+int(rng.integers(1, 40))]
        elif kind == 4:
            value, size = int(rng.choice(STUMBLES)), int(rng.choice([1, 2, 4]))
            data[at:at+size] = (value % 256**size).to_bytes(size, str(rng.choice(["little", "big"])))
        elif kind == 5:
            del data[at:]
        else:
            data[at:at+8] = bytes(rng.integers(0, 256, 8, dtype="uint8"))
    return bytes(data)


def png_with_right_sums(data):
    "A PNG whose checksums are right again, so that what lies behind them is reached"
    out, at = bytearray(data[:8]), 8
    while at+12 <= len(data):
        n = struct.unpack_from(">I", data, at)[0]
        body = data[at+4:at+8+n]
        out += struct.pack(">I", max(0, len(body)-4))+body+struct.pack(">I", zlib.crc32(body))
        at += 12+n
    return bytes(out)


def zip_with_one_mutated(data, rng):
    "A zip with one of its files mutated, whole and with right checksums again"
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as z:
        names = z.namelist()
        victim = names[rng.integers(len(names))]
        with zipfile.ZipFile(out, "w") as new:
            for name in names:
                content = z.read(name)
                new.writestr(name, mutate(content, rng) if name == victim else content)
    return out.getvalue()


def mutated(data, rng):
    "A mutation, every other time with what lies behind checksums mutated as well"
    if rng.random() < .5:
        return mutate(data, rng)
    if data.startswith(b"PK\3\4"):
        return zip_with_one_mutated(data, rng)
    changed = mutate(data, rng)
    return png_with_right_sums(changed) if changed.startswith(b"\x89PNG\r\n\x1a\n") else changed


def computed():
    "Seconds of computing so far, of this process and of those it has started"
    times = os.times()
    return times.user+times.system+times.children_user+times.children_system


def fuzz(reader, folder, seconds, seed=0):
    "(files tried, readings, refusals)"
    rng, examples, readings = np.random.default_rng(seed), reader.examples(folder), reader.readings(folder)
    end, tried, read, refused = computed()+seconds, 0, 0, 0
    while computed() < end:
        data = mutated(examples[rng.integers(len(examples))], rng)
        tried += 1
        for reading in readings:
            try:
                reading(data)
                read += 1
            except DataError as e:
                assert "\n" not in str(e), data[:2000].hex()
                refused += 1
            except BaseException:
                (folder/"found").write_bytes(data)
                print("found:", folder/"found", data[:2000].hex())
                raise
    return tried, read, refused


# ---- images

TEMPLATES = {"a.png": {}, "i.png": dict(bits=2), "a.jpg": {}, "p.jpg": dict(progressive=True), "a.tif": {}, "l.tif": dict(compression="tiff_lzw"), "g.tif": dict(compression="tiff_adobe_deflate"),
             "j.tif": dict(compression="jpeg"), "a.bmp": {}, "a.webp": {}, "l.webp": dict(lossless=True)}
MODES = "1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"


def images(folder):
    "Small valid files of each format and mode that can be written"
    ink = np.full((24, 40), 255, "uint8")
    ink[8:12, 5:35] = 20
    files = []
    for name, options in TEMPLATES.items():
        for mode in MODES:
            image = Image.fromarray(ink.astype("uint16")*257) if mode == "I;16" else Image.fromarray(ink).convert("RGB").convert(mode)
            exif = Image.Exif()
            exif[0x112] = 6
            path = folder/f"{mode.replace(';', '')}-{name}"
            try:
                with warnings.catch_warnings(action="ignore"):
                    image.save(path, exif=exif, **options)
                files.append(path.read_bytes())
            except (OSError, ValueError, KeyError):
                pass
    return files


def read_as(folder, name, data, read=read_rgb):
    (folder/name).write_bytes(data)
    return read(folder/name)


def read_picture(folder, name, data):
    rgb = read_as(folder, name, data)
    assert rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.dtype == np.uint8 and rgb.size


def pictures(name):
    return lambda folder: [partial(read_picture, folder, name)]


def heics(folder):
    "A photograph of a signature, small, in three ways"
    import pillow_heif
    Image.fromarray(signature((64, 96))).save(folder/"small.png")
    plain = bytes(heic_of(folder/"small.png", folder))
    pillow_heif.from_pillow(Image.open(folder/"small.png")).save(folder/"grey.heic", quality=20)
    pillow_heif.from_pillow(Image.open(folder/"small.png").convert("RGBA")).save(folder/"alpha.heic")
    return [plain, (folder/"grey.heic").read_bytes(), (folder/"alpha.heic").read_bytes()]


def pdfs(folder):
    "Pages with strokes, with a picture, with a password, with a script"
    names = "plain", "a picture that lies about its size", "encrypted", "JavaScript", "a form in itself"
    return [PDFS[name][0] for name in names] + [pdf(page(LINE, box=b"0 0 40 20")).replace(b"40 20", b"60 30")]


def pages(folder):
    apart.DRAW_SECONDS = 2  # a page that hangs is no find: it is stopped
    return [partial(read_picture, folder, "page.pdf")]


# ---- tables and folders

ROWS = [b"query,refs\na.png,b.png\n\"c,d.png\",\"e\"\"f.png|g.png\"\n", "\ufeffquery,refs,n\r\nü.png,ß.png,\"x\r\ny\"\r\n".encode(), b"a/1.png,a/2.png,0\na/1.png,b/2.png,1\n", b"a,b,label\n"*3,
        "query;refs\na;b".encode("utf-16"), b'"\n', b"refs,query\r" + b"x,y\r"*20, b"sep=;\nimage1;image2;label\na/1.png;a/2.png;genuine\n", b"path\twriter\tforged\na/1.png\ta\t0\nb/2.png\tb\ttrue\n",
        b"signature,person,genuine,split\na/1.png,a,yes,train\nb/2.png,b,no,test\n", b"a\\1.png,b\\2.png,forged\n", b"=1+1,refs\n'=1,-3.5\n"]


def tables(folder):
    for name in ("a/1.png", "a/2.png", "b/2.png"):
        (folder/name).parent.mkdir(exist_ok=True)
        Image.fromarray(signature((30, 60), len(name))).save(folder/name)
    return ROWS


def table_readings(folder):
    "Questions, pairs, plain rows, and a csv as a data set"
    known = pd.DataFrame(dict(path=[str(folder/n) for n in ("a/1.png", "a/2.png", "b/2.png")]))
    reads = (lambda path: list(read_questions(path)), lambda path: read_pairs(path, known), lambda path: list(read_rows(path, "rows")), read_source)
    return [partial(read_as, folder, "case.csv", read=read) for read in reads]


TREES = [["anna/1.png", "anna/2.png", "bo/1.png"], ["train/001/1.png", "train/001_forg/1.png", "test/049/1.png", "test/049_forg/2.png", "train_data.csv"],
         ["full_org/original_1_1.png", "full_forg/forgeries_1_1.png", "full_org/original_2_1.png"], ["genuine/NFI-00101001.png", "forged/NFI-00201001.png", "genuine/NFI-00201002.png"],
         ["anna/genuine/1.png", "anna/forged/1.png", "bo/genuine/1.png"], ["B-S-1-G-01.tif", "B-S-1-F-01.tif", "B-S-2-G-01.tif"], ["001/c-001-01.png", "001/cf-001-01.png"],
         ["1/01_049.jpg", "1/0119001_02.png", "1-f/2.jpg", "2/x.gif"], ["李/1.png", "O'Brien, Pat (2)/1.png", "a b/c d.jpeg"]]


def trees(folder):
    return ["\n".join(tree).encode() for tree in TREES]


def plant(root, data):
    "Files with these names, as far as names can be had"
    for line in data.split(b"\n")[:40]:
        parts = [part[:120] for part in line.replace(b"\0", b"").split(b"/") if part not in (b"", b".", b"..")][:6]
        path = os.path.join(os.fsencode(root), *parts)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(b"P")
        except OSError:  # a file where a folder should be
            pass


def read_tree(folder, layout, data):
    root = folder/"tree"
    root.mkdir()
    try:
        plant(root, data)
        found = read_source(root, layout)
        assert len(found.images) and all("\n" not in words for words in found.words)
    finally:
        shutil.rmtree(os.fsencode(root))


def tree_readings(folder):
    return [partial(read_tree, folder, layout) for layout in (None, "names")]


# ---- archives of references, verifiers, networks, zips

def archive_files(folder):
    "The files of a small archive: its part with records and search vectors, its index, its description"
    for n in range(8):
        writer = folder/"people"/f"{n//2}"
        writer.mkdir(parents=True, exist_ok=True)
        Image.fromarray(signature((40, 120), n)).save(writer/f"{n}.png")
    archive.enrol(folder/"people", folder/"refs.parquet", part=4, workers=1)
    return [(folder/"refs.parquet"/name).read_bytes() for name in ARCHIVE_FILES]


ARCHIVE_FILES = "part-000000.parquet", "_index.parquet", "_archive.json"


def which_file(data):
    "Which of an archive's files this was, by its beginning and its length"
    if data[:1] in b"{[":
        return "_archive.json"
    return "_index.parquet" if len(data) < 5000 else "part-000000.parquet"


def archive_readings(folder):
    "The references of a writer, the writers of all, and who is likely to have written something"
    verifier, whole = Verifier.load(), {name: (folder/"refs.parquet"/name).read_bytes() for name in ARCHIVE_FILES}
    questioned = verifier.matcher.one(folder/"people/0/0.png")

    def spoilt(read, data):
        name = which_file(data)
        (folder/"refs.parquet"/name).write_bytes(data)
        try:
            read()
        finally:
            (folder/"refs.parquet"/name).write_bytes(whole[name])

    def shortlisted():
        found = archive.Archive(folder/"refs.parquet", verifier)
        archive.references_of(found, [likely.writer for likely in archive.shortlist(found, questioned, 3)])
    return [partial(spoilt, lambda: archive.read_enrolled(folder/"refs.parquet", verifier, "0")), partial(spoilt, shortlisted)]


def verifier_files(folder):
    for name in ("evidence.npz", "calibration.json"):
        shutil.copy(ASSETS/"verifier"/name, folder/name)
    return [(folder/name).read_bytes() for name in ("evidence.npz", "calibration.json", "calibration.json")]


def verifier_readings(folder):
    "Evidence as `adapt` writes it, and calibrations"
    matcher = EvidenceMatcher(ASSETS/"verifier/evidence.npz")

    def read(data):
        if data.startswith(b"PK"):
            read_as(folder, "evidence.npz", data, EvidenceMatcher)
        else:
            read_as(folder, "calibration.json", data, lambda path: read_references(path, matcher, "a hint"))
    return [read]


def network_files(folder):
    "A very small encoder as Keras and as ONNX write it, and a run's description"
    import keras

    from siamese_sig.core.networks import export_parts
    image = keras.Input((8, 8, 1))
    encoder = keras.Model(image, keras.layers.Dense(4)(keras.layers.Flatten()(image)))
    left, right = keras.Input((4,)), keras.Input((4,))
    head = keras.Model((left, right), keras.layers.Dense(1, activation="sigmoid")(keras.layers.Subtract()([left, right])))
    encoder.save(folder/"model.keras")
    export_parts((encoder, head), folder/"run")
    config = json.loads((ASSETS/"signature/config.json").read_text())
    (folder/"run/config.json").write_text(json.dumps(config | dict(settings=config["settings"] | dict(size=[8, 8]))))
    return [(folder/"model.keras").read_bytes(), (folder/"run/encoder.onnx").read_bytes(), (folder/"run/config.json").read_bytes()]


def network_readings(folder):
    whole = {name: (folder/"run"/name).read_bytes() for name in ("encoder.onnx", "config.json")}

    def use(path):
        try:
            RunMatcher(path.parent).one(signature())
        finally:
            path.write_bytes(whole[path.name])

    def read(data):
        if data.startswith(b"PK"):
            read_as(folder, "model.keras", data, read_network)
        elif data[:1] in b"{[":
            read_as(folder/"run", "config.json", data, use)
        else:
            read_as(folder/"run", "encoder.onnx", data, use)
    return [read]


def zips(folder):
    out = []
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(file := io.BytesIO(), "w", compression) as z:
            for name in ("set/train/001/a.png", "set/train/001_forg/b.png", "set/train_data.csv"):
                z.writestr(name, name*9)
        out.append(file.getvalue())
    return out


def zip_readings(folder):
    def read(data):
        shutil.rmtree(folder/"out", ignore_errors=True)
        read_as(folder, "case.zip", data, lambda path: unzip(path, folder/"out"))
        outside = {p.name for p in folder.iterdir()}-{"case.zip", "out"}
        assert not outside, outside
    return [read]


READERS = dict(images=Reader(images, pictures("case")), heic=Reader(heics, pictures("photo.heic"), "pillow_heif"), pdf=Reader(pdfs, pages, "pypdfium2"), tables=Reader(tables, table_readings),
               folders=Reader(trees, tree_readings), archives=Reader(archive_files, archive_readings), verifiers=Reader(verifier_files, verifier_readings),
               networks=Reader(network_files, network_readings), zips=Reader(zips, zip_readings))


def fuzzed(name, folder, seconds, seed, tried):
    reader = READERS[name]
    if reader.needs:
        pytest.importorskip(reader.needs)
    n, read, refused = fuzz(reader, folder, seconds, seed)
    tried(n, f"{read:,} readings, {refused:,} refusals in one line")
    return n, read, refused


@pytest.fixture(autouse=True)
def page_seconds(monkeypatch):
    "What `pages` changes is as before afterwards"
    monkeypatch.setattr(apart, "DRAW_SECONDS", apart.DRAW_SECONDS)


@pytest.mark.parametrize("name", READERS)
def test_a_little(name, tmp_path, tried):
    n, read, refused = fuzzed(name, tmp_path, 3, 0, tried)
    assert n > 5 and read+refused >= n and refused


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
def test_long(name, tmp_path, tried, request):
    fuzzed(name, tmp_path, request.config.getoption("--fuzz-seconds"), 1, tried)
