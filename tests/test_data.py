"Data as people have it: layouts of other sets, labels the wrong way round, csv dialects, formats, first commands"
import csv
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import VERDICTS, cli, signature
from PIL import Image

from siamese_sig.core.folders import understand
from siamese_sig.core.layouts import read_data, read_signatures
from siamese_sig.core.messages import DataError

GENUINE, FORGED = 3, 2
NAMES = {  # layout -> name of a file of a writer, whether forged, number
    "cedar": lambda w, f, k: f"full_forg/forgeries_{w}_{k}.png" if f else f"full_org/original_{w}_{k}.png",
    "bhsig": lambda w, f, k: f"{w:03}/B-S-{w}-{'F' if f else 'G'}-{k:02}.tif",
    "gpds": lambda w, f, k: f"{w:03}/{'cf' if f else 'c'}-{w:03}-{k:02}.jpg",
    "forged": lambda w, f, k: f"{w:03}{'_forged' if f else ''}/{k}.png",
    "letter": lambda w, f, k: f"{w:03}{'-f' if f else ''}/{k}.png",
    "inside": lambda w, f, k: f"{w:03}/{'forged' if f else 'genuine'}/{k}.png",
    "around": lambda w, f, k: f"{'Forgeries' if f else 'Genuine'}/{w:03}/{k}.png",
    "below": lambda w, f, k: f"download/set/{w:03}{'_forg' if f else ''}/{k}.png",
    "sigcomp": lambda w, f, k: f"forge/NFI-9{w:02}{k:02}{w:03}.png" if f else f"real/NFI-{w:03}{k:02}{w:03}.png",
}


def lay_out(root, name, writers=4):
    "Signatures of some writers, named in a way; genuine ones differ in nothing else"
    for writer in range(1, writers+1):
        for forged, n in ((False, GENUINE), (True, FORGED)):
            for k in range(1, n+1):
                path = root/NAMES[name](writer, forged, k)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(signature((60, 160), 100*writer+10*forged+k)).convert("RGB").save(path)
    return root


@pytest.mark.parametrize("name", NAMES)
def test_layouts(tmp_path, name):
    "Each is read as what it is, and enrol takes the genuine ones alone"
    root = lay_out(tmp_path/"set", name)
    images, pairs, words = read_data(root)
    assert images.writer.nunique() == 4 and images.forged.sum() == 4*FORGED and len(images) == 4*(GENUINE+FORGED)
    assert pairs.label.sum() == 4*GENUINE*FORGED and words
    _, out, _ = cli("enrol", root, "--out", tmp_path/"refs.parquet", code=0)
    assert f"{4*GENUINE} signatures of 4 writers enrolled" in out and root.name in out


def test_calibrate_any_layout(tmp_path):
    _, out, _ = cli("calibrate", lay_out(tmp_path/"set", "bhsig"), "--out", tmp_path/"c.json", code=0)
    assert "genuine or forged in the names of files" in out


@pytest.mark.parametrize("extra,why", [("001/fake_9.png", "named like forgeries"), ("001/001_f01.png", "named like forgeries"), ("genuine/009/1.png", "two layouts at once"),
                                       ("001/2020/1.png", "two layouts at once"), ("ann-f/1.png", None)])
def test_doubtful(tmp_path, extra, why):
    "What could be two things is refused by all commands, in one line, and nothing is written"
    root = lay_out(tmp_path/"set", "forged")
    (root/extra).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(signature((60, 160), 1)).save(root/extra)
    commands = (["enrol", root, "--out", tmp_path/"r.parquet"], ["data", "import", root, tmp_path/"new"], ["train", "--data", root, "--out", tmp_path/"run"],
                ["calibrate", root, "--out", tmp_path/"c.json"], ["data", "audit", root])
    if why is None:
        assert "ann-f" in set(read_signatures(root).writer)  # nobody has the folder without the letter
        return
    for command in commands:
        _, _, err = cli(*command, code=2)
        assert why in err and err.count("\n") == 1, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]


