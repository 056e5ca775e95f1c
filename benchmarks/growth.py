"""(e) Growth: 1x, 2x and 4x synthetic images decoded, encoded and compared, from cold caches.

Example: python benchmarks/growth.py
"""
import os
import tempfile
from pathlib import Path

import numpy as np
from common import median_time, row

from siamese_sig.backbones import build_encoder
from siamese_sig.core.images import load_images
from siamese_sig.core.layouts import read_images
from siamese_sig.siamese import build_head, score_pairs, siamese_model
from siamese_sig.synth import synthesize


def main():
    encoder = build_encoder("MobileNetV2", (112, 208, 1), None, alpha=.35)
    model = siamese_model(encoder, build_head(encoder.output_shape[-1]))
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as tmp:
        images = read_images(synthesize(Path(tmp)/"set", 160, 6, 4, 0))
        images = images[~images.sha256.duplicated()]

        def work(n):
            x, _ = load_images(images.iloc[:n])
            score_pairs(model, x, *rng.integers(0, n, (2, 20*n)), keep=True)

        def cold(n):
            with tempfile.TemporaryDirectory() as cache:
                os.environ["SIAMESE_SIG_CACHE"] = cache
                return median_time(work, n, repeats=1)

        cold(400)  # start processes, compile
        times = {n: np.median([cold(n) for _ in range(3)]) for n in (400, 800, 1600)}
        for n in (800, 1600):
            row(f"(e) {n//400}× the images: decode, encode, score 20 pairs an image", f"{times[n]:.1f} s", f"{times[400]:.1f} s for 400", f"{times[n]/times[400]:.2f}×")


if __name__ == "__main__":
    main()
