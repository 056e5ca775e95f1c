"Images that scanners, phones, mail and strangers make"
import csv
import os
import shutil

import numpy as np
import pytest
from conftest import VERDICTS, cli, process, signature
from hard_images import EITHER, HARD, READ, REFUSED, grey, noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps



@pytest.fixture(scope="module")
def scan(known):
    return np.asarray(Image.open(known[0]).convert("L"))


@pytest.fixture(scope="module")
def hard(tmp_path_factory, scan):
    "A folder with all of them"
    folder = tmp_path_factory.mktemp("hard")
    for name, (make, _) in HARD.items():
        make(folder/name, scan)
    return folder


def expected(name, status, err):
    what = HARD[name][1]
    assert status in {READ: VERDICTS, REFUSED: (2,), EITHER: (*VERDICTS, 2)}[what], (name, status, err)


@pytest.mark.parametrize("name", HARD)
def test_questioned(hard, known, name):
    "One clear line and exit status 2, or a verdict"
    status, _, err = cli("verify", "--ref", known[1], "--", hard/name)
    expected(name, status, err)


@pytest.mark.parametrize("name", [n for n, (_, what) in HARD.items() if what == REFUSED])
def test_reference(hard, known, name):
    expected(name, *cli("verify", "--ref", known[1], f"--ref={hard/name}", known[0])[::2])


@pytest.mark.parametrize("name", ["two\nlines.png", "not\nutf\udcff8.png", "broken\nname.png", "broken\udcff.png", "loop.png", "16-bit.png", "bomb-15e7-px.png"])
def test_as_a_process(hard, known, name):
    "With the real streams, and an encoding that cannot say everything"
    expected(name, *process("verify", "--ref", known[1], "--", hard/name, PYTHONIOENCODING="ascii", LC_ALL="C")[::2])


@pytest.mark.parametrize("name", ["16-bit.png", "16-bit.tif", "16-bit-colour.png", "cmyk.tif", "rgba.png", "grey-alpha.png", "webp.webp", "bmp.bmp", "no-suffix"])
def test_same_pixels_same_ink(hard, known, name):
    "What only the file differs in, the ink does not"
    from siamese_sig.core.ink import preprocess
    assert np.array_equal(preprocess(hard/name), preprocess(known[0]))


@pytest.mark.parametrize("name", ["empty.png", "text.png", "zeros.png", "truncated.png", "truncated.jpg", "truncated.tif", "head-only.png", "zero-wide.png",
                                  "claims-1e9-px.png", "bomb-4e8-px.png", "icon.png", "pipe.png", "folder.png"])
def test_no_words_of_pillow(hard, name):
    "The message names the file, and says what was expected or what to do; it quotes no error of Pillow"
    from siamese_sig.core.messages import DataError
    from siamese_sig.core.scan import read_rgb
    with pytest.raises(DataError) as error:
        read_rgb(hard/name)
    assert str(error.value).startswith(f"{hard/name}: ")
    for words in ("MPO", "cannot identify", "Error", "bomb DOS", "truncated (", "object at"):
        assert words not in str(error.value).removeprefix(str(hard/name))


OTHER_FILES = {"svg.png": "an SVG drawing", "eps.png": "a PostScript file", "icon.png": "an icon", "ppm.png": "a PNM picture"}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_other_files_have_a_name(hard, known, name):
    "Their first bytes say what they are, whatever their names say"
    _, _, err = cli("verify", "--ref", known[1], hard/name, code=2)
    assert f"{name}: {OTHER_FILES[name]}" in err and "expected a PNG, JPEG or TIFF file" in err


def see_through(colour):
    "Ink of one grey level on a transparent ground, and how it is saved"
    return lambda scan: (Image.fromarray(np.stack([np.full_like(scan, colour)]*3+[255-scan], -1)), {})


def see_through_palette(mode):
    "White ink where black is marked as transparent"
    return lambda scan: (ImageOps.invert(Image.fromarray(scan)).convert(mode), dict(transparency=(0, 0, 0) if mode == "RGB" else 0))


