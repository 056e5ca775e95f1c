"""Does a verdict stay what it is when the same signature comes in another file, on other paper, larger, askew? Real signatures.

Example: python benchmarks/unchanged.py ../shared/data benchmarks/results/unchanged.json

People for choosing. Of each person three references and, as questioned signatures, two more genuine ones, two skilled forgeries and one
of another person. Each change of tests/changes.py is made to the questioned signature alone. Counted are verdicts of another class,
verdicts that went from genuine to forged or back, and scans that are refused after the change; and how far P(forged) moves.
"""
import argparse
import sys
from pathlib import Path

import numpy as np
from common import write_results
from joblib import Parallel, delayed
from sets import PEOPLE

from siamese_sig.core.layouts import read_signatures
from siamese_sig.core.messages import DataError, progress
from siamese_sig.core.scan import read_rgb
from siamese_sig.verify import Verifier

sys.path.insert(0, str(Path(__file__).parents[1]/"tests"))
from changes import CHANGES  # noqa: E402

OPPOSITE = {"genuine", "forged"}


def questions_of(images, person, rng):
    "Files of a person: references, and questioned signatures"
    def files(writer, forged): return images.path[(images.writer == writer) & (images.forged == forged)].tolist()
    genuine, forged = rng.permutation(files(person, False)), files(person, True)
    stranger = rng.choice(files(rng.choice([writer for writer in images.writer.unique() if writer != person]), False))
    return genuine[:3].tolist(), [*genuine[3:5], *rng.permutation(forged)[:2], stranger]


def answered(verifier, references, rgb):
    "The verdict, or None if the scan is refused"
    try:
        return verifier.judge(np.stack([*references, verifier.matcher.one(rgb)]))
    except DataError:
        return None


def of_person(verifier, files, questioned):
    "(change, before, after) of each change and questioned signature; the verdict before is None too if there is none"
    references, found = [verifier.matcher.one(file) for file in files], []
    for file in questioned:
        rgb = read_rgb(file)
        before = answered(verifier, references, rgb)
        found += [(name, before, answered(verifier, references, change(rgb))) for name, change in CHANGES.items() if before]
    return found


def counted(name, change, found):
    "A row of the table"
    pairs = [(before, after) for kind, before, after in found if kind == change]
    both = [(before, after) for before, after in pairs if after]
    moved = np.array([abs(before.p_forged-after.p_forged) for before, after in both])
    return dict(set=name, change=change, questions=len(pairs), refused=len(pairs)-len(both), other_class=sum(before.verdict != after.verdict for before, after in both),
                opposite=sum({before.verdict, after.verdict} == OPPOSITE for before, after in both),
                to_genuine=sum(after.verdict == "genuine" != before.verdict for before, after in both), moved=float(np.median(moved)), moved_95=float(np.quantile(moved, .95)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--jobs", type=int, default=-1)
    args = parser.parse_args()
    verifier, rows = Verifier.load(), []
    for name, people in PEOPLE.items():
        images, rng = read_signatures(args.data/name).drop_duplicates("sha256"), np.random.default_rng(0)
        images = images[images.writer.astype(int).between(*people[0])]
        asked = [questions_of(images, person, rng) for person in images.writer.unique()]
        found = sum(Parallel(args.jobs)(delayed(of_person)(verifier, *files) for files in progress(asked, name)), [])
        rows += [counted(name, change, found) for change in CHANGES]
        print(*rows[-len(CHANGES):], sep="\n", flush=True)
    write_results(args.out, "sign_data 001-048, phone 001-020, pens 000-006", rows=rows)


if __name__ == "__main__":
    main()
