"""What each idea is worth: six verifiers on the same writers, whom none of them has learned from.

Example: KERAS_HOME=../shared/keras_home python benchmarks/ladder.py ../shared/data/sign_data runs/ladder benchmarks/results/ladder.json

Trained on the writers of train_data.csv who are not in test_data.csv (001-048), ink only; a run that is there already is not trained
again. Measured on 049-069 by the protocol of benchmarks/sets.py: one and five references, twenty draws, skilled forgeries, intervals
(95 %) from resampling writers. These writers are for a last measurement: look once.
"""
import argparse
from pathlib import Path

from common import write_results
from sets import GENUINE, PEOPLE, RANDOM, SKILLED, RealSet

from siamese_sig.core.settings import Settings, original
from siamese_sig.evaluate import calibrate_run, eer, writer_bootstrap
from siamese_sig.train import train_run
from siamese_sig.verify import Verifier

# Name of a rung -> settings of its training, or the name of a bundled verifier
RUNGS = {
    "a network that knows photographs, frozen; its head learned on 43 people": original(backbone="MobileNetV2", alpha=.35, epochs=10),
    "a small CNN that learned on 43 people": original(learning_rate=1e-3, epochs=10),
    "a network that learned on synthetic people": "signature",
    "the same, gone on learning on 43 people": Settings(),
    "the bundled evidence": "evidence",
}
REFERENCES = (1, 5)


def verifier_of(rung, data, run):
    "The verifier of a rung, trained if it is not there"
    if isinstance(rung, str):
        return Verifier.load(rung)
    if not (run/"calibration.json").exists():
        train_run(data, run, rung, verbose=2)
        calibrate_run(run)
    return Verifier.load(run)


def rates(table, kind):
    "EER of forgeries of a kind, and its interval"
    part = table[table.kind.isin((GENUINE, kind))]
    score, forged = part.score.to_numpy(), (part.kind == kind).to_numpy()
    return eer(score, forged)[0], writer_bootstrap(score, forged, part.person, repeats=300)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--chosen", action="store_true", help="measure on 001-048 instead, from whom the rungs have learned; to try the script")
    args = parser.parse_args()
    people = PEOPLE["sign_data"][0 if args.chosen else 1]
    rows = []
    for n, (name, rung) in enumerate(RUNGS.items()):
        verifier = verifier_of(rung, args.data, args.runs/f"rung-{n+1}")
        one = RealSet(args.data, people, verifier)
        for k in REFERENCES:
            table = one.questions(k)
            (rate, interval), (strangers, _) = rates(table, SKILLED), rates(table, RANDOM)
            rows.append(dict(rung=name, references=k, eer=rate, interval=interval, random=strangers))
            print(f"{name}, {k}: {100*rate:.1f} {[round(100*x, 1) for x in interval]}, strangers {100*strangers:.1f}", flush=True)
    write_results(args.out, f"sign_data, people {people[0]:03}-{people[1]:03}", people=people, rows=rows)


if __name__ == "__main__":
    main()
