"""(b) Images a second into the model: cold files on one core and on all, warm cache, against one forward pass of MobileNetV2.

Example: python benchmarks/feeding.py sign_data
"""
import argparse
import os
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from common import median_time, row
from joblib import Parallel, delayed

from siamese_sig.backbones import build_encoder
from siamese_sig.core.images import load_images
from siamese_sig.core.batches import pair_batches
from siamese_sig.core.ink import preprocess
from siamese_sig.core.layouts import read_dataset
from siamese_sig.siamese import encode


def cold(images, cores):
    "Seconds to decode every distinct image into an empty cache"
    with tempfile.TemporaryDirectory() as tmp, mock.patch.dict(os.environ, SIAMESE_SIG_CACHE=tmp, LOKY_MAX_CPU_COUNT=str(cores)):
        return median_time(load_images, images, repeats=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    images, _ = read_dataset(args.data)
    n, cores = images.sha256.nunique(), len(os.sched_getaffinity(0))
    Parallel(n_jobs=-1)(delayed(preprocess)(path) for path in images.path[:2*cores])  # start the processes
    one, every = (n/np.median([cold(images, c) for _ in range(3)]) for c in (1, cores))
    row(f"(b) cold files to ink 112 × 208, {cores} cores against one", f"{every:.0f} images/s", f"{one:.0f} images/s", f"{every/one:.2f}×")
    with tempfile.TemporaryDirectory() as tmp, mock.patch.dict(os.environ, SIAMESE_SIG_CACHE=tmp):
        x, _ = load_images(images)
        number = np.arange(n, dtype="int32")
        feed = lambda: [None for _ in pair_batches(x, number, number[::-1], number, 64)]
        feed()
        warm = 2*n/median_time(feed, repeats=5)
        encoder = build_encoder("MobileNetV2", (112, 208, 1), weights=None)
        some = np.array(x[:256])
        encode(encoder, some)
        pure = len(some)/median_time(encode, encoder, some)
        row("(b) warm cache into the model, against MobileNetV2's forward pass", f"{warm:.0f} images/s", f"{pure:.0f} images/s", f"{warm/pure:.0f}×")
        again = median_time(load_images, images)
        row("(b) the data set from a warm cache, checksums verified", f"{n/again:.0f} images/s", f"{every:.0f} images/s cold", f"{n/again/every:.0f}×")


if __name__ == "__main__":
    main()
