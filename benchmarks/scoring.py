"""(d) Scoring 10^4, 10^5 and 10^6 pairs over 2,000 encoded images; the reference puts every pair through the whole head.

Example: python benchmarks/scoring.py
"""
import resource

import keras
import numpy as np
from common import median_time, row

from siamese_sig.siamese import build_head, score_features


def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**20  # GiB on Linux


def main():
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    features, head = rng.random((2000, 1280), dtype="float32"), build_head(1280)
    a, b = rng.integers(0, 2000, (2, 10**6))
    score_features(head, features, a[:100], b[:100])
    whole = lambda n: [head.predict_on_batch((features[a[i:i+4096]], features[b[i:i+4096]])) for i in range(0, n, 4096)]
    whole(4096)
    before = peak()
    for n in (10**4, 10**5, 10**6):
        ours = median_time(score_features, head, features, a[:n], b[:n])
        grown = peak() - before
        reference = median_time(whole, min(n, 10**5), repeats=1)*n/min(n, 10**5)
        row(f"(d) {n:,} pairs over 2,000 images of 1,280 features", f"{ours:.2f} s, peak memory +{grown:.2f} GiB", f"{reference:.2f} s", f"{reference/ours:.1f}×")


if __name__ == "__main__":
    main()