def test_say_which(tmp_path):
    root = lay_out(tmp_path/"set", "forged")
    Image.fromarray(signature((60, 160), 1)).save(root/"001/001_f01.png")
    for layout, forged in (("names", 4*FORGED+1), ("folders", 4*FORGED)):
        assert read_signatures(root, layout).forged.sum() == forged
        cli("enrol", root, "--layout", layout, "--out", tmp_path/f"{layout}.parquet", code=0)
    cli("enrol", root, "--layout", "sideways", "--out", tmp_path/"x.parquet", code=2)


def kaggle(root, labels=lambda label: label, header=""):
    "A data set in Kaggle's layout whose labels are written in a way"
    lay_out(root/"all", "letter")
    for split, writers in (("train", (1, 2, 3)), ("test", (4,))):
        rows = []
        for w in writers:
            for suffix in ("", "-f"):
                shutil.copytree(root/"all"/f"{w:03}{suffix}", root/split/f"{w:03}{suffix.replace('-f', '_forg')}")
            own = [f"{w:03}/{k}.png" for k in range(1, GENUINE+1)]
            rows += [(a, b, 0) for i, a in enumerate(own) for b in own[:i]] + [(a, f"{w:03}_forg/{k}.png", 1) for a in own for k in range(1, FORGED+1)]
        (root/f"{split}_data.csv").write_text(header+"".join(f"{a},{b},{labels(label)}\n" for a, b, label in rows))
    shutil.rmtree(root/"all")
    return root


def test_labels_the_wrong_way_round(tmp_path):
    "A csv with 1 for genuine is an error for audit and train; with a title that says so, it is not"
    turned = kaggle(tmp_path/"turned", lambda label: 1-label)
    for command in (["data", "audit", turned], ["train", "--data", turned, "--out", tmp_path/"run"]):
        _, out, err = cli(*command, code=2)
        assert "the labels are the wrong way round" in err and "clean" not in out
    titled = kaggle(tmp_path/"titled", lambda label: 1-label, "image1,image2,genuine\n")
    right = kaggle(tmp_path/"right", lambda label: ["genuine", "Forged"][label])
    assert read_data(titled).pairs.label.tolist() == read_data(right).pairs.label.tolist()
    one = kaggle(tmp_path/"one")
    text = (one/"train_data.csv").read_text()
    (one/"train_data.csv").write_text(text.replace("001/2.png,001/1.png,0", "001/2.png,001/1.png,1"))
    with pytest.raises(DataError, match="1 of 27 labels contradict the folders, the first of 001/2.png and 001/1.png"):
        read_data(one)


def test_labels_that_contradict_each_other(tmp_path):
    "Without folders that say anything, the pairs themselves say it"
    for n in range(6):
        Image.fromarray(signature((60, 160), n)).save(tmp_path/f"{n}.png")
    right = [(0, 1, 0), (0, 2, 0), (1, 2, 0), (0, 3, 1), (1, 3, 1), (2, 3, 1), (4, 5, 0)]
    def write(rows):
        (tmp_path/"pairs.csv").write_text("".join(f"{a}.png,{b}.png,{label}\n" for a, b, label in rows))
    write(right)
    images = read_signatures(tmp_path/"pairs.csv")
    assert images.writer.nunique() == 2 and images.path[images.forged].str.endswith("3.png").all()
    write([(a, b, 1-label) for a, b, label in right])
    with pytest.raises(DataError, match="the labels are the wrong way round"):
        read_signatures(tmp_path/"pairs.csv")
    write([*right[:2], (1, 2, 1), *right[3:]])
    with pytest.raises(DataError, match="labelled 1 are connected by pairs labelled 0"):
        read_signatures(tmp_path/"pairs.csv")


