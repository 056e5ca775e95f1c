"Copies of a reference count once, a copied question says so, and a calibration on few people says what it cannot know"
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from siamese_sig.core.layouts import default_data, read_images
from siamese_sig.core.messages import DataError
from siamese_sig.verify import COPIED, Verifier, calibrate


@pytest.fixture(scope="module")
def verifier():
    return Verifier.load()


@pytest.fixture(scope="module")
def signatures():
    "Paths of three genuine signatures of one writer"
    images = read_images(default_data())
    return images.path[(images.writer == "051") & ~images.forged].tolist()[:3]


def as_jpeg(path, file):
    Image.open(path).convert("RGB").save(file, quality=60)
    return file


def larger(path, file):
    image = Image.open(path).convert("RGB")
    image.resize((2*image.width, 2*image.height), Image.Resampling.BICUBIC).save(file)
    return file


def with_margin(path, file):
    page = np.asarray(Image.open(path).convert("L"))
    Image.fromarray(cv2.copyMakeBorder(page, 30, 12, 41, 20, cv2.BORDER_CONSTANT, value=255)).save(file)
    return file


COPIES = {"the same file": lambda path, file: shutil.copy(path, file), "JPEG": as_jpeg, "twice as large": larger, "with a margin": with_margin}


@pytest.mark.parametrize("copy", COPIES.values(), ids=list(COPIES))
def test_copies_of_a_reference_count_once(verifier, signatures, tmp_path, copy):
    reference, _, questioned = signatures
    file = tmp_path/("copy.jpg" if copy is as_jpeg else "copy.png")
    alone, twice = verifier.verify(questioned, [reference]), verifier.verify(questioned, [reference, copy(reference, file)])
    assert twice.verdict == alone.verdict and twice.threshold == alone.threshold
    assert twice.score == pytest.approx(alone.score, abs=1e-6) and twice.contributions == pytest.approx(alone.contributions, abs=1e-5)
    assert twice.references == 1 and "the same ink counts once" in twice.notes[0]


@pytest.mark.parametrize("copy", COPIES.values(), ids=list(COPIES))
def test_a_question_that_is_a_reference_says_so(verifier, signatures, tmp_path, copy):
    reference, other, _ = signatures
    file = tmp_path/("copy.jpg" if copy is as_jpeg else "copy.png")
    assert COPIED in verifier.verify(copy(reference, file), [other, reference]).notes


def test_other_signatures_are_no_copies(verifier):
    images = read_images(default_data())
    genuine = images[~images.forged & (images.split == "test")].reset_index(drop=True)
    features = np.stack([verifier.matcher.one(path) for path in genuine.path])
    a, b = np.triu_indices(len(genuine), 1)
    assert not verifier.matcher.copies(features, a, b).any()


def test_calibration_on_few_people_knows_its_limits(verifier, tmp_path):
    images = read_images(default_data())
    for writer in sorted(images.writer.unique())[:4]:
        for forged, count in ((False, 3), (True, 1)):
            folder = tmp_path/"mine"/(f"{writer}_forg" if forged else writer)
            folder.mkdir(parents=True)
            for path in images.path[(images.writer == writer) & (images.forged == forged)].tolist()[:count]:
                shutil.copy(path, folder)
    few = calibrate(verifier, tmp_path/"mine", tmp_path/"mine.json")
    assert list(few.references["1"]["thresholds"]) == ["balanced"]
    low, high = few.references["1"]["validation_eer_interval"]
    assert high-low > .1 and few.references["1"]["validation_writers"] == 4
    again = Verifier.load(calibration=tmp_path/"mine.json")
    one, other = (images.path[~images.forged].tolist()[k] for k in (0, 1))
    assert again.verify(other, [one]).references == 1
    with pytest.raises(DataError, match="at least 1,000 forgeries can tell it"):
        again.verify(other, [one], point="far_0.1")


def test_every_number_of_references_has_its_threshold(verifier):
    assert list(verifier.references) == [str(k) for k in range(1, 11)]
