"""Fit the classical evidence on synthetic signatures only and store it as one .npz of plain arrays.

Example: python scripts/fit_evidence.py evidence.npz

Genuine signatures of a person come from this person's pens; a forger writes with a pen of their own, which the generator
leaves alike on purpose (a network would learn nothing else). Features are kept beside the output and are not made again.
"""
import argparse
import time
from pathlib import Path

import numpy as np

from siamese_sig.data import write_whole
from siamese_sig.evidence import FEATURES, SIZE, fit_evidence, image_features, save_evidence
from siamese_sig.synth import _box, _draw_pen, _sign, draw_writer, render


def ink(seed, writer, index, forged, pen_change, skill=None, size=SIZE, margin=4):
    "A signature as `signature_ink` draws it, a forgery with the forger's own pen: log width `pen_change` from the writer's"
    path, pen, rng = _sign(seed, writer, index, forged, skill)
    if forged:
        pen = _draw_pen(draw_writer(seed, writer).pen+pen_change, .1, np.random.default_rng([seed, writer, index]))
    left, top, w, h = _box(path)
    thick = min(size[0]/112, size[1]/208)
    edge = 2*margin+pen.width*thick
    scale = min((size[0]-edge)/h, (size[1]-edge)/w)
    origin = (size[1]-1)/2-scale*(left+w/2), (size[0]-1)/2+scale*(top-h/2)
    return (render(path, pen, scale, origin, tuple(size), thick, rng) >= .5).astype("uint8")*np.uint8(255)


def corpus(writers, genuine, forged, seed, pens, skill=None):
    "Records, writer, forged of the synthetic set; `pens`: standard deviation of a forger's log line width from the writer's; `skill` of all forgers"
    tries = [(f, i) for f, n in ((False, genuine), (True, forged)) for i in range(n)]
    features, start = np.empty(writers*len(tries), FEATURES), time.time()
    for w in range(1, writers+1):
        change = np.random.default_rng([seed, w]).normal(0, pens, 3)
        for k, (f, i) in enumerate(tries):
            features[(w-1)*len(tries)+k] = image_features(ink(seed, w, i, f, change[i % 3], skill))
        if w % 50 == 0:
            print(f"{w} of {writers} writers, {time.time()-start:.0f} s", flush=True)
    return features, np.repeat(np.arange(1, writers+1), len(tries)), np.tile([f for f, _ in tries], writers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--writers", type=int, default=600)
    parser.add_argument("--genuine", type=int, default=5)
    parser.add_argument("--forged", type=int, default=4)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--pens", type=float, default=.5)
    parser.add_argument("--strength", type=float, default=15.)
    args = parser.parse_args()
    made = args.writers, args.genuine, args.forged, args.seed, args.pens
    cache = args.out.with_name(f"features-{'-'.join(map(str, made))}.npz")
    if not cache.exists():
        features, writer, forged = corpus(*made)
        write_whole(cache, lambda p: np.savez(p, features=features, writer=writer, forged=forged))
    with np.load(cache) as f:
        features, writer, forged = f["features"], f["writer"], f["forged"]
    evidence = fit_evidence(features, writer, forged, strength=args.strength)
    save_evidence(evidence, args.out)
    print(f"{args.out}: {args.out.stat().st_size/1e6:.2f} MB, {len(features)} synthetic images of {args.writers} writers, "
          f"{(evidence.weight > 0).sum(1).tolist()} of {evidence.weight.shape[1]} weights above 0")


if __name__ == "__main__":
    main()