@pytest.mark.parametrize("make", [see_through(255), see_through(235), see_through(0), see_through_palette("L"), see_through_palette("RGB")])
def test_ink_on_nothing(tmp_path, scan, make):
    "White, pale and black ink on a transparent ground is the ink of the scan"
    from siamese_sig.core.ink import ink_mask
    from siamese_sig.core.scan import read_rgb
    darkest = scan.min()
    black = ((scan-darkest)*(255/(255-darkest))).astype("uint8")
    image, how = make(black)
    image.save(tmp_path/"a.png", **how)
    ink, wanted = ink_mask(read_rgb(tmp_path/"a.png")), ink_mask(np.repeat(black[..., None], 3, 2))
    assert (ink & wanted).sum() > .9*(ink | wanted).sum()


def test_nothing_on_nothing(tmp_path, known, scan):
    "No ink: all transparent, or a blank white card with a transparent margin"
    card = np.zeros_like(scan)
    card[9:-9, 9:-9] = 255
    for opacity in (scan*0, card):
        Image.fromarray(np.stack([np.full_like(scan, 255)]*3+[opacity], -1)).save(tmp_path/"a.png")
        assert "no ink" in cli("verify", "--ref", known[1], tmp_path/"a.png", code=2)[2]


DITHERED = {"web": lambda image: image.convert("P"), "black and white": lambda image: image.convert("1"),
            "four greys": lambda image: image.quantize(palette=palette_of([(v, v, v) for v in (0, 85, 170, 255)])),
            "sixteen colours": lambda image: image.quantize(palette=palette_of([(r, g, b) for r in (0, 255) for g in (0, 128, 192, 255) for b in (0, 255)]))}


def palette_of(colours):
    palette = Image.new("P", (1, 1))
    palette.putpalette([level for colour in colours+colours[-1:]*(256-len(colours)) for level in colour])
    return palette


@pytest.mark.parametrize("name", DITHERED)
@pytest.mark.parametrize("paper", [(246, 246, 246), (244, 240, 228), (215, 215, 215)])
def test_dithered(tmp_path, scan, name, paper):
    "The dots that imitate a grainy paper are not ink and do not hide it"
    from siamese_sig.core.ink import ink_mask
    from siamese_sig.core.scan import read_rgb
    large = np.asarray(Image.fromarray(scan).resize((2*scan.shape[1], 2*scan.shape[0]), Image.Resampling.BICUBIC))
    page = large[..., None]/255*paper+np.random.default_rng(0).normal(0, 3, large.shape)[..., None]
    page = Image.fromarray(page.clip(0, 255).astype("uint8"))
    DITHERED[name](page).save(tmp_path/"a.png")
    ink, wanted = ink_mask(read_rgb(tmp_path/"a.png")), ink_mask(np.asarray(page))
    assert (ink & wanted).sum() > .75*(ink | wanted).sum()


@pytest.mark.parametrize("name", DITHERED)
def test_dithered_paper_has_no_ink(tmp_path, name):
    from siamese_sig.core.ink import preprocess
    from siamese_sig.core.messages import DataError
    rng = np.random.default_rng(0)
    for level in range(0, 256, 30):
        for spread in (0, 3, 15):
            page = level+rng.normal(0, spread, (120, 300))
            DITHERED[name](Image.fromarray(page.clip(0, 255).astype("uint8")).convert("RGB")).save(tmp_path/"a.png")
            with pytest.raises(DataError, match="no ink"):
                preprocess(tmp_path/"a.png")


@pytest.mark.parametrize("dtype, white", [("float32", 1), ("float32", 255), ("float32", 65535), ("uint16", 4095), ("int32", 255)])
def test_depths(tmp_path, scan, dtype, white):
    "A grey TIFF of any depth is the same picture"
    from siamese_sig.core.scan import read_rgb
    Image.fromarray((scan/255*white).astype(dtype)).save(tmp_path/"a.tif")
    assert np.abs(read_rgb(tmp_path/"a.tif")[..., 0]-scan.astype(int)).max() <= 1


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kw", [{}, dict(compression="tiff_lzw")])
def test_turned_tiff(tmp_path, scan, turn, kw):
    "Grey TIFF files, in 8 and 16 bits, are upright whatever way they lie"
    from siamese_sig.core.scan import read_rgb
    exif = Image.Exif()
    exif[0x112] = turn
    grids = {1: scan, 2: scan[:, ::-1], 3: scan[::-1, ::-1], 4: scan[::-1], 5: scan.T, 6: np.rot90(scan), 7: scan[::-1, ::-1].T, 8: np.rot90(scan, -1)}
    for stored in (grids[turn], grids[turn].astype("uint16")*257):
        Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path/"a.tif", exif=exif, **kw)
        assert np.array_equal(read_rgb(tmp_path/"a.tif")[..., 0], scan)


