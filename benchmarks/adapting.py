"""What writers of one's own add to the bundled verifier: adapted to all training writers, to six of them, and fitted from scratch.

Example: python benchmarks/adapting.py sign_data benchmarks/results/adapting.json

Spaces are whitened, and the network of points is taught (25 steps a writer), by the writers that are not test writers, and
measured once on the test writers. From scratch: spaces, network of points (as many steps) and weights from those writers alone,
no synthetic ones. Skilled forgeries; EER in %, 95 % intervals from resampling writers. Six writers: mean of several draws. The difference is of the same resampled writers.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from common import write_results

from siamese_sig.core.files import ASSETS
from siamese_sig.data import make_pairs
from siamese_sig.core.layouts import read_signatures
from siamese_sig.evaluate import eer, reference_trials, score_trials, writer_bootstrap
from siamese_sig.verifier.evidence import SPACES, Evidence, adapt_evidence, evidence_score, fit_view, make_lessons
from siamese_sig.verifier.matchers import EvidenceMatcher, file_features


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--draws", type=int, default=10, help="of six writers")
    args = parser.parse_args()
    matcher = EvidenceMatcher(ASSETS/"verifier"/"evidence.npz")
    images = read_signatures(args.data)
    tested = images.writer.isin(images.writer[images.split == "test"])
    own, asked = (images[t].drop_duplicates("sha256").reset_index(drop=True) for t in (~tested, tested))
    features = [np.array(file_features(matcher, t.path.tolist())[0]) for t in (own, asked)]
    pairs = make_pairs(asked)
    a, b, forged = pairs.a.to_numpy(), pairs.b.to_numpy(), pairs.label.to_numpy() == 1
    writer = asked.writer.to_numpy()
    place = {(min(p), max(p)): i for i, p in enumerate(zip(a.tolist(), b.tolist()))}

    def measure(evidence):
        "Score of all pairs, and EER of 1 (all pairs), 5 and 10 references with the shipped rule"
        score = evidence_score(evidence, features[1], a, b)
        compare = lambda i, j: score[[place[min(p), max(p)] for p in zip(i.tolist(), j.tolist())]]
        rates = [eer(score, forged)[0]]
        for k in (5, 10):
            trials, _ = reference_trials(asked, k)
            trials = trials[trials.kind != "random"]
            rates.append(eer(score_trials(compare, pd.Series(asked.index, asked.index), trials, "normalised"), trials.kind == "skilled")[0])
        return score, 100*np.array(rates)

    def adapted(some):
        return adapt_evidence(matcher.evidence, features[0], own.writer.to_numpy(), own.forged.to_numpy(), own.writer.isin(some).to_numpy(), lessons)

    def scratch(some):
        use = own.writer.isin(some).to_numpy()
        writer, forged = own.writer.to_numpy()[use], own.forged.to_numpy()[use]
        return Evidence(*(fit_view(features[0][view][use], writer, forged, spaces, steps=25*len(some)) for view, spaces in SPACES.items()))

    lessons = make_lessons(features[0], own.writer.to_numpy(), own.forged.to_numpy())
    people, rng = np.unique(own.writer), np.random.default_rng(0)
    zero, rates = measure(matcher.evidence)
    rows = []

    def note(*cells):
        rows.append(dict(zip(("weights", "one", "gained", "five", "ten"), cells)))
        print(rows[-1], flush=True)

    def row(name, score, rates):
        low, high = writer_bootstrap(score, forged, writer[a])
        both = np.stack([score, zero], 1)
        resample = np.random.default_rng(0)
        own_pairs, change = {w: np.flatnonzero(writer[a] == w) for w in np.unique(writer)}, []
        for _ in range(1000):
            some = np.concatenate([own_pairs[w] for w in resample.choice(list(own_pairs), len(own_pairs))])
            change.append(eer(both[some, 1], forged[some])[0] - eer(both[some, 0], forged[some])[0])
        gain = np.quantile(change, (.025, .975))*100
        note(name, f"{rates[0]:.1f} [{100*low:.1f}, {100*high:.1f}]", f"{100*(eer(zero, forged)[0]) - rates[0]:.1f} [{gain[0]:.1f}, {gain[1]:.1f}]",
             f"{rates[1]:.1f}", f"{rates[2]:.1f}")

    row("zero-shot: as shipped", zero, rates)
    row(f"adapted to {len(people)} writers", *measure(adapted(people)))
    row(f"from scratch on the {len(people)}", *measure(scratch(people)))
    draws = [rng.choice(people, 6, replace=False) for _ in range(args.draws)]
    for name, fit in (("adapted to", adapted), ("from scratch on", scratch)):
        found = np.array([measure(fit(some))[1] for some in draws])
        mean, low, high = found.mean(0), found.min(0), found.max(0)
        one, five, ten = (f"{mean[i]:.1f} ({low[i]:.1f}, {high[i]:.1f})" for i in range(3))
        note(f"{name} 6 writers, mean of {len(draws)} draws (least, most)", one, f"{rates[0]-mean[0]:.1f}", five, ten)
    write_results(args.out, "sign_data, learned from people of 001-048, measured on 049-069", verifier=matcher.fingerprint,
                  adapt_writers=len(people), test_writers=len(np.unique(writer)), pairs=len(a), rows=rows)


if __name__ == "__main__":
    main()
