"csv files from spreadsheets, other programs and strangers"
import csv
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import cli
from hypothesis import given
from hypothesis import strategies as st

from siamese_sig.core.messages import DataError
from siamese_sig.core.layouts import read_pairs
from siamese_sig.core.tables import read_rows
from siamese_sig.score import inside


@pytest.fixture(scope="module")
def scans(tmp_path_factory, known):
    "A folder of images, a.png, b.png and sub/c d.png; an image outside it"
    root = tmp_path_factory.mktemp("root")
    (root/"scans/sub").mkdir(parents=True)
    for name, path in zip(("scans/a.png", "scans/b.png", "scans/sub/c d.png"), known):
        shutil.copy(path, root/name)
    shutil.copy(known[0], root/"secret.png")
    return root/"scans"


def score(scans, tmp_path, text, code=0, **kw):
    "The answers to a file of questions with this content"
    (tmp_path/"q.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    status, out, err = cli("score", tmp_path/"q.csv", "--images", scans, "--out", tmp_path/"a.csv", code=code)
    if code:
        assert not (tmp_path/"a.csv").exists()
        return err
    with open(tmp_path/"a.csv", newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


PLAIN = "query,refs\na.png,b.png\nsub/c d.png,a.png|b.png\n"


@pytest.mark.parametrize("text", [PLAIN, "\ufeff"+PLAIN, PLAIN.replace("\n", "\r\n"), PLAIN.replace("\n", "\r"), PLAIN.rstrip("\n"), "\n\n"+PLAIN.replace("\n", "\n\n"),
                                  '"query","refs"\n"a.png","b.png"\n"sub/c d.png","a.png|b.png"\n', "query , refs\n a.png , b.png \nsub/c d.png, a.png | b.png\n",
                                  "refs,query\nb.png,a.png\na.png|b.png,sub/c d.png\n", "query,refs,note\na.png,b.png,\"a, b\nand c\"\nsub/c d.png,a.png|b.png,\n"])
def test_same_answers(scans, tmp_path, text):
    "However the file is written, the answers are the same"
    rows, plain = score(scans, tmp_path, text), score(scans, tmp_path, PLAIN)
    assert [(r["query"], r["score"], r["verdict"], r["error"]) for r in rows] == [(r["query"], r["score"], r["verdict"], r["error"]) for r in plain]
    assert all(r["verdict"] and not r["error"] for r in rows)


@pytest.mark.parametrize("text,why", [("", "column query and refs missing"), ("a.png,b.png\n", "column query and refs missing"), ("query,file\na,b\n", "column refs missing"),
                                      ("query,refs\na.png\n", "line 2: 1 columns, 2 above"), ("query,refs\na.png,b.png\na.png,b.png,c.png\n", "line 3: 3 columns, 2 above"),
                                      ("img1;img2\na.png;b.png\n", "column query and refs missing"), ("query,refs,refs\na,b,c\n", "columns refs and refs may both be meant"),
                                      ('query,refs\n"a.png,b.png\n', "not a readable csv"), (b"query,refs\n\xff\xfea.png,b\n", "not a readable csv"),
                                      (PLAIN.encode("utf-16")[:-1], "not a readable csv"), ("query,refs\n"+"x"*200_000+",b.png\n", "not a readable csv"), (b"PK\3\4"+os.urandom(50), "")])
def test_refused(scans, tmp_path, text, why):
    assert why in score(scans, tmp_path, text, code=2)


OUTSIDE = ["../secret.png", "/etc/passwd", "sub/../../secret.png", "./../secret.png", "..", ".", "", "sub/..", "{root}/secret.png", "../scans2/x.png"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_outside(scans, tmp_path, name):
    "A name that leads out of the folder is an error of its row, as query and as reference, and nothing is opened"
    name = name.format(root=scans.parent)
    rows = score(scans, tmp_path, f"query,refs\n{name},a.png\na.png,b.png|{name}\na.png,b.png\n")
    assert [bool(r["error"]) for r in rows] == [True, True, False], rows
    if name not in ("",):
        assert "leads out" in rows[0]["error"] and "leads out" in rows[1]["error"]


@given(st.lists(st.sampled_from(["..", ".", "a", "b c", "/", "//", "~", "C:", "\\", "ü", "%2e%2e", "..."]), min_size=1, max_size=8))
def test_inside(parts):
    "Whatever the name, the path is inside the folder or there is an error"
    root = "/some/folder"
    try:
        path = inside(root, "/".join(parts))
    except DataError:
        return
    assert Path(os.path.normpath(path)).is_relative_to(root) and os.path.normpath(path) != root


def test_rows_of_all_kinds(scans, tmp_path):
    "Nothing, a folder, a missing file, no reference: each in its own row"
    names = ["gone.png", "sub", "\"a\nb.png\"", "=1+1", "a.png|b.png"]
    rows = score(scans, tmp_path, "query,refs\n"+"".join(f"{n},a.png\n" for n in names)+"a.png,\na.png,|\na.png,a.png||b.png\na.png,a.png\n")
    assert [bool(r["error"]) for r in rows] == [True]*8+[False]
    assert all("\n" not in r["error"] for r in rows)


def test_duplicate_rows(scans, tmp_path):
    "A question asked twice gets the same answer twice"
    rows = score(scans, tmp_path, "query,refs\n"+"a.png,b.png\n"*5)
    assert len(rows) == 5 and len({tuple(r.values()) for r in rows}) == 1


def test_answers_again(scans, tmp_path):
    "A file of answers can be asked again, and may be replaced by its own answers"
    first = score(scans, tmp_path, PLAIN)
    shutil.copy(tmp_path/"a.csv", tmp_path/"q.csv")
    cli("score", tmp_path/"q.csv", "--images", scans, "--out", tmp_path/"q.csv", code=0)
    with open(tmp_path/"q.csv", newline="", encoding="utf-8") as f:
        assert list(csv.DictReader(f)) == first


def test_no_such_places(scans, tmp_path):
    "A csv that is missing, a folder or a pipe; answers into a folder that is missing, or onto one; images in a folder that is missing"
    (tmp_path/"q.csv").write_text(PLAIN)
    os.mkfifo(tmp_path/"pipe.csv")
    for q, images, out in ((tmp_path/"no.csv", scans, "a.csv"), (tmp_path, scans, "a.csv"), (tmp_path/"pipe.csv", scans, "a.csv"),
                           (tmp_path/"q.csv", scans, "no/a.csv"), (tmp_path/"q.csv", scans, "."), (tmp_path/"q.csv", scans, f"{'x'*300}.csv")):
        cli("score", q, "--images", images, "--out", tmp_path/out, code=2)
    _, out, _ = cli("score", tmp_path/"q.csv", "--images", tmp_path/"none", "--out", tmp_path/"a.csv", code=2)
    assert "0 rows scored, 2 with errors" in out


@pytest.fixture(scope="module")
def toy():
    "A table of images that need not exist"
    import pandas as pd
    return pd.DataFrame(dict(path=[f"/x/train/{w}/{i}.png" for w in ("001", "001_forg") for i in range(3)]))


PAIRS = "001/0.png,001/1.png,0\n001/0.png,001_forg/1.png,1\n"


@pytest.mark.parametrize("text", [PAIRS, "a,b,label\n"+PAIRS, "\ufeff"+PAIRS, "\ufeffa,b,label\r\n"+PAIRS.replace("\n", "\r\n"), PAIRS.replace("/", "\\"), PAIRS.replace(",1\n", ",1.0\n"),
                                  '"001/0.png","001/1.png","0"\n"001/0.png","001_forg/1.png","1"', "\n\n"+PAIRS+"\n,,\n"])
def test_pairs(toy, tmp_path, text):
    (tmp_path/"p.csv").write_bytes(text.encode())
    assert read_pairs(tmp_path/"p.csv", toy).to_numpy().tolist() == [[0, 1, 0], [0, 4, 1]]


@pytest.mark.parametrize("row,why", [("001/0.png,001/1.png,2", "label '2'"), ("001/0.png,001/1.png,-1", "label '-1'"), ("001/0.png,001/1.png,", "label ''"), ("001/0.png,001/1.png,nan", "label 'nan'"),
                                     ("001/0.png,001/1.png,0.5", "label '0.5'"), ("001/0.png,001/1.png,yes", "label 'yes'"), ("001/0.png,001/1.png,1", "labelled 0 and 1"),
                                     ("001/1.png,001/0.png,1", "labelled 0 and 1"), ("001/0.png,001/1.png", "2 columns"), ("001/0.png,001/1.png,0,x", "4 columns"),
                                     ("../001/0.png,001/1.png,0", "missing on disk"), ("/etc/passwd,001/1.png,0", "missing on disk"), ("001/../001/0.png,001/1.png,0", "missing on disk")])
def test_pairs_refused(toy, tmp_path, row, why):
    "With the line where it stands"
    (tmp_path/"p.csv").write_text(PAIRS+row+"\n")
    with pytest.raises(DataError, match=why):
        read_pairs(tmp_path/"p.csv", toy)


def test_pairs_twice(toy, tmp_path):
    "Duplicate rows, and a pair in both orders as on Kaggle, stay as they are"
    (tmp_path/"p.csv").write_text(PAIRS*2+"001/1.png,001/0.png,0\n")
    assert len(read_pairs(tmp_path/"p.csv", toy)) == 5


def test_lines_are_told(tmp_path):
    (tmp_path/"p.csv").write_text('a,b\n\n"c\nd",e\nf\n')
    with pytest.raises(DataError, match="line 5: 1 columns, 2 above"):
        list(read_rows(tmp_path/"p.csv", "two columns"))


MEMORY = """
import resource, sys, time
sys.argv = ['siamese-sig', *sys.argv[1:]]
from siamese_sig.cli import main
try: main()
except SystemExit: pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)
"""


def peak(*args):
    "The most memory (MB) that a command needed, and its output"
    done = subprocess.run([sys.executable, "-c", MEMORY, *map(str, args)], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]])})
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    return int(done.stdout.split()[-1]), done.stdout


