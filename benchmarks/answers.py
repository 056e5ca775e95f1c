"""Are the answers as good after a change that made them faster or smaller? Equal error rates before and after, on the same questions.

Examples: python benchmarks/answers.py ../shared/data --save before.npz                        with the version before the change
          python benchmarks/answers.py ../shared/data benchmarks/results/answers.json --before before.npz

People for choosing only, one and five references, skilled forgeries, questions as in benchmarks/sets.py. `comparison`: scores of the older
version (--before) against this one's. `packed`: this version's scores, records as they are measured against records that an archive packed
and unpacked, both sides of every pair. Intervals (95 %) of the difference from resampling people; the same people before and after.
"""
import argparse
from pathlib import Path

import numpy as np
from common import write_results
from sets import PEOPLE, RANDOM, SKILLED, RealSet

from siamese_sig.evaluate import eer
from siamese_sig.verify import Verifier

REFERENCES, REPEATS = (1, 5), 300


def rates(one, before, after, k):
    "EER before and after, and the interval of their difference; scores have shape (N,N)"
    tables = []
    for score in (before, after):
        one.score = score
        tables.append(one.questions(k).query("kind!=@RANDOM"))
    old, new = (table.score.to_numpy() for table in tables)
    forged, person = (tables[0].kind == SKILLED).to_numpy(), tables[0].person.to_numpy()
    rows_of = {p: np.flatnonzero(person == p) for p in one.people}
    rng, differences = np.random.default_rng(0), []
    for _ in range(REPEATS):
        rows = np.concatenate([rows_of[p] for p in rng.choice(one.people, len(one.people))])
        differences.append(eer(new[rows], forged[rows])[0]-eer(old[rows], forged[rows])[0])
    rate = [eer(score, forged)[0] for score in (old, new)]
    return dict(references=k, before=rate[0], after=rate[1], difference=rate[1]-rate[0], interval=np.quantile(differences, [.025, .975]).tolist(),
                people=len(one.people), questions=len(forged))


def packed_scores(one):
    "Scores of the same pairs, all records packed and unpacked"
    matcher = one.verifier.matcher
    features, a_b = matcher.unpack(matcher.pack(one.features)), np.nonzero(np.triu(np.isfinite(one.score), 1))
    score = np.full(one.score.shape, np.nan)
    score[a_b] = score[a_b[::-1]] = matcher.compare(features, *a_b)
    return score


def log_odds(score):
    known = score[np.isfinite(score)]
    return np.log(known/(1-known))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, nargs="?", help="json")
    parser.add_argument("--save", type=Path, help="keep this version's scores in an npz file, and do no more")
    parser.add_argument("--before", type=Path, help="scores that an older version kept")
    args = parser.parse_args()
    sets = {name: RealSet(args.data/name, people[0], Verifier.load()) for name, people in PEOPLE.items()}
    scores = {name: one.score for name, one in sets.items()}
    if args.save:
        return np.savez_compressed(args.save, **scores)
    rows, older = [], np.load(args.before) if args.before else {}
    for name, one in sets.items():
        changes = {"comparison": (older[name], scores[name])} if name in older else {}
        for change, (before, after) in (changes | {"packed": (scores[name], packed_scores(one))}).items():
            moved = np.abs(log_odds(after)-log_odds(before))
            for k in REFERENCES:
                rows.append(dict(change=change, set=name, **rates(one, before, after, k), median_move=float(np.median(moved)), move_95=float(np.quantile(moved, .95))))
                print({key: value for key, value in rows[-1].items()}, flush=True)
    write_results(args.out, "sign_data 001-048, phone 001-020, pens 000-006", rows=rows)


if __name__ == "__main__":
    main()
