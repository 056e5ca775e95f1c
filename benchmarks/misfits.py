"""Does the verifier tell when one of the references is not the person's? Sets of real references, clean and poisoned.

Example: python benchmarks/misfits.py ../shared/data benchmarks/results/misfits.json

People for choosing. Of each person ten draws of k genuine signatures; the same with one of them replaced by a skilled forgery, or by a
genuine signature of another person. Counted are sets with the note. Then questions with five references, one of which is a stranger's:
how often is another signature of that stranger, or a skilled forgery, taken for genuine (threshold balanced), and how often without the stranger?
"""
import argparse
from pathlib import Path

import numpy as np
from common import write_results
from sets import PEOPLE, RealSet

from siamese_sig.verify import Verifier

REFERENCES, DRAWS = (3, 5, 8), 10


def sets_of(one, k, rng):
    "(kind of poison or '', references) of each draw"
    for person in one.people:
        own, forged, others = one.genuine(person), one.skilled(person), one.strangers[person]
        for _ in range(DRAWS if len(own) >= k else 0):
            references = rng.choice(own, k, replace=False)
            yield "", references
            for poison, pool in (("forgery", forged), ("stranger", others)):
                if len(pool):
                    yield poison, np.r_[references[:-1], rng.choice(pool)]


def noted(one, k):
    "Share of sets with the note, by poison"
    kinds, sets = zip(*sets_of(one, k, np.random.default_rng(k)))
    asked = [[*references, references[0]] for references in sets]  # the question does not matter for the note
    answers = one.verifier.judge_sets(one.features, asked)
    told = np.array([any("unlike the others" in note for note in answer.notes) for answer in answers])
    return {kind: (int(told[np.array(kinds) == kind].sum()), kinds.count(kind)) for kind in ("", "forgery", "stranger")}


def taken(one, rng, k=5):
    "Questions against references one of which is a stranger's: share of answers 'genuine', and with clean references"
    questions, kinds = [], []
    for person in one.people:
        own, forged = one.genuine(person), one.skilled(person)
        for _ in range(DRAWS if len(own) > k else 0):
            *references, last = rng.choice(own, k, replace=False)
            stranger = rng.choice([p for p in one.people if p != person and len(one.genuine(p)) > 1])
            theirs, again = rng.choice(one.genuine(stranger), 2, replace=False)
            asked = {"own": rng.choice(np.setdiff1d(own, [*references, last])), "stranger": again} | ({"forgery": rng.choice(forged)} if len(forged) else {})
            for who, question in asked.items():
                for poisoned in (False, True):
                    questions.append([*references, theirs if poisoned else last, question])
                    kinds.append((who, poisoned))
    verdicts = np.array([answer.verdict for answer in one.verifier.judge_sets(one.features, questions)])
    kinds = np.array([f"{who}, {'poisoned' if poisoned else 'clean'}" for who, poisoned in kinds])
    return {kind: {verdict: int((verdicts[kinds == kind] == verdict).sum()) for verdict in ("genuine", "inconclusive", "forged")} for kind in sorted(set(kinds))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="json")
    args = parser.parse_args()
    rows, asked = [], {}
    for name, people in PEOPLE.items():
        one = RealSet(args.data/name, people[0], Verifier.load())
        for k in REFERENCES:
            found = noted(one, k)
            rows += [dict(set=name, references=k, poison=kind or "none", noted=told, sets=n, share=told/max(n, 1)) for kind, (told, n) in found.items()]
            print(name, k, found, flush=True)
        asked[name] = taken(one, np.random.default_rng(0))
        print(name, asked[name], flush=True)
    write_results(args.out, "sign_data 001-048, phone 001-020, pens 000-006", rows=rows, asked=asked)


if __name__ == "__main__":
    main()