def test_own_folder(tmp_path):
    "The folder that calibrate takes does for train, audit and import; so do train/ and test/ without csv, and a folder above"
    root = lay_out(tmp_path/"my_scans", "forged")
    _, out, _ = cli("data", "audit", root, code=0)
    assert "4 writers, 12 genuine signatures, 8 forgeries" in out and "kept for the test: 1 writer" in out and "fewer than 6 genuine signatures" in out
    _, out, _ = cli("data", "import", root, tmp_path/"new", code=0)
    first = {p.relative_to(tmp_path/"new") for p in (tmp_path/"new").rglob("*")}
    cli("data", "import", root, tmp_path/"again", "--seed", 0, code=0)
    assert first == {p.relative_to(tmp_path/"again") for p in (tmp_path/"again").rglob("*")}
    (tmp_path/"above").mkdir()
    shutil.move(tmp_path/"new", tmp_path/"above/new")
    cli("data", "audit", tmp_path/"above", code=0)
    for name in ("train_data.csv", "test_data.csv"):
        (tmp_path/"above/new"/name).unlink()
    assert read_data(tmp_path/"above").pairs.split.nunique() == 2
    cli("data", "import", root, tmp_path/"again", code=2)


def test_train_on_own_folder(tmp_path):
    "Trained, evaluated and asked, from a folder without csv"
    root = lay_out(tmp_path/"my_scans", "bhsig", writers=6)
    _, out, _ = cli("train", "--data", root, "--out", tmp_path/"run", "--recipe", "original", "--size", "40x72", "--epochs", 1, "--steps-per-epoch", 2, "--batch-size", 4, code=0)
    assert "genuine or forged in the names of files" in out
    cli("evaluate", tmp_path/"run", "--data", root, code=0)


def pdf(path, *pages):
    first, *more = [Image.fromarray(page).convert("RGB") for page in pages]
    first.save(path, save_all=True, append_images=more, resolution=300)


