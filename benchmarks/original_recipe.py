"""(a) The original notebook's recipe end to end: its loop, some of its steps scaled up, against train + score here.

Example: KERAS_HOME=... python benchmarks/original_recipe.py sign_data

The reference is written in the original notebook's manner: every pair's two files are opened, resized and standardised for every step,
and both images go through the frozen backbone each time: 5 epochs of 100 steps, 5 validation batches, every test pair once.
"""
import argparse
import os
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from common import median_time, row
from PIL import Image

from siamese_sig.backbones import build_encoder
from siamese_sig.core.images import load_images
from siamese_sig.core.layouts import read_dataset
from siamese_sig.siamese import score_pairs
from siamese_sig.siamese import build_head, encode, siamese_model
from siamese_sig.core.settings import original
from siamese_sig.train import compile_model, load_run, run_data, train_run

BATCH, STEPS = 64, 500


def original_batches(images, pairs, rng):
    "The original notebook's generator: decode per pair, float32 arrays of both sides"
    def read(path):
        x = np.asarray(Image.open(path).convert("RGB").resize((224, 224)), "float32")
        return (x - x.mean()) / x.std()
    while True:
        order = pairs.sample(frac=1, random_state=rng)
        for i in range(0, len(order) - BATCH, BATCH):
            some = order.iloc[i:i + BATCH]
            a, b = (np.stack([read(p) for p in images.path[some[side]]]) for side in "ab")
            yield (a, b), some.label.to_numpy("float32")[:, None]


def time_original(root, alpha, steps):
    "Seconds of the original notebook's loop: (a training step, a batch of testing)"
    images, pairs = read_dataset(root)
    batches = original_batches(images, pairs[pairs.split == "train"], 0)
    encoder = build_encoder("MobileNetV2", (224, 224, 3), "imagenet", True, alpha)
    model = compile_model(siamese_model(encoder, build_head(encoder.output_shape[-1])))
    model.train_on_batch(*next(batches))
    model.test_on_batch(*next(batches))
    step = lambda work: work(*next(batches))
    return median_time(step, model.train_on_batch, repeats=steps), median_time(step, model.test_on_batch, repeats=steps)


def time_ours(root, alpha):
    "Seconds and accuracy of the same recipe here, from cold caches"
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["SIAMESE_SIG_CACHE"] = tmp
        start = time.perf_counter()
        run = train_run(root, Path(tmp)/"run", original(backbone="MobileNetV2", alpha=alpha, input="scan", split="published", patience=5), verbose=0)
        model, config = load_run(run)
        data = run_data(config, ("test",))
        a, b, label = data.splits["test"]
        score = score_pairs(model, data.x, a, b, keep=True)
        return time.perf_counter() - start, ((score > .5) == label).mean()


def time_floor(root, alpha):
    "Seconds of one forward pass over every distinct image, decoded already"
    x, _ = load_images(read_dataset(root)[0], "scan")
    encoder = build_encoder("MobileNetV2", (224, 224, 3), "imagenet", True, alpha)
    encode(encoder, x[:64])
    return median_time(encode, encoder, x, repeats=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--alpha", type=float, default=1.)
    parser.add_argument("--steps", type=int, default=8, help="steps of the original notebook's loop that are timed")
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    step, test = time_original(args.data, args.alpha, args.steps)
    _, pairs = read_dataset(args.data)
    batches = -(-int((pairs.split == "test").sum()) // BATCH)
    original = STEPS*step + (5 + batches)*test
    ours, accuracy = time_ours(args.data, args.alpha)
    floor = time_floor(args.data, args.alpha)
    row("(a) the original notebook's recipe end to end, cold caches", f"{ours:.0f} s, test accuracy {100*accuracy:.2f} % (leaky split)",
        f"{original:.0f} s: {STEPS} steps of {step:.2f} s, {5 + batches} batches of {test:.2f} s", f"{original/ours:.1f}× faster")
    row("(a) floor: one forward pass an image", f"{ours:.0f} s", f"{floor:.0f} s", f"{ours/floor:.2f}× the floor")


if __name__ == "__main__":
    main()
