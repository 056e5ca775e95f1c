"PDF files that hang, lie or hide; HEIC files that lie; tables with a million columns, open quotes and formulas"
import base64
import csv
import os
import re
import resource
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from conftest import VERDICTS, cli, signature
from PIL import Image

from siamese_sig.app import score_upload, table_html
from siamese_sig.core import apart
from siamese_sig.core.layouts import read_images
from siamese_sig.verify import Verifier

needs_pdf = pytest.mark.skipif(not __import__("importlib.util").util.find_spec("pypdfium2"), reason="pip install 'siamese_sig[pdf]'")
needs_heic = pytest.mark.skipif(not __import__("importlib.util").util.find_spec("pillow_heif"), reason="pip install 'siamese_sig[heic]'")
LINE = b"4 w 50 50 m 120 150 180 20 200 120 c 260 60 280 180 350 90 c S 60 120 m 150 20 220 190 330 40 c S"


def pdf(objects, extra=b""):
    "A PDF of numbered objects, the first of which is the catalog"
    out, starts = bytearray(b"%PDF-1.7\n"), []
    for n, body in enumerate(objects, 1):
        starts.append(len(out))
        out += b"%d 0 obj\n" % n + body + b"\nendobj\n"
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects)+1) + b"".join(b"%010d 00000 n \n" % start for start in starts)
    return bytes(out + table + b"trailer\n<</Size %d/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF" % (len(objects)+1, extra, len(out)))


def stream(data, more=b""):
    packed = zlib.compress(data, 9)
    return b"<<%s/Length %d/Filter/FlateDecode>>stream\n" % (more, len(packed)) + packed + b"\nendstream"


def page(content, resources=b"", box=b"0 0 400 200", kids=b"[3 0 R]", count=1):
    return [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids %s/Count %d>>" % (kids, count),
            b"<</Type/Page/Parent 2 0 R/MediaBox[%s]/Contents 4 0 R/Resources<<%s>>>>" % (box, resources), stream(content)]


def form(content, number=0):
    "A drawing that draws another one, `number`"
    inner = b"/Resources<</XObject<</F %d 0 R>>>>" % number if number else b""
    return stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 400 200]"+inner)


