"""What becomes of a signature with few pixels? Real questions made smaller, three references at full size each.

Example: python benchmarks/small_images.py ../shared/data benchmarks/results/small_images.json

People for choosing. Asked are two genuine signatures of each person, two skilled forgeries and one of somebody else, with 48 to 160 pixels
on their longer side; threshold balanced. Rows: by set, size and kind of question, what was answered.
"""
import argparse
from collections import Counter
from pathlib import Path

from common import write_results
from PIL import Image
from sets import PEOPLE

from siamese_sig import Verifier, read_images
from siamese_sig.core.messages import DataError, progress

SIDES = 48, 64, 80, 96, 112, 128, 160
VERDICTS = "genuine", "inconclusive", "forged", "refused"


def asked_about(images, writer):
    "(kind, path) of the questions about a person"
    own = images[(images.writer == writer) & ~images.forged].path
    forged = images[(images.writer == writer) & images.forged].path
    strangers = images[(images.writer > writer) & ~images.forged].path
    return [*(("genuine", path) for path in own[3:5]), *(("skilled forgery", path) for path in forged[:2]), *(("stranger", path) for path in strangers[:1])]


def smaller(path, side):
    "A signature with so many pixels on its longer side"
    picture = Image.open(path).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def answer(verifier, picture, references):
    try:
        return verifier.verify(picture, references).verdict
    except DataError:
        return "refused"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="json")
    args = parser.parse_args()
    verifier, counts = Verifier.load(), Counter()
    for name in ("sign_data", "phone"):
        images = read_images(args.data/name)
        images = images[images.writer.astype(int).between(*PEOPLE[name][0])]
        for writer in progress(images.writer.unique(), name):
            own = images[(images.writer == writer) & ~images.forged].path
            for kind, path in asked_about(images, writer) if len(own) > 4 else []:
                for side in SIDES:
                    counts[name, side, kind, answer(verifier, smaller(path, side), own[:3].tolist())] += 1
    asked = sorted({key[:3] for key in counts})
    rows = [dict(set=name, side=side, asked=kind, **{verdict: counts[name, side, kind, verdict] for verdict in VERDICTS}) for name, side, kind in asked]
    write_results(args.out, "sign_data 001-048, phone 001-020", rows=rows)


if __name__ == "__main__":
    main()