def test_cut_anywhere(tmp_path, scan):
    "A file cut short is refused or, where only what follows the pixels is missing, reads as the whole one"
    from siamese_sig.core.messages import DataError
    from siamese_sig.core.scan import read_rgb
    cases = 0
    for name, kw in {"a.png": {}, "a.jpg": {}, "p.jpg": dict(progressive=True), "a.bmp": {}, "a.tif": {}, "l.tif": dict(compression="tiff_lzw"),
                     "d.tif": dict(compression="tiff_adobe_deflate"), "a.webp": {}, "a.gif": {}}.items():
        path = tmp_path/name
        Image.fromarray(scan[:40, :60]).convert("RGB").save(path, **kw)
        whole, pixels = path.read_bytes(), read_rgb(path)
        for n in sorted({*range(0, len(whole), max(1, len(whole)//60)), *range(max(0, len(whole)-30), len(whole))}):
            path.write_bytes(whole[:n])
            cases += 1
            try:
                assert np.array_equal(read_rgb(path), pixels), (name, n, len(whole))
            except DataError:
                pass
    assert cases > 500


def questions(path, rows, header=("query", "refs")):
    with open(path, "w", newline="", encoding="utf-8") as f:
        csv.writer(f).writerows([header, *rows])


def answers(path):
    with open(path, newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def test_score_goes_on(hard, known, tmp_path):
    "A bad row is marked, the others are answered, the count is told"
    from siamese_sig.core.tables import without_apostrophe
    shutil.copy(known[1], hard/"known.png")
    names = [n for n in HARD if n.isprintable() or n == "two\nlines.png"]
    questions(tmp_path/"q.csv", [(n, "known.png") for n in names])
    _, out, _ = cli("score", tmp_path/"q.csv", "--images", hard, "--out", tmp_path/"a.csv", code=0)
    rows = [r | dict(query=without_apostrophe(r["query"])) for r in answers(tmp_path/"a.csv")]
    assert [r["query"] for r in rows] == names
    for r in rows:
        assert bool(r["error"]) != bool(r["verdict"]), r
        assert "\n" not in r["error"]
        expected(r["query"], 2 if r["error"] else 0, r["error"])
    bad = sum(bool(r["error"]) for r in rows)
    assert f"{len(rows)-bad} rows scored, {bad} with errors" in out
    (hard/"known.png").unlink()


def data_set(root, people, hard, train=4, test=2, bad=("truncated.png", "blank.png", "loop.png", "folder.png", "text.png")):
    "A data set in Kaggle's layout with some files that are no signatures among the genuine and the forged"
    whole = dict(zip(("train", "test"), (list(people.items())[:train], list(people.items())[train:train+test])))
    for split, some in whole.items():
        rows = []
        for n, (w, (genuine, forged)) in enumerate(some):
            names = {}
            for kind, files in (("", genuine[:5]), ("_forg", forged[:4])):
                (root/split/f"{w}{kind}").mkdir(parents=True)
                for f in files:
                    shutil.copy(f, root/split/f"{w}{kind}")
                names[kind] = [f"{w}{kind}/{os.path.basename(f)}" for f in files]
                if n == 0 and bad:
                    for b in bad:
                        os.symlink(hard/b, root/split/f"{w}{kind}"/b)
                    names[kind] += [f"{w}{kind}/{b}" for b in bad]
            good, fake = names[""], names["_forg"]
            rows += [(a, b, 0) for i, a in enumerate(good) for b in good[:i]]+[(a, b, 1) for a in good for b in fake]
        with open(root/f"{split}_data.csv", "w", newline="") as f:
            csv.writer(f).writerows(rows)
    return root


@pytest.fixture(scope="module")
def mixed(tmp_path_factory, people, hard):
    "A data set with 20 bad files in it"
    return data_set(tmp_path_factory.mktemp("mixed")/"set", people, hard)


def test_audit_goes_on(mixed):
    _, out, err = cli("data", "audit", mixed, code=0)
    assert "20 of 74 images cannot be used and are left out, with 210 of 390 pairs" in err, err
    assert "shortcuts" in out


def test_enrol_goes_on(mixed, tmp_path):
    _, out, err = cli("enrol", mixed/"train", "--out", tmp_path/"refs.parquet", code=0)
    assert "20 signatures of 4 writers enrolled" in out and "5 left out" in out, (out, err)
    assert err.count("left out: ") == 5 and err.count("siamese-sig ink ") == 1, err


def test_calibrate_goes_on(mixed, tmp_path):
    _, out, err = cli("calibrate", mixed, "--out", tmp_path/"mine.json", code=0)
    assert "11 of 65 images cannot be used" in err, err  # copies count once


def test_adapt_goes_on(mixed, tmp_path):
    _, out, err = cli("train", "--from", "bundled", "--data", mixed, "--out", tmp_path/"mine", code=0)
    assert "images cannot be used" in err, err


def test_train_goes_on(mixed, tmp_path):
    "Training and evaluation leave them out, and say so"
    _, out, err = cli("train", "--recipe", "original", "--data", mixed, "--out", tmp_path/"run", "--epochs", 1, "--steps-per-epoch", 2, "--size", "24x40", "--batch-size", 8, code=0)
    assert "images cannot be used" in err, err
    cli("evaluate", tmp_path/"run", code=0)
    import json
    metrics = json.loads((tmp_path/"run/metrics.json").read_text())
    assert metrics["unusable"]["images"] == 10 and metrics["unusable"]["pairs"] > 0


def test_blank_is_nobodys_signature(known, tmp_path, scan, people):
    "Blank, grey, black and noise are refused, whatever the reference, even a blank one, by the bundled verifier and by a network"
    makers = [grey(v) for v in (255, 254, 200, 128, 1, 0)]+[noise(s, seed) for s in (None, .5, 2, 8, 30) for seed in range(3)]
    for k, make in enumerate(makers):
        make(tmp_path/f"{k}.png", scan)
        cli("verify", "--ref", known[0], tmp_path/f"{k}.png", code=2)
        cli("verify", "--ref", tmp_path/f"{k}.png", tmp_path/f"{k}.png", code=2)


@pytest.mark.parametrize("read", ["ink", "scan"])
def test_blank_is_nobodys_signature_to_a_network(known, tmp_path, scan, people, hard, read):
    root = data_set(tmp_path/"set", people, hard, bad=())
    cli("train", "--recipe", "original", "--data", root, "--out", tmp_path/"run", "--epochs", 1, "--steps-per-epoch", 2, "--size", "24x40", "--batch-size", 8, "--input", read, code=0)
    for k, make in enumerate((grey(255), grey(0), noise(None), noise(2))):
        make(tmp_path/f"{k}.png", scan)
        for ref in (known[0], tmp_path/f"{k}.png"):
            _, _, err = cli("verify", "--model", tmp_path/"run", "--ref", ref, tmp_path/f"{k}.png", code=2)
            assert "no ink" in err


@settings(max_examples=40)
@given(st.integers(0, 255), st.floats(0, 60), st.integers(0, 2**31), st.sampled_from([(1, 1), (3, 200), (60, 180), (300, 700)]), st.booleans())
def test_noise_is_refused(level, spread, seed, size, shaded):
    "Paper of any grey with noise of any strength, lit from one side or not, holds no ink"
    from siamese_sig.core.messages import DataError
    from siamese_sig.core.ink import ink_pixels
    page = level+spread*np.random.default_rng(seed).normal(size=size)
    if shaded:
        page = page*np.linspace(1, .5, size[1])
    rgb = np.repeat(np.clip(page, 0, 255).astype("uint8")[..., None], 3, 2)
    with pytest.raises(DataError, match="no ink"):
        ink_pixels(rgb)


def test_pictures(known, tmp_path):
    "--picture into a folder that is not there, of a format that is not known, or onto a folder"
    cli("verify", "--ref", known[0], known[0], "--picture", tmp_path/"why.png", code=0)
    for bad in (tmp_path/"no/why.png", tmp_path/"why.xyz", tmp_path):
        cli("verify", "--ref", known[0], known[0], "--picture", bad, code=2)


def test_made_up_signature(tmp_path):
    "The helper of the other tests draws something that is read"
    Image.fromarray(signature()).save(tmp_path/"a.png")
    cli("verify", "--ref", tmp_path/"a.png", tmp_path/"a.png", code=0)
