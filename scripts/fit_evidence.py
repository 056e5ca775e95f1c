"""Fit the evidence on synthetic signatures only and store it as one .npz of plain arrays.

Example: python scripts/fit_evidence.py made/evidence.npz

The view of the ink as written counts most between like pens; it learns from signatures as notebook 05 draws them, each hand with
its habitual pen. The view of the even ink must not mind the pen: half of its writers have the pens and cameras of notebook 05b, and
the ink finder sees their pages; the others are drawn, and half of their signatures have wider or narrower lines than they were
written with. Inks, and what was measured of them, are kept beside the output and are not made again until the code changes.
"""
import argparse
import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from joblib import Parallel, delayed
from synthetic_pages import synthetic_inks, unpacked

from siamese_sig.core.cache import code_version
from siamese_sig.core.files import write_whole
from siamese_sig.core.messages import progress
from siamese_sig.verifier.evidence import SPACES, Evidence, fit_view, save_evidence
from siamese_sig.verifier.matchers import MEASURED_BY
from siamese_sig.verifier.record import VIEWS, _measure
from siamese_sig.verifier.strokes import _as_mask, _even_ink, redraw

BATCH = 200 # Signatures that a process measures at a time

# Pixels by which lines become wider, one of these for each drawn signature
OTHER_PENS = (0, 0, 0, 0, 0, -2, -2, -1, 1, 2)


class Lessons(NamedTuple):
    "What a view learns from"
    records: np.ndarray # Of the view, shape (N,)
    writer: np.ndarray # shape (N,)
    forged: np.ndarray # shape (N,), bool


def _with_other_pen(mask, number):
    "The ink with another pen, or as it is; `number` decides"
    pixels = np.random.default_rng((5, number)).choice(OTHER_PENS)
    return redraw(mask, pixels) if pixels else mask


def _records(bits, first, view, other_pens):
    "Records of one view of some inks, the first of which has the number `first`"
    masks = [_as_mask(unpacked(ink)) for ink in bits]
    if other_pens:
        masks = [_with_other_pen(mask, first+k) for k, mask in enumerate(masks)]
    return np.stack([_measure(_even_ink(mask) if view == "even" else mask, VIEWS[view]) for mask in masks])


def measured_view(folder, bits, view, other_pens=False):
    "Records of one view of packed inks, from `folder` or made and kept there"
    name = (view, "other" if other_pens else "own", hashlib.sha256(bits.tobytes()).hexdigest()[:8], code_version(*MEASURED_BY))
    file = Path(folder)/f"{'-'.join(name)}.npy"
    if not file.exists():
        starts = range(0, len(bits), BATCH)
        work = Parallel(n_jobs=-1, return_as="generator")(delayed(_records)(bits[k:k+BATCH], k, view, other_pens) for k in starts)
        records = np.concatenate(list(progress(work, f"measuring, {view}", len(starts))))
        write_whole(file, lambda p: np.save(p, records))
    return np.load(file)


def written_lessons(folder, drawn, pages):
    return Lessons(measured_view(folder, drawn.bits, "written"), drawn.writer, drawn.forged)


def even_lessons(folder, drawn, pages):
    "The drawn writers whom the pages do not have, and those of the pages, in turn"
    n_people = pages.writer.max()
    others = drawn.writer > n_people
    records = [measured_view(folder, drawn.bits[others], "even", True), measured_view(folder, pages.bits, "even")]
    writer = np.r_[2*(drawn.writer[others]-n_people), 2*pages.writer+1]
    order = np.argsort(writer, kind="stable")
    return Lessons(np.concatenate(records)[order], writer[order], np.r_[drawn.forged[others], pages.forged][order])


LESSONS = {"written": written_lessons, "even": even_lessons}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--writers", type=int, default=6000, help="drawn; half as many on pages")
    parser.add_argument("--genuine", type=int, default=5)
    parser.add_argument("--forged", type=int, default=4)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--strength", type=float, default=15., help="see `nonnegative_logistic`")
    args = parser.parse_args()
    folder, made = args.out.parent, (args.genuine, args.forged, args.seed)
    drawn = synthetic_inks(folder, "drawn", args.writers, *made)
    pages = synthetic_inks(folder, "pages", args.writers//2, *made)
    views = {}
    for view, lessons_of in LESSONS.items():
        records, writer, forged = lessons_of(folder, drawn, pages)
        views[view] = fit_view(records, writer, forged, SPACES[view], args.strength)
        weight = views[view].weight
        print(f"{view}: {len(writer)} signatures of {len(np.unique(writer))} writers, {(weight > 0).sum()} of {len(weight)} weights above 0", flush=True)
    evidence = Evidence(**views)
    save_evidence(evidence, args.out)
    print(f"{args.out}: {args.out.stat().st_size/1e6:.2f} MB")


if __name__ == "__main__":
    main()
