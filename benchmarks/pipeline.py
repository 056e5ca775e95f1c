"""(c) A training step from our pipeline against the same step from one batch that is held in memory.

Example: python benchmarks/pipeline.py sign_data
"""
import argparse
import itertools
import time
from pathlib import Path

import numpy as np
from common import row

from siamese_sig.backbones import build_encoder
from siamese_sig.core.batches import index_pairs, pair_batches
from siamese_sig.core.images import load_images
from siamese_sig.core.layouts import read_dataset
from siamese_sig.siamese import build_head, siamese_model
from siamese_sig.train import compile_model


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=30, help="steps a round; rounds alternate")
    parser.add_argument("--rounds", type=int, default=7)
    args = parser.parse_args()
    images, pairs = read_dataset(args.data)
    x, position = load_images(images, size=(56, 104))
    a, b, label = index_pairs(pairs[pairs.split == "train"], position)
    encoder = build_encoder("custom_cnn", (56, 104, 1), None, False)
    model = compile_model(siamese_model(encoder, build_head(encoder.output_shape[-1], None)))
    batches = iter(pair_batches(x, a, b, label, 64, seed=0))
    held = itertools.cycle([next(batches)])

    def step_time(source):
        start = time.perf_counter()
        for _ in range(args.steps):
            model.train_on_batch(*next(source))
        return (time.perf_counter() - start)/args.steps

    step_time(held)
    rounds = np.array([[step_time(batches), step_time(held)] for _ in range(args.rounds)])
    ours, memory = np.median(rounds, axis=0)
    row("(c) training step, custom_cnn, 64 pairs of 56 × 104", f"{1000*ours:.1f} ms from the cache", f"{1000*memory:.1f} ms in memory",
        f"{100*(np.median(rounds[:, 0]/rounds[:, 1]) - 1):+.1f} %")


if __name__ == "__main__":
    main()
