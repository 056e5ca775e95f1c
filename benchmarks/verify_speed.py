"""How long an answer of the bundled verifier takes: from a cold start, warm, and many questions from files.

Example: python benchmarks/verify_speed.py sign_data
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import median_time, row

from siamese_sig.data import make_pairs
from siamese_sig.core.layouts import read_signatures
from siamese_sig.verify import Verifier
from siamese_sig.score import score_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    images = read_signatures(args.data).drop_duplicates("sha256").reset_index(drop=True)
    a, b = images.path[:2]
    cold = median_time(lambda: subprocess.run([sys.executable, "-m", "siamese_sig", "verify", "--ref", a, b], capture_output=True), repeats=5)
    empty = median_time(lambda: subprocess.run([sys.executable, "-c", "import numpy, pandas"], check=True), repeats=5)
    row("(g) siamese-sig verify, one reference, cold", f"{cold:.2f} s", f"{empty:.2f} s to import NumPy and pandas", f"+{cold - empty:.2f} s")
    verifier, paths = Verifier.load(), images.path[:40].tolist()
    verifier.verify(b, a)
    start = time.perf_counter()
    features = np.stack([verifier.matcher.one(p) for p in paths])
    image = (time.perf_counter() - start)/len(paths)
    judge = median_time(lambda: verifier.judge(features[:2]), repeats=9)
    row("(g) a new image against one enrolled reference, warm, one core", f"{1000*(image + judge):.0f} ms", f"{1000*image:.0f} ms of it for the image", "")
    i, j = np.triu_indices(40, 1)
    pair = median_time(lambda: verifier.matcher.compare(features, i, j))/len(i)
    row("(g) enrolled features compared, one core", f"{1/pair:.0f} pairs/s", f"{1/(2*image):.0f} pairs/s from files on one core", f"{2*image/pair:.0f}×")
    pairs = make_pairs(images).sample(600, random_state=0)
    with tempfile.TemporaryDirectory() as tmp:
        os.environ["SIAMESE_SIG_CACHE"] = tmp
        name = lambda k: images.path[k].map(lambda p: str(Path(p).relative_to(args.data)))
        table = name(pairs.b).to_frame("query").assign(refs=name(pairs.a).to_numpy())
        table.to_csv(f"{tmp}/pairs.csv", index=False)
        times = []
        for _ in range(2):
            start = time.perf_counter()
            score_file(verifier, f"{tmp}/pairs.csv", args.data, f"{tmp}/out.csv")
            times.append(time.perf_counter() - start)
    row(f"(g) score: 600 pairs of {len(set(pairs.a) | set(pairs.b))} images from files, {len(os.sched_getaffinity(0))} cores", f"{600/times[0]:.0f} pairs/s cold",
        f"{600/times[1]:.0f} pairs/s with kept features", f"{times[0]/times[1]:.1f}×")


if __name__ == "__main__":
    main()
