"""Thresholds and calibration of what the package brings along, on synthetic writers that it has not learned from.

Examples: python scripts/calibrate_verifier.py siamese_sig/assets/verifier --inks inks
          python scripts/calibrate_verifier.py runs/signature/package --inks inks

Reads evidence.npz in that folder (scripts/fit_evidence.py made it), or the networks (scripts/pretrain.py), and writes calibration.json
beside it. The signatures are pages
with the pens and cameras of notebook 05b, as the ink finder sees them. Each hand mostly has a pen and a camera of its own, ink is no
rougher than real ink, and all forgers are practised: with thresholds from the pairs of fitting, half of the real skilled forgeries would be accepted.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from synthetic_pages import synthetic_inks, unpacked

from siamese_sig.core.files import write_whole
from siamese_sig.core.ink import Doubt, SeenInk
from siamese_sig.core.messages import progress
from siamese_sig.evaluate import calibrate_references, compare_once
from siamese_sig.verifier.matchers import EvidenceMatcher, RunMatcher
from siamese_sig.verifier.record import image_features


def measured(matcher, inks):
    "Features of `Inks`"
    if isinstance(matcher, EvidenceMatcher):
        work = Parallel(n_jobs=-1, return_as="generator", batch_size=50)(delayed(image_features)(unpacked(ink)) for ink in inks.bits)
    else:
        work = (matcher.measure(SeenInk(unpacked(ink)[..., None], Doubt(int(doubts)))) for ink, doubts in zip(inks.bits, inks.doubts))
    return np.stack(list(progress(work, "measuring", len(inks.bits))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inks", type=Path, required=True, help="folder that keeps the synthetic inks, see scripts/synthetic_pages.py")
    parser.add_argument("--writers", type=int, default=300)
    parser.add_argument("--genuine", type=int, default=14)
    parser.add_argument("--forged", type=int, default=6)
    parser.add_argument("--seed", type=int, default=77, help="another than that of fitting")
    parser.add_argument("--skill", type=float, default=1., help="of all forgers, in [0,1]")
    parser.add_argument("--noise", type=float, default=0., help="of ink and usual pens, 0: as real ink, 1: as in fitting")
    parser.add_argument("--keeps", type=float, default=0.75, help="chance that a signature is written and photographed as most of the hand's are")
    args = parser.parse_args()
    evidence = args.folder/"evidence.npz"
    matcher = EvidenceMatcher(evidence) if evidence.exists() else RunMatcher(args.folder)
    inks = synthetic_inks(args.inks, "pages", args.writers, args.genuine, args.forged, args.seed, args.skill, args.noise, args.keeps)
    images = pd.DataFrame(dict(writer=inks.writer.astype(str), forged=inks.forged, sha256=np.arange(len(inks.writer)).astype(str)))
    features = measured(matcher, inks)

    def compare(a, b):
        return matcher.compare(features, a, b)

    references = calibrate_references(compare_once(compare), pd.Series(images.index, images.index), images)
    made = dict(fingerprint=matcher.fingerprint, references=references,
                chosen_on=f"{images.writer.nunique()} synthetic writers, seed {args.seed}, not those of fitting; skill {args.skill}, noise {args.noise}, own pen and camera {args.keeps}")
    write_whole(args.folder/"calibration.json", lambda p: p.write_text(json.dumps(made, indent=1)))
    print({k: (round(c["validation_eer"], 3), c["validation_pairs"]) for k, c in references.items()})


if __name__ == "__main__":
    main()