def test_formats(tmp_path, known):
    "PDF and HEIC are read, a page of a PDF is named, and the rest is named"
    pillow_heif = pytest.importorskip("pillow_heif")
    pytest.importorskip("pypdfium2")
    scans = [np.asarray(Image.open(path).convert("RGB")) for path in known]
    pdf(tmp_path/"letter.pdf", *scans)
    pillow_heif.from_pillow(Image.fromarray(scans[1])).save(tmp_path/"me.heic", quality=95)
    Image.fromarray(scans[1]).save(tmp_path/"me.gif")
    (tmp_path/"me.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    for name in ("letter.pdf", "letter.pdf#2", "me.heic", "me.gif"):
        status, _, _ = cli("verify", known[0], known[2], tmp_path/name)
        assert status in VERDICTS, name
    for name, why in (("me.svg", "an SVG drawing"), ("letter.pdf#4", "the PDF has 3 pages"), ("none.pdf#1", "no such image")):
        assert why in cli("verify", known[0], tmp_path/name, code=2)[2]
    (tmp_path/"cut.pdf").write_bytes((tmp_path/"letter.pdf").read_bytes()[:300])
    assert "PDF" in cli("verify", known[0], tmp_path/"cut.pdf", code=2)[2]


@pytest.mark.parametrize("module,file,extra", [("pypdfium2", "letter.pdf", "pdf"), ("pillow_heif", "me.heic", "heic")])
def test_without_the_library(tmp_path, known, monkeypatch, module, file, extra):
    "One line that names the extra"
    monkeypatch.setitem(sys.modules, module, None)
    heads = dict(pdf=b"%PDF-1.4\n%", heic=b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (tmp_path/file).write_bytes(heads[extra]+bytes(100))
    assert f"pip install 'siamese_sig[{extra}]'" in cli("verify", known[0], tmp_path/file, code=2)[2]


def test_arrays_and_pictures(known):
    from siamese_sig.verify import Verifier
    verifier = Verifier.load()
    picture = Image.open(known[1])
    score = verifier.verify(known[1], known[0]).score
    for questioned in (picture, np.asarray(picture), np.asarray(picture.convert("RGB")), np.asarray(picture.convert("L"))/255):
        assert abs(verifier.verify(questioned, [Image.open(known[0])]).score-score) < 1e-6
    for wrong in (np.zeros((0, 5)), np.zeros(7), np.full((40, 90), -3.), np.zeros((30, 40, 2), "uint8"), np.full((40, 90), np.nan)):
        with pytest.raises(DataError, match="the image: the array"):
            verifier.verify(wrong, known[0])


def test_score_dialects(tmp_path, known):
    "Semicolons, tabs, capitals, backslashes, UTF-16 of Excel: the same answers"
    (tmp_path/"scans/k").mkdir(parents=True)
    for n, path in enumerate(known):
        shutil.copy(path, tmp_path/f"scans/k/{n}.png")
    texts = dict(comma="query,refs\nk/0.png,k/1.png|k/2.png\n", semicolon="query;refs\nk/0.png;k/1.png|k/2.png\n", tab="Query\tRefs\nk/0.png\tk/1.png|k/2.png\n",
                 windows="QUERY,REFERENCES\r\nk\\0.png,k\\1.png|k\\2.png\r\n", inside='query,refs\nk/0.png,"k/1.png;k/2.png"\n', sep="sep=;\nquery;refs\nk/0.png;k/1.png|k/2.png\n")
    scores = set()
    for name, text in texts.items():
        (tmp_path/f"{name}.csv").write_text(text, encoding="utf-16" if name == "tab" else "utf-8")
        cli("score", tmp_path/f"{name}.csv", "--images", tmp_path/"scans", "--out", tmp_path/"out.csv", code=0)
        scores.add(next(csv.DictReader(open(tmp_path/"out.csv")))["score"])
    assert len(scores) == 1
    (tmp_path/"pairs.csv").write_text("img1,img2,label\nk/0.png,k/1.png,0\n")
    assert "found img1, img2, label" in cli("score", tmp_path/"pairs.csv", "--images", tmp_path/"scans", "--out", tmp_path/"o.csv", code=2)[2]
    (tmp_path/"gone.csv").write_text("query,refs\nk/7.png,k/1.png\n")
    _, _, err = cli("score", tmp_path/"gone.csv", "--images", tmp_path/"scans", "--out", tmp_path/"o.csv", code=2)
    assert "no row could be answered" in err and "7.png" in err and (tmp_path/"o.csv").exists()


def test_calibrate_on_few(tmp_path):
    "Told to be too few; a rare error rate is not set, and asking for it is one line"
    root = tmp_path/"few"
    lay_out(root, "forged", writers=5)
    _, out, _ = cli("calibrate", root, "--out", tmp_path/"c.json", code=0)
    assert "too few to be sure" in out and "far_0.1 not set" in out
    a, b = (root/f"001/{k}.png" for k in (1, 2))
    assert "far_0.1" in cli("verify", a, b, "--calibration", tmp_path/"c.json", "--point", "far_0.1", code=2)[2]


def test_first_commands(tmp_path, known, people):
    "What people type first"
    (tmp_path/"known").mkdir()
    files = [shutil.copy(path, tmp_path/"known"/f"{n}.png") for n, path in enumerate(known)]
    questioned = people[list(people)[1]][0][0]
    status, out, _ = cli("verify", files[0], files[1], files[2], questioned)
    assert status in VERDICTS
    for command in (["--ref", tmp_path/"known", questioned], ["--ref", *files, questioned], [questioned, "--ref", tmp_path/"known"]):
        assert cli("verify", *command)[:2] == (status, out), command
    assert "Put it last" in cli("verify", questioned, "--ref", *files, code=2)[2]
    assert "siamese-sig verify known.png" in cli("verify", questioned, code=2)[2]
    assert "a folder" in cli("verify", files[0], tmp_path/"known", code=2)[2]
    forgery = next(iter(people.values()))[1][0]
    assert "named like a forgery" in cli("verify", "--ref", forgery, questioned, code=2)[2]


def test_enrol_names_what_it_passed_over(tmp_path, known):
    for n, path in enumerate(known):
        (tmp_path/"people/anna").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path/f"people/anna/{n}.png")
    (tmp_path/"people/bob").mkdir()
    for name in ("anna/s.svg", "bob/notes.txt", "bob/broken.heic"):
        (tmp_path/"people"/name).write_text("<svg/>" if name.endswith("svg") else "text")
    _, out, err = cli("enrol", tmp_path/"people", "--out", tmp_path/"refs.parquet", code=0)
    assert all(name in err for name in ("anna/s.svg", "bob/notes.txt", "bob/broken.heic"))
    assert "without a reference: bob" in out and "3 signatures of 1 writer enrolled" in out


def test_identify(tmp_path, people):
    for writer, (genuine, _) in list(people.items())[:3]:
        (tmp_path/"people"/writer).mkdir(parents=True)
        for path in genuine[:2]:
            shutil.copy(path, tmp_path/"people"/writer)
    cli("enrol", tmp_path/"people", "--out", tmp_path/"refs.parquet", code=0)
    writer = list(people)[1]
    _, out, _ = cli("identify", people[writer][0][3], "--enrolled", tmp_path/"refs.parquet", "--top", 2, code=0)
    assert out.splitlines()[1].split()[1] == writer and len(out.splitlines()) == 4 and "not enrolled" in out
    cli("identify", people[writer][0][3], "--enrolled", tmp_path/"none.parquet", code=2)


def test_closed_pipe(tmp_path, known):
    "`… | head` is silent"
    command = f"{sys.executable} -m siamese_sig ink {' '.join(map(str, known))} --out {tmp_path/'seen.png'} | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert not done.stderr and not done.stdout


BAD = {
    "writers Anna, anna differ by capitals alone": ("Anna/1.png", "anna/2.png"),
    "no genuine signature of bo": ("anna/1.png", "anna/2.png", "bo_forg/1.png"),
    "does not say whose signature it is": ("genuine/1.png", "forged/1.png"),
    "images lie in the folder itself": ("1.png", "2.png"),
    "images lie two folders deep": ("a/x/1.png", "b/y/1.png"),
}


@pytest.mark.parametrize("why", BAD)
def test_bad_folders(tmp_path, why):
    for n, name in enumerate(BAD[why]):
        (tmp_path/"set"/name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(signature((60, 160), n)).save(tmp_path/"set"/name)
    status, out, err = cli("data", "audit", tmp_path/"set")
    assert why in out+err and status == 2


def test_odd_names(tmp_path):
    "Blanks, other scripts, links, loops, an unreadable folder"
    root = tmp_path/"set"
    for n, name in enumerate(("Иван Петров/1.png", "O'Brien, Pat (2)/1.png", "李/1.png")):
        (root/name).parent.mkdir(parents=True)
        Image.fromarray(signature((60, 160), n)).save(root/name)
    (root/"李/loop").symlink_to(root)
    (root/"李/gone.png").symlink_to(root/"nowhere.png")
    (root/"copy").symlink_to(root/"Иван Петров")
    images = read_signatures(root)
    assert set(images.writer) == {"Иван Петров", "O'Brien, Pat (2)", "李", "copy"}
    _, out, err = cli("enrol", root, "--out", tmp_path/"refs.parquet", code=0)
    assert "4 signatures of 4 writers" in out and "gone.png" in err
    if os.geteuid():  # root reads everything
        (root/"李").chmod(0)
        with pytest.raises(DataError, match="cannot be read"):
            read_signatures(root)
        (root/"李").chmod(0o700)


@pytest.mark.slow
def test_many_files(tmp_path, tried):
    "10^5 files: a list of names, not of images, is held"
    import resource
    png = io.BytesIO()
    Image.fromarray(signature((30, 60), 0)).save(png, "PNG")
    for writer in range(2000):
        for suffix in ("", "_forg"):
            folder = tmp_path/"set"/f"{writer:04}{suffix}"
            folder.mkdir(parents=True)
            for k in range(25):
                (folder/f"{k:02}.png").write_bytes(png.getvalue())
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024, time.time()
    understood = understand(tmp_path/"set")
    assert sum(1 for _ in understood.files()) == 100_000
    images = read_signatures(tmp_path/"set")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024-before
    tried(100_000, f"{grown} MB, {time.time()-start:.0f} s")
    assert len(images) == 100_000 and grown < 300
    assert Path(images.path[0]).exists()
