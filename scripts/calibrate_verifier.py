"""Thresholds and calibration of the bundled verifier, on synthetic writers that it was not fitted on.

Example: python scripts/calibrate_verifier.py siamese_sig/assets/verifier

Reads evidence.npz in that folder (scripts/fit_evidence.py made it) and writes calibration.json beside it. Everybody writes
with a habitual pen, as in fitting, but ink is no rougher than real ink, few pens change and all forgers are practised:
with thresholds from the pairs of fitting, half of the real skilled forgeries would be accepted.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from fit_evidence import corpus

from siamese_sig.core.files import write_whole
from siamese_sig.evaluate import calibrate_references
from siamese_sig.verifier.matchers import EvidenceMatcher


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--writers", type=int, default=200)
    parser.add_argument("--genuine", type=int, default=14)
    parser.add_argument("--forged", type=int, default=6)
    parser.add_argument("--seed", type=int, default=77, help="another than that of fitting")
    parser.add_argument("--pens", type=float, default=.25)
    parser.add_argument("--skill", type=float, default=1., help="of all forgers, in [0,1]")
    parser.add_argument("--noise", type=float, default=0., help="of ink and pens, 1 as in fitting, see `signature_ink`")
    args = parser.parse_args()
    matcher = EvidenceMatcher(args.folder/"evidence.npz")
    features, writer, forged = corpus(args.writers, args.genuine, args.forged, args.seed, args.pens, args.skill, args.noise)
    images = pd.DataFrame(dict(writer=writer.astype(str), forged=forged, sha256=np.arange(len(writer)).astype(str)))
    scores = {}
    def compare(a, b):  # each pair once
        asked = [(min(p), max(p)) for p in zip(a.tolist(), b.tolist())]
        new = sorted(set(asked)-scores.keys())
        if new:
            scores.update(zip(new, matcher.compare(features, *np.array(new).T)))
        return np.array([scores[p] for p in asked])
    references = calibrate_references(compare, pd.Series(images.index, images.index), images)
    made = dict(fingerprint=matcher.fingerprint, chosen_on=f"{args.writers} synthetic writers, seed {args.seed}, not those of fitting; skill {args.skill}, noise {args.noise}", references=references)
    write_whole(args.folder/"calibration.json", lambda p: p.write_text(json.dumps(made, indent=1)))
    print({k: (round(c["validation_eer"], 3), c["validation_pairs"]) for k, c in references.items()})


if __name__ == "__main__":
    main()
