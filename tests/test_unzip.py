"Zips that would write outside their folder, or fill the disk"
import io
import stat
import struct
import tarfile
import zipfile

import pytest
from conftest import cli

from siamese_sig.core.messages import DataError
from siamese_sig.core.unzip import unzip


def packed(path, *entries, method=zipfile.ZIP_DEFLATED):
    "A zip of entries (name or ZipInfo, content, Unix mode if any)"
    with zipfile.ZipFile(path, "w", method) as z:
        for name, data, *mode in entries:
            info = zipfile.ZipInfo(name) if isinstance(name, str) else name
            info.compress_type = method
            if mode:
                info.external_attr = mode[0] << 16
            z.writestr(info, data)
    return path


GOOD = (
    ("sign_data/train_data.csv", b"a,b,0\n"),
    ("sign_data/test_data.csv", b"a,b,0\n"),
    ("sign_data/train/001/a.png", b"x"),
    ("sign_data/test/001/a.png", b"x"),
)
SLIPS = ["../evil", "a/../../evil", "/evil", "//evil", "C:\\evil", "C:/evil",
         "..\\evil", "a\\..\\..\\evil", "a/./../../evil", "\\\\server\\evil"]


def tree(folder):
    "Relative paths and contents of everything in a folder; None for a folder or a link"
    return sorted((str(p.relative_to(folder)), p.read_bytes() if p.is_file() and not p.is_symlink() else None)
                  for p in folder.rglob("*"))


def refused(tmp_path, archive, reason=None, **kw):
    "There is an error, and the disk is as it was"
    before = tree(tmp_path)
    with pytest.raises(DataError, match=reason):
        unzip(archive, tmp_path/"deep/er/out", **kw)
    new = [entry for entry in tree(tmp_path) if entry not in before]
    assert all(name in ("deep", "deep/er") for name, _ in new), new  # empty parents at most


@pytest.mark.parametrize("name", SLIPS)
def test_slip(tmp_path, name):
    refused(tmp_path, packed(tmp_path/"a.zip", *GOOD, (name, b"evil")))


@pytest.mark.parametrize("name", SLIPS)
def test_slip_by_command(tmp_path, name):
    archive = packed(tmp_path/"a.zip", *GOOD, (name, b"evil"))
    before = tree(tmp_path)
    cli("data", "kaggle", tmp_path/"out", "--archive", archive, code=2)
    assert tree(tmp_path) == before


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK])
def test_links_and_devices(tmp_path, kind):
    link = "link", b"/etc", kind | 0o777
    refused(tmp_path, packed(tmp_path/"a.zip", *GOOD, link, ("link/passwd", b"evil")), "is a link")


def test_bombs(tmp_path):
    "A thousandfold, one inside another, many at once, and one that lies about its size"
    zeros = bytes(2*10**6)
    packed(tmp_path/"bomb.zip", *(("b%d" % i, zeros) for i in range(20)))
    refused(tmp_path, tmp_path/"bomb.zip", max_bytes=3*10**7)
    inner = io.BytesIO()
    packed(inner, *(("b%d" % i, zeros) for i in range(20)))
    packed(tmp_path/"nested.zip", ("inner.zip", inner.getvalue()))
    unzip(tmp_path/"nested.zip", tmp_path/"nested", max_bytes=10**6)  # an inner zip stays a file
    assert (tmp_path/"nested/inner.zip").stat().st_size < 10**6
    lie = bytearray(packed(tmp_path/"lie.zip", ("b", zeros)).read_bytes())
    for mark, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", lie, lie.index(mark)+at, 10)
    (tmp_path/"lie.zip").write_bytes(lie)
    refused(tmp_path, tmp_path/"lie.zip")


def test_overlapping_entries(tmp_path):
    "Two names for one stream (the better zip bomb) count twice"
    data = bytearray(packed(tmp_path/"o.zip", ("a", bytes(10**6)), ("b", bytes(10**6))).read_bytes())
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first+4)
    struct.pack_into("<I", data, second+42, struct.unpack_from("<I", data, first+42)[0])
    (tmp_path/"o.zip").write_bytes(data)
    refused(tmp_path, tmp_path/"o.zip")


@pytest.mark.parametrize("n", range(12))
def test_damage(tmp_path, n):
    "A zip cut short or with some bytes changed gives what was packed or nothing"
    import numpy as np
    archive = packed(tmp_path/"a.zip", *GOOD, ("big", bytes(range(256))*50))
    whole, rng = bytearray(archive.read_bytes()), np.random.default_rng(n)
    for k in range(25):
        data = bytearray(whole)
        if k % 5 == 0:
            data = data[:rng.integers(0, len(data))]
        else:
            for i in rng.integers(0, len(data), 1+k//5):
                data[i] = rng.integers(256)
        archive.write_bytes(data)
        try:
            out = unzip(archive, tmp_path/f"out{n}-{k}")
        except DataError:
            assert not (tmp_path/f"out{n}-{k}").exists()
        else:
            assert all(p.is_relative_to(out) for p in out.rglob("*"))
    assert {p.name.split("-")[0] for p in tmp_path.iterdir()} <= {"a.zip", f"out{n}"}


def test_case_and_twins(tmp_path):
    refused(tmp_path, packed(tmp_path/"a.zip", ("A", b"1"), ("a", b"2")), "there twice")
    refused(tmp_path, packed(tmp_path/"b.zip", ("a", b"1"), ("a/b", b"2")), "lies in a file")


def test_name_too_long(tmp_path):
    "The place is named, not the zip"
    refused(tmp_path, packed(tmp_path/"a.zip", *GOOD, ("x"*300, b"1")), "out: cannot be written")


def test_somebody_else_was_faster(tmp_path, monkeypatch):
    "Their folder stays as it is"
    def extract_late(z, folder):
        (tmp_path/"out").mkdir()
        (tmp_path/"out/theirs").write_text("theirs")
    monkeypatch.setattr(zipfile.ZipFile, "extractall", extract_late)
    archive = packed(tmp_path/"a.zip", *GOOD)
    with pytest.raises(DataError, match="out: cannot be written"):
        unzip(archive, tmp_path/"out")
    assert tree(tmp_path/"out") == [("theirs", b"theirs")]


def test_other_archives(tmp_path):
    with tarfile.open(tmp_path/"a.zip", "w:gz") as t:
        info = tarfile.TarInfo("../evil")
        info.size = 4
        t.addfile(info, io.BytesIO(b"evil"))
    refused(tmp_path, tmp_path/"a.zip")
    refused(tmp_path, tmp_path)
    refused(tmp_path, tmp_path/"none.zip")
