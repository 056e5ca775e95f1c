"""How often does `identify` put the right writer first?

Example: python benchmarks/identify.py benchmarks/results/identify.json

All 60 embedded synthetic people are enrolled with their first one or five genuine signatures; the sixth of each is asked about. Rank-1 and
rank-5 rates with Wilson's 95 % intervals, by the bundled evidence and by the bundled network. The people are synthetic and have different
names, which is easier than real life.
"""
import argparse
from pathlib import Path

import numpy as np
from common import write_results
from scipy.stats import binomtest

from siamese_sig.core.layouts import embedded_data, read_images
from siamese_sig.core.messages import progress
from siamese_sig.verifier.matchers import file_features
from siamese_sig.verify import Verifier

REFERENCES, RANKS = (1, 5), (1, 5)


def ranks(verifier, k):
    "The rank of the right writer for each question, from 1"
    images = read_images(embedded_data()).query("not forged")
    number = images.groupby("writer").cumcount()
    references, asked = images[number < k], images[number == max(REFERENCES)]
    features, _ = file_features(verifier.matcher, [*references.path, *asked.path])
    writers = asked.writer.tolist()
    known = {writer: np.flatnonzero(references.writer == writer).tolist() for writer in writers}
    found = []
    for i, right in enumerate(progress(writers, f"{k} references")):
        answers = verifier.judge_sets(features, [[*known[writer], len(references)+i] for writer in writers])
        order = sorted(range(len(writers)), key=lambda n: (answers[n].p_forged, answers[n].score))
        found.append(1+[writers[n] for n in order].index(right))
    return np.array(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="json")
    args = parser.parse_args()
    rows = []
    for name in ("evidence", "signature"):
        verifier = Verifier.load(name)
        for k in REFERENCES:
            rank = ranks(verifier, k)
            for limit in RANKS:
                right = int((rank <= limit).sum())
                interval = list(binomtest(right, len(rank)).proportion_ci(method="wilson"))
                rows.append(dict(model=name, references=k, rank=limit, right=right, questions=len(rank), rate=right/len(rank), interval=interval))
                print(rows[-1], flush=True)
    write_results(args.out, "the 60 embedded people (synthetic)", rows=rows)


if __name__ == "__main__":
    main()