def many(path, n, seed=0):
    "So many questions about three images, one in a hundred of them broken"
    rng, names = np.random.default_rng(seed), np.array(["a.png", "b.png", "sub/c d.png"])
    with open(path, "w") as f:
        f.write("query,refs\n")
        for i in range(0, n, 10_000):
            q, r = names[rng.integers(0, 3, (2, 10_000))]
            f.writelines(f"{'gone.png' if (i+k) % 100 == 7 else a},{b}\n" for k, (a, b) in enumerate(zip(q, r)))


@pytest.mark.slow
def test_a_million_questions(scans, tmp_path, tried):
    "10^6 rows take no more memory than 10^4"
    many(tmp_path/"few.csv", 10_000)
    many(tmp_path/"many.csv", 1_000_000)
    little, _ = peak("score", tmp_path/"few.csv", "--images", scans, "--out", tmp_path/"a.csv")
    start = time.time()
    much, out = peak("score", tmp_path/"many.csv", "--images", scans, "--out", tmp_path/"b.csv")
    tried(2, f"`score`: {little} MB at most for 10⁴ rows, {much} MB for 10⁶, {time.time()-start:.0f} s")
    assert "990,000 rows scored, 10,000 with errors" in out
    assert sum(1 for _ in open(tmp_path/"b.csv")) == 1_000_001
    assert much < little+60


@pytest.mark.slow
def test_a_million_pairs(tmp_path, tried):
    "10^6 training pairs are held as numbers, 24 bytes a row"
    import pandas as pd
    images = pd.DataFrame(dict(path=[f"/x/train/{w:03}/{i}.png" for w in range(100) for i in range(100)]))
    names = np.array([p[9:] for p in images.path])
    rng = np.random.default_rng(0)
    with open(tmp_path/"p.csv", "w") as f:
        for _ in range(100):
            i, j = rng.integers(0, len(names), (2, 10_000))
            f.writelines(f"{a},{b},{int(k)}\n" for a, b, k in zip(names[i], names[j], (i+j) % 2))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024
    pairs = read_pairs(tmp_path/"p.csv", images)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024-before
    tried(1, f"`read_pairs`: {grown} MB for 10⁶ rows")
    assert len(pairs) == 1_000_000 and grown < 250