def picture(data, width, height, bits=1, colours=b"DeviceGray"):
    return stream(data, b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/%s/BitsPerComponent %d" % (width, height, colours, bits))


def one_picture(image):
    return pdf([*page(b"400 0 0 200 0 0 cm /I Do", b"/XObject<</I 5 0 R>>"), image])


ENCRYPTED = b"<</Filter/Standard/V 2/R 3/Length 128/P -44/O<%s>/U<%s>>>" % (b"1f"*32, b"2e"*32)
# Name -> file, and what is told; '' for any one line or a verdict
PDFS = {
    "plain": (pdf(page(LINE)), ""),
    "no pages": (pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[]/Count 0>>"]), "PDF"),
    "pages that are none": (pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[9 0 R 9 0 R]/Count 2>>"]), "PDF"),
    "a million pages by its own account": (pdf(page(LINE, count=10**6)), ""),
    "pages in a ring": (pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[2 0 R]/Count 1/Parent 2 0 R>>"]), "PDF"),
    "no size": (pdf(page(LINE, box=b"0 0 0 0")), ""),
    "an endless page": (pdf(page(LINE, box=b"0 0 1e30 1e30")), ""),
    "a page of a kilometre": (pdf(page(LINE, box=b"0 0 2834645 2834645")), ""),
    "one point by a mile": (pdf(page(LINE, box=b"0 0 1 4500000")), ""),
    "three hundred million blanks": (pdf(page(b" "*300_000_000)), ""),
    "two million strokes": (pdf(page(b"0 0 m 400 200 l S "*2_000_000)), "took more than"),
    "a picture of 900 megapixels": (one_picture(picture(b"\0"*(30000*3750), 30000, 30000)), ""),
    "a picture that lies about its size": (one_picture(picture(b"\0"*100, 2_000_000_000, 2_000_000_000, 8, b"DeviceRGB")), ""),
    "forms in forms, ten of each": (pdf([*page(b"/F Do", b"/XObject<</F 5 0 R>>"), *(form(b"/F Do "*10, 6+k) for k in range(9)), form(LINE)]), "took more than"),
    "a form in itself": (pdf([*page(b"/F Do", b"/XObject<</F 5 0 R>>"), form(b"/F Do /F Do", 5)]), "took more than"),
    "encrypted": (pdf([*page(LINE), ENCRYPTED], b"/Encrypt 5 0 R/ID[<aa><aa>]"), "encrypted"),
    "JavaScript": (pdf([b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.alert\\(1\\))>>>>", *page(LINE)[1:]]), ""),
    "only a header": (b"%PDF-1.7\n", "PDF"), "cut short": (pdf(page(LINE))[:200], "PDF"), "noise": (b"%PDF-1.7\n"+bytes(range(256))*50, "PDF"),
}


@pytest.fixture
def few_seconds(monkeypatch):
    "Pages may take two seconds"
    monkeypatch.setattr(apart, "DRAW_SECONDS", 2)


@needs_pdf
@pytest.mark.parametrize("name", PDFS)
def test_pdf(tmp_path, known, few_seconds, name):
    "A verdict or one line, soon, and this process stays small"
    data, told = PDFS[name]
    (tmp_path/"page.pdf").write_bytes(data)
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.time()
    status, _, err = cli("verify", known[0], tmp_path/"page.pdf")
    assert status in (*VERDICTS, 2) and told in err and (status == 2) >= bool(told)
    assert time.time()-start < 30 and (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before)/2**10 < 800


@needs_pdf
def test_pdf_reads_nothing_else(tmp_path, known):
    "A page that asks for another file of this machine, or for a host, gets neither"
    (tmp_path/"secret.txt").write_text("secret")
    for kind in (b"<</Type/Action/S/Launch/F(secret.txt)>>", b"<</S/URI/URI(http://127.0.0.1:9/)>>", b"<</S/GoToR/F(secret.txt)/D[0/Fit]>>"):
        (tmp_path/"page.pdf").write_bytes(pdf([b"<</Type/Catalog/Pages 2 0 R/OpenAction "+kind+b">>", *page(LINE)[1:]]))
        assert cli("verify", known[0], tmp_path/"page.pdf")[0] in (*VERDICTS, 2)


def heic_of(path, folder):
    import pillow_heif
    pillow_heif.from_pillow(Image.open(path).convert("RGB")).save(folder/"photo.heic")
    return bytearray((folder/"photo.heic").read_bytes())


@needs_heic
def test_heic_that_lies(tmp_path, known, tried):
    "Another size in its header, lengths that lead out of the file, a file cut anywhere: a verdict or one line"
    whole = heic_of(known[0], tmp_path)
    size = whole.index(b"ispe")+8
    lies = [whole[:size]+struct.pack(">II", *claimed)+whole[size+8:] for claimed in ((0, 0), (1, 1), (60_000, 60_000), (2**31, 2**31), (2**32-1, 1))]
    for box in (b"meta", b"iloc", b"iprp", b"mdat", b"ftyp"):
        at = whole.index(box)-4
        lies += [whole[:at]+struct.pack(">I", length)+whole[at+4:] for length in (0, 1, 7, 2**31, 2**32-1)]
    lies += [whole[:round(len(whole)*share)] for share in np.linspace(0.02, 0.98, 25)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for n, data in enumerate(lies):
        (tmp_path/f"{n}.heic").write_bytes(data)
        assert cli("verify", known[1], tmp_path/f"{n}.heic")[0] in (*VERDICTS, 2), n
    tried(len(lies))
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss-before)/2**10 < 500


@needs_heic
def test_a_crash_stays_apart(tmp_path, known, monkeypatch):
    "A library that writes where it must not ends the process that draws, and this one tells it in one line"
    crashing = tmp_path/"lib/pillow_heif"
    crashing.mkdir(parents=True)
    (crashing/"__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    heic_of(known[0], tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path/"lib"), str(Path(__file__).parents[1])]))
    assert "the HEIC cannot be drawn; export it as JPEG" in cli("verify", known[1], tmp_path/"photo.heic", code=2)[2]


@pytest.fixture
def images(tmp_path):
    for n, name in enumerate("ab"):
        Image.fromarray(signature((60, 160), n)).save(tmp_path/f"{name}.png")
    return tmp_path


def answers(folder, text):
    (folder/"q.csv").write_text(text, newline="")
    status, _, err = cli("score", folder/"q.csv", "--images", folder, "--out", folder/"out.csv")
    return status, err, list(csv.reader(open(folder/"out.csv", newline=""))) if status == 0 else []


FORMULAS = ('=HYPERLINK("http://127.0.0.1:9/?"&A1,"click")', "=cmd|' /C calc'!A0", "+1+cmd|x", "-2+3+cmd|x", "@SUM(1+1)*cmd|x", "\t=1+1")


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_come_out_as_text(images, formula):
    "In a column of the csv, in its title, as the name of a file, in an error"
    quoted = '"'+formula.replace('"', '""')+'"'
    status, _, rows = answers(images, f"query,refs,{quoted}\na.png,b.png,{quoted}\n{quoted},b.png,x\na.png,{quoted},-3.5\n")
    assert status == 0 and len(rows) == 4 and rows[3][2] == "-3.5"  # numbers stay numbers
    for row in rows:
        for cell in row:
            assert not cell or cell[0] not in "=+@\t\r" and (cell[0] != "-" or cell == "-3.5"), cell
    again, _, answered = answers(images, (images/"out.csv").read_text())  # and may be asked again
    assert again == 0 and [row[:3] for row in answered] == [row[:3] for row in rows]


def test_formulas_in_errors(tmp_path):
    "Names of files that could not be enrolled"
    (tmp_path/"people/=1+1").mkdir(parents=True)
    (tmp_path/"people/=1+1/=2+2.png").write_bytes(b"no image")
    Image.fromarray(signature((60, 160), 1)).save(tmp_path/"people/=1+1/good.png")
    _, out, _ = cli("enrol", tmp_path/"people", "--out", tmp_path/"refs.parquet", code=0)
    rows = list(csv.reader(open(tmp_path/"refs.errors.csv", newline="")))
    assert rows[1][0] == "'=1+1/=2+2.png" and rows[1][2] == "'=1+1" and "without a reference" not in out


def no_formula(text):
    "No cell that a spreadsheet would run, in a csv that holds no negative numbers"
    rows = list(csv.reader(text.splitlines()))
    assert rows and not [cell for row in rows for cell in row if cell[:1] in tuple("=+-@\t\r")], rows
    return rows


def test_formulas_on_the_page(people):
    "The table that the page offers to save: titles, cells, names of files, errors"
    genuine, _ = next(iter(people.values()))
    images = [(name, Path(path).read_bytes()) for name, path in zip(("a.png", "=b.png", "@c.png"), genuine)]
    table = '=1+1,query,refs\n=2+2,a.png,=b.png\n@SUM(A1),@c.png,a.png\n-1+1,=none.png,a.png\n'
    scored = score_upload(Verifier.load(), [("pairs.csv", table.encode())], images)
    saved = base64.b64decode(re.search('base64,([^"]+)', table_html(scored))[1]).decode()
    rows = no_formula(saved)
    assert len(rows) == 4 and all(row[-2] for row in rows[1:3]) and rows[3][-1]


def test_formulas_in_names_of_people(tmp_path):
    "Folders named like formulas: imported, read again, trained on and evaluated"
    writers = [f"={n}+{n}" for n in range(6)]
    for seed, (writer, name) in enumerate((writer, name) for writer in writers for name in ("genuine/1", "genuine/2", "genuine/3", "forged/1", "forged/2")):
        path = tmp_path/f"people/{writer}/{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(signature((60, 160), seed)).save(path)
    cli("data", "import", tmp_path/"people", tmp_path/"new", code=0)
    for name in ("train_data.csv", "test_data.csv", "sources.csv"):
        no_formula((tmp_path/"new"/name).read_text())
    assert set(read_images(tmp_path/"new").writer) == set(writers)
    cli("train", "--data", tmp_path/"new", "--out", tmp_path/"run", "--recipe", "original", "--size", "40x72", "--epochs", 1, "--steps-per-epoch", 2, "--batch-size", 4, code=0)
    cli("evaluate", tmp_path/"run", code=0)
    assert "'=" in (tmp_path/"run/scores.csv").read_text()
    no_formula((tmp_path/"run/scores.csv").read_text())


def test_a_million_columns(images):
    "Refused or read, in seconds"
    wide = ",".join(f"c{n}" for n in range(10**6))
    start = time.time()
    status, err, rows = answers(images, f"query,refs,{wide}\na.png,b.png{',x'*10**6}\n")
    assert status == 0 and len(rows[1]) >= 10**6+2 or status == 2 and err.count("\n") == 1 and len(err) < 1000
    status, err, _ = answers(images, f"{wide}\n{',x'*(10**6-1)}\n")
    assert status == 2 and len(err) < 1000 and time.time()-start < 60


@pytest.mark.parametrize("text", ['query,refs\n"a.png,b.png\n', 'query,refs\na.png,"b.png\n'+"x"*200_000, 'query,refs\n'+'"'*99_999+',b.png\n', 'query,refs\na.png,b.png\0\n',
                                  '"query""",refs\na.png,b.png\n', 'query,refs\n"a.png"x,b.png\n', "query,refs\n'a.png','b.png'\n", "\0"*1000, '"'*10**6])
def test_quotes(images, text):
    "Quotes that are left open, doubled or misplaced, and NUL: one line, or each row its answer"
    status, err, rows = answers(images, text)
    assert status == 2 and len(err) < 1000 or all(row[-1] or row[-3] for row in rows[1:])


def environment(file):
    "The environment of a process as text; '' if it has ended"
    try:
        return file.read_bytes().decode(errors="replace")
    except OSError:
        return ""


@needs_pdf
def test_pdf_in_a_service(tmp_path, known):
    "No process is left behind by a page that hangs"
    (tmp_path/"page.pdf").write_bytes(PDFS["a form in itself"][0])
    code = f"from siamese_sig.core import apart\napart.DRAW_SECONDS = 2\nfrom siamese_sig.core.scan import read_rgb\ntry: read_rgb({str(tmp_path/'page.pdf')!r})\nexcept Exception as e: print(e)"
    mark = f"TEST_OF_{os.getpid()}_{time.monotonic_ns()}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env={**os.environ, mark: "1"})
    assert "took more than 2 seconds" in done.stdout
    assert not [file for file in Path("/proc").glob("[0-9]*/environ") if mark in environment(file)]
