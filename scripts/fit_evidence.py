"""Fit the classical evidence on synthetic signatures only and store it as one .npz of plain arrays.

Example: python scripts/fit_evidence.py evidence.npz

Everybody writes with a habitual pen, forgers too: `pens`, see `signature_ink`. Features are kept beside the output and are
not made again until the code that writes or measures has changed.
"""
import argparse
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from siamese_sig.core.cache import code_version
from siamese_sig.core.messages import progress
from siamese_sig.core.files import write_whole
from siamese_sig.verifier.matchers import MEASURED_BY
from siamese_sig.verifier.record import FEATURES, image_features
from siamese_sig.verifier.strokes import INK_SIZE
from siamese_sig.verifier.evidence import fit_evidence, save_evidence
from siamese_sig.synth import signature_ink


def one_writer(writer, tries, seed, pens, skill, noise):
    "Records of a writer's signatures and of the forgeries of them"
    return np.array([image_features(signature_ink(seed, writer, i, f, INK_SIZE, skill=skill, pens=pens, noise=noise)) for f, i in tries], FEATURES)


def corpus(writers, genuine, forged, seed, pens, skill=None, noise=1.):
    "Records, writer, forged of the synthetic set; `pens`, `skill` and `noise` as in `signature_ink`"
    tries = [(f, i) for f, n in ((False, genuine), (True, forged)) for i in range(n)]
    work = Parallel(n_jobs=-1, return_as="generator")(delayed(one_writer)(w, tries, seed, pens, skill, noise) for w in range(1, writers+1))
    features = np.concatenate(list(progress(work, "writing and measuring", writers)))
    return features, np.repeat(np.arange(1, writers+1), len(tries)), np.tile([f for f, _ in tries], writers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--writers", type=int, default=6000)
    parser.add_argument("--genuine", type=int, default=5)
    parser.add_argument("--forged", type=int, default=4)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--pens", type=float, default=.25)
    parser.add_argument("--strength", type=float, default=15.)
    args = parser.parse_args()
    made = args.writers, args.genuine, args.forged, args.seed, args.pens
    cache = args.out.with_name(f"features-{'-'.join(map(str, made))}-{code_version('synth', *MEASURED_BY)}.npz")
    if not cache.exists():
        features, writer, forged = corpus(*made)
        write_whole(cache, lambda p: np.savez(p, features=features, writer=writer, forged=forged))
    with np.load(cache) as f:
        features, writer, forged = f["features"], f["writer"], f["forged"]
    evidence = fit_evidence(features, writer, forged, strength=args.strength)
    save_evidence(evidence, args.out)
    print(f"{args.out}: {args.out.stat().st_size/1e6:.2f} MB, {len(features)} synthetic images of {args.writers} writers, "
          f"{(evidence.weight > 0).sum()} of {len(evidence.weight)} weights above 0")


if __name__ == "__main__":
    main()
