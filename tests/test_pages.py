"""Pages as people have them: what lies on a page must neither make strangers alike nor hide the signature. Made pages of embedded
signatures, by the bundled verifier."""
import numpy as np
import pytest
from PIL import Image, ImageDraw

from siamese_sig.core.ink import Doubt, find_ink, read_ink
from siamese_sig.core.layouts import embedded_data, read_images
from siamese_sig.core.messages import DataError
from siamese_sig.core.pages import KINDS, scan_of
from siamese_sig.verify import Verifier

IMAGES = read_images(embedded_data())
GENUINE = IMAGES[~IMAGES.forged].groupby("writer").path.apply(list)
WRITERS = GENUINE.index[[5, 6, 7, 9]]  # none of them signs with a ring or a frame
FILES = {}


def on_page(tmp_path_factory, path, kind, seed=1):
    "A file with a signature on a page of a kind; made once"
    if (path, kind) not in FILES:
        scan, _ = scan_of(path, KINDS[kind], np.random.default_rng(seed))
        FILES[path, kind] = tmp_path_factory.mktemp("pages")/"page.png"
        Image.fromarray(scan).save(FILES[path, kind])
    return FILES[path, kind]


@pytest.fixture(scope="module")
def verifier():
    return Verifier.load()


@pytest.mark.parametrize("kind", ["ruled", "ruled_far_askew", "ruled_in_black", "blue_print", "blue_form", "label", "black_form", "cheque", "capitals"])
def test_strangers_on_the_same_page(tmp_path_factory, verifier, kind):
    "Two people on the same form or paper: what the pages share is no evidence"
    for one, other in zip(WRITERS, [*WRITERS[1:], WRITERS[0]]):
        known, asked = (on_page(tmp_path_factory, GENUINE[writer][0], kind) for writer in (one, other))
        assert verifier.verify(asked, known).verdict != "genuine", (kind, one, other)


@pytest.mark.parametrize("kind", ["blue_dotted", "blue_dashed", "blue_form", "blue_scrap", "blue_large_print", "black_form", "dotted",
                                  "ruled", "box_photo", "fingers", "blinds", "dim_corners", "hand_shadow", "pencil_black_edge"])
def test_the_same_signature_on_another_page(tmp_path_factory, verifier, kind):
    "The very same ink on a made page and on a clean one: never a forgery"
    for writer in WRITERS:
        known, asked = (on_page(tmp_path_factory, GENUINE[writer][0], name) for name in ("clean", kind))
        assert verifier.verify(asked, known).verdict != "forged", (kind, writer)


def saved(tmp_path, draw, size=(800, 300)):
    "A file with what `draw` draws in black on white"
    image = Image.new("RGB", size, "white")
    draw(ImageDraw.Draw(image))
    image.save(tmp_path/"drawn.png")
    return tmp_path/"drawn.png"


def qr_like(pencil):
    "Blocks of 10 pixels, as in a QR code"
    for y, x in zip(*np.nonzero(np.random.default_rng(0).random((20, 20)) < .55)):
        pencil.rectangle((300+10*x, 50+10*y, 309+10*x, 59+10*y), fill="black")


@pytest.mark.parametrize("draw, told", {
    "stroke": (lambda p: p.line((100, 150, 700, 160), "black", 6), "a single straight stroke"),
    "oblique stroke": (lambda p: p.line((100, 250, 500, 60), "black", 8), "a single straight stroke"),
    "circle": (lambda p: p.ellipse((300, 50, 460, 210), outline="black", width=6), "a ring or a frame"),
    "ellipse": (lambda p: p.ellipse((200, 80, 600, 200), outline="black", width=5), "a ring or a frame"),
    "square": (lambda p: p.rectangle((300, 50, 480, 230), outline="black", width=5), "a ring or a frame"),
    "QR code": (qr_like, "a filled shape or a pattern"),
    "typed text": (lambda p: p.text((60, 100), "Signature of the account holder", "black", font_size=44), "looks like a page of print"),
    "blank": (lambda p: None, "no ink found")}.values())
def test_no_handwriting(tmp_path, draw, told):
    "What is no signature gets no verdict, and is named"
    with pytest.raises(DataError, match=told):
        read_ink(saved(tmp_path, draw))


def test_several_signatures_and_few_pixels(tmp_path):
    one = np.asarray(Image.open(GENUINE[WRITERS[0]][0]).convert("RGB"))
    two = np.concatenate([one, np.full_like(one[:len(one)//2], 255), one])
    Image.fromarray(two).save(tmp_path/"two.png")
    with pytest.raises(DataError, match="several signatures"):
        read_ink(tmp_path/"two.png")
    Image.fromarray(one).resize((36, 36*one.shape[0]//one.shape[1])).save(tmp_path/"tiny.png")
    with pytest.raises(DataError, match="pixels across"):
        read_ink(tmp_path/"tiny.png")


def test_a_page_full_of_text(tmp_path):
    "A page of print is never 'no ink found': the signature below it is found, or the page is refused as print"
    scan, truth = scan_of(GENUINE[WRITERS[0]][0], KINDS["letter"], np.random.default_rng(3))
    found = find_ink(scan)
    assert not found.refusal and (found.mask & truth).sum() > .95*truth.sum()
    assert "no ink" not in find_ink(scan[:820]).refusal and find_ink(scan[:820]).refusal


def test_a_broad_pen_is_no_verdict(tmp_path_factory, tmp_path, verifier):
    "A felt pen beside a fine one: the score is told, a verdict is not"
    path = GENUINE[WRITERS[1]][0]
    scan, _ = scan_of(path, KINDS["clean"]._replace(wider=24), np.random.default_rng(1))
    Image.fromarray(scan).save(tmp_path/"felt.png")
    answer = verifier.verify(tmp_path/"felt.png", on_page(tmp_path_factory, path, "clean"))
    assert answer.verdict == "inconclusive" and any("broad pen" in note for note in answer.notes)
    both = verifier.verify(tmp_path/"felt.png", tmp_path/"felt.png")
    assert both.verdict == "genuine"


def test_doubts_reach_the_verdict(tmp_path_factory, verifier):
    "A note on the question and on the references, each named"
    path, another = GENUINE[WRITERS[1]][:2]
    clean, across = (on_page(tmp_path_factory, path, kind) for kind in ("clean", "label_across"))
    other = on_page(tmp_path_factory, another, "clean")
    assert read_ink(across).doubts & Doubt.PRINT_LEFT
    notes = verifier.verify(across, [clean, clean]).notes
    assert any(note.startswith("the questioned signature: print") for note in notes)
    notes = verifier.verify(clean, [other, across]).notes
    assert any(note.startswith("1 of 2 references: print") for note in notes)
