"""Error rates by kind of page: real ink put on made pages of every kind, one reference, by the bundled verifier.

Example: python benchmarks/pages.py sign_data --kinds clean ruled blue_form fingers
The ink of some signatures of each writer up to --last (four genuine, three forged) is put on a page of `core.pages`, twice as large,
and found again. Two protocols: the reference on its clean page and the question on the made one; and both on the same kind of page,
where what the pages share could make strangers look alike. EER of skilled and of random forgeries; FRR and FAR at the shipped
threshold of one reference, of those that got a verdict other than "inconclusive"; how many questions were refused or inconclusive.
"""
import argparse

import numpy as np
from joblib import Parallel, delayed

from siamese_sig.core.images import tell_unusable
from siamese_sig.core.ink import find_ink, fitted_ink
from siamese_sig.core.layouts import read_signatures
from siamese_sig.core.pages import KINDS, page_of
from siamese_sig.core.scan import read_rgb
from siamese_sig.evaluate import eer
from siamese_sig.verifier.record import image_features
from siamese_sig.verifier.strokes import INK_SIZE
from siamese_sig.verify import Verifier

PAGE = 420, 1000  # height, width, pixels


def on_page(path, rng):
    "Where the ink of a real signature lies on an empty page, twice as large or as large as fits"
    import cv2
    mask = find_ink(read_rgb(path)).mask
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    ink = mask[rows[0]:rows[-1]+1, columns[0]:columns[-1]+1].astype("float32")
    scale = min(2, .6*PAGE[0]/ink.shape[0], .8*PAGE[1]/ink.shape[1])
    ink = cv2.resize(ink, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC) > .5
    top = rng.integers(20, PAGE[0]-ink.shape[0]-70)
    left = rng.integers(20, PAGE[1]-ink.shape[1]-20)
    page = np.zeros(PAGE, bool)
    page[top:top+ink.shape[0], left:left+ink.shape[1]] = ink
    return page


def measured(path, kind, seed):
    "The record of a signature on a kind of page, and '' or why there is none"
    rng = np.random.default_rng(seed)
    scan, _ = page_of(on_page(path, rng), KINDS[kind], rng)
    ink = find_ink(scan)
    if ink.refusal:
        return None, ink.refusal
    record = image_features(fitted_ink(ink, INK_SIZE))
    record["doubts"] = ink.doubts
    return record, ""


def questions(images, references, questioned):
    "Pairs (reference, question) and their kind: 0 genuine, 1 skilled, 2 random forgery; positions in two lists of records"
    pairs, kinds = [], []
    for a in images.index[~images.forged]:
        for b in images.index:
            if a == b or references[a] is None or questioned[b] is None:
                continue
            same = images.writer[a] == images.writer[b]
            if same or (not images.forged[b] and (a+b) % 8 == 0):
                pairs.append((a, b))
                kinds.append(2 if not same else int(images.forged[b]))
    return pairs, np.array(kinds)


def judged(verifier, references, questioned, pairs):
    "Scores and verdicts of pairs"
    used = [r for r in references if r is not None]+[q for q in questioned if q is not None]
    place = iter(range(len(used)))
    of_reference = [None if r is None else next(place) for r in references]
    of_question = [None if q is None else next(place) for q in questioned]
    sets = [[of_reference[a], of_question[b]] for a, b in pairs]
    verdicts = verifier.judge_sets(np.stack(used), sets)
    return np.array([v.score for v in verdicts]), np.array([v.verdict for v in verdicts])


def row_of(name, verifier, images, references, questioned):
    "One line of the table"
    pairs, kinds = questions(images, references, questioned)
    score, verdict = judged(verifier, references, questioned, pairs)
    genuine, skilled, random = (kinds == k for k in range(3))
    def share(which, answer):
        return 100*(verdict[which] == answer).mean()
    skilled_eer, random_eer = (100*eer(score[genuine | other], ~genuine[genuine | other])[0] for other in (skilled, random))
    refused = 100*np.mean([q is None for q in questioned])
    print(f"| {name} | {skilled_eer:.1f} / {random_eer:.1f} | {share(genuine, 'forged'):.0f} | {share(skilled, 'genuine'):.0f} | "
          f"{share(random, 'genuine'):.1f} | {100*(verdict == 'inconclusive').mean():.0f} | {refused:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folders NNN and NNN_forg, or a data set in Kaggle's layout")
    parser.add_argument("--last", type=int, default=48, help="highest number of a writer")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS), metavar="KIND")
    parser.add_argument("--writers", type=int, default=24)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    images = read_signatures(args.data).drop_duplicates("sha256")
    images = images[images.writer.str[:3].astype(int) <= args.last]
    images = images[images.writer.isin(sorted(set(images.writer[images.forged]))[::2][:args.writers])]
    few = images.groupby(["writer", "forged"], group_keys=False).head(4)
    few = few[~few.forged | (few.groupby(["writer", "forged"]).cumcount() < 3)].reset_index(drop=True)
    verifier, run = Verifier.load(), Parallel(n_jobs=-1)
    print(f"# {few.writer.nunique()} writers, {(~few.forged).sum()} genuine, {few.forged.sum()} forged; seed {args.seed}")
    print("| kind | EER skilled / random, % | FRR % | FAR skilled % | FAR random % | inconclusive % | refused % |\n" + "|---"*7 + "|")
    def records(kind, seed):
        found = run(delayed(measured)(path, kind, seed*1000+k) for k, path in enumerate(few.path))
        if kind == "clean":
            tell_unusable([why for _, why in found if why], len(found))
        return [record for record, _ in found]
    clean = records("clean", args.seed)
    for kind in args.kinds:
        made, again = records(kind, args.seed+1), records(kind, args.seed+2)
        row_of(f"{kind}, reference clean", verifier, few, clean, made)
        row_of(f"{kind}, both", verifier, few, again, made)


if __name__ == "__main__":
    main()
