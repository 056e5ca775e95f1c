"""A verifier on all three real sets, by one protocol: what the model card shows.

Example: python benchmarks/sets.py ../shared/data chosen.json                         people that were used for choosing
         python benchmarks/sets.py ../shared/data last.json --last                    the others: once, at the end
         python benchmarks/sets.py ../shared/data network.json --model signature      the bundled network

The folder holds `sign_data` (flat scans), `phone` (photographs) and `pens` (several pens a person). k references: twenty draws
of k genuine signatures of each person; questions are the person's other genuine signatures, all skilled forgeries, and one
genuine signature of each other person (random forgeries). EER in %, intervals (95 %) from resampling people. FAR and FRR are at
the thresholds that the verifier brings along. Every number goes to the file, and tables to the screen.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from common import write_results

from siamese_sig.core.ink import Doubt, SeenInk
from siamese_sig.core.layouts import read_signatures
from siamese_sig.core.settings import OPERATING_POINTS
from siamese_sig.evaluate import calibration_metrics, eer, far_frr, fellow_logits, fuse, probability, writer_bootstrap
from siamese_sig.verifier.matchers import file_features
from siamese_sig.verifier.record import _page
from siamese_sig.verifier.shapes import TRAITS
from siamese_sig.verifier.strokes import INK_SIZE, _even_ink, redraw
from siamese_sig.verify import Verifier

# First and last person for choosing, and for the last measurement
PEOPLE = {"sign_data": ((1, 48), (49, 69)), "phone": ((1, 20), (21, 30)), "pens": ((0, 6), (7, 9))}
REFERENCES = (1, 2, 3, 5, 6, 8, 10)
DRAWS = 20
GENUINE, SKILLED, RANDOM = 0, 1, 2

# Classes of pairs by the ratio of their line widths: names, and upper limits
PEN_PAIRS = ("alike, below 1.15", "1.15 to 1.35", "1.35 to 1.8", "beyond")
PEN_RATIOS = (1.15, 1.35, 1.8)


class RealSet:
    "Signatures of a set, measured, with the scores of all pairs that a question can need"
    def __init__(self, folder, people, verifier):
        images = read_signatures(folder).drop_duplicates("sha256")
        images = images[images.writer.astype(int).between(*people)]
        features, errors = file_features(verifier.matcher, images.path.tolist())
        records, _ = file_features(Verifier.load().matcher, images.path.tolist())
        read = np.array([not error for error in errors])
        self.refused = int((~read).sum())
        self.features, self.records = np.array(features[read]), np.array(records[read])
        self.writer = images.writer.to_numpy()[read]
        self.forged = images.forged.to_numpy()[read]
        self.people = np.unique(self.writer)
        self.verifier = verifier
        self.strangers = self._strangers()
        self.score = self._scores()

    def genuine(self, person): return np.flatnonzero((self.writer == person) & ~self.forged)
    def skilled(self, person): return np.flatnonzero((self.writer == person) & self.forged)

    def _strangers(self):
        "For each person one genuine signature of each other person"
        rng = np.random.default_rng(0)
        return {p: np.array([rng.choice(self.genuine(q)) for q in self.people if q != p and len(self.genuine(q))]) for p in self.people}

    def _scores(self):
        "Scores of pairs, shape (N,N); NaN where no question needs them"
        needed = np.zeros((len(self.writer),)*2, bool)
        for person in self.people:
            own = self.genuine(person)
            needed[np.ix_(own, np.concatenate([own, self.skilled(person), self.strangers[person]]))] = True
        a, b = np.nonzero(np.triu(needed | needed.T, 1))
        score = np.full(needed.shape, np.nan)
        score[a, b] = score[b, a] = self.verifier.matcher.compare(self.features, a, b)
        return score

    def questions(self, k, draws=DRAWS):
        "Questions with k references: fused score, kind, person, references and questioned signature"
        rng, rule, tables = np.random.default_rng(k), "mean" if k == 1 else "normalised", []
        for person in self.people:
            own = self.genuine(person)
            for _ in range(draws if len(own) > k else 0):
                order = rng.permutation(own)
                references, kinds = order[:k], (order[k:], self.skilled(person), self.strangers[person])
                asked = np.concatenate(kinds)
                among = self.score[np.ix_(references, references)]
                log_odds = np.log(among/(1-among))
                fellows = np.broadcast_to(fellow_logits(log_odds), (len(asked), k))
                tables.append(pd.DataFrame(dict(score=fuse(self.score[np.ix_(asked, references)], fellows, rule), person=person, reference=references[0],
                                                asked=asked, kind=np.repeat([GENUINE, SKILLED, RANDOM], [len(rows) for rows in kinds]))))
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(dict(kind=[]))


def error_rates(table, calibration, repeats):
    "Error rates of questions with one number of references"
    found = dict(people=int(table.person.nunique()), genuine=int((table.kind == GENUINE).sum()))
    for name, kind in (("skilled", SKILLED), ("random", RANDOM)):
        part = table[table.kind.isin((GENUINE, kind))]
        score, forged = part.score.to_numpy(), (part.kind == kind).to_numpy()
        found[name] = dict(questions=int(forged.sum()), eer=eer(score, forged)[0], interval=writer_bootstrap(score, forged, part.person, repeats=repeats),
                           points={point: far_frr(score, forged, calibration["thresholds"][point]) for point in OPERATING_POINTS})
    part = table[table.kind != RANDOM]
    stated, forged = probability(part.score, calibration), (part.kind == SKILLED).to_numpy()
    found["calibration"] = calibration_metrics(stated, forged)
    share = np.clip((stated*10).astype(int), 0, 9)
    found["reliability"] = [[float(stated[share == i].mean()), float(forged[share == i].mean()), int((share == i).sum())] for i in range(10) if (share == i).any()]
    return found


def by_pens(sets):
    "EER with one reference by the ratio of the line widths, over all sets, each pair once"
    rows = []
    for name, one in sets.items():
        table = one.questions(1).drop_duplicates(["reference", "asked"])
        pen = one.records["written"]["traits"][:, TRAITS.index("pen")]
        ratio = np.exp(np.abs(pen[table.reference]-pen[table.asked]))
        rows.append(table.assign(set=name, pens=np.digitize(ratio, PEN_RATIOS)))
    table, found = pd.concat(rows), []
    for pens, name in enumerate(PEN_PAIRS):
        for which in ("all", *sets):
            part = table[(table.pens == pens) & (table.kind != RANDOM) & ((table.set == which) | (which == "all"))]
            genuine, skilled = (part.kind == GENUINE).sum(), (part.kind == SKILLED).sum()
            rate = eer(part.score.to_numpy(), (part.kind == SKILLED).to_numpy())[0] if min(genuine, skilled) >= 30 else None
            found.append(dict(pens=name, set=which, genuine=int(genuine), skilled=int(skilled), eer=rate))
    return found


# What is done to the ink of the questioned signature
CHANGES = {"unchanged": lambda ink: ink, "lines of constant width": _even_ink, "1 px wider": lambda ink: redraw(ink, 1), "1 px narrower": lambda ink: redraw(ink, -1),
           "dilated, 1 px on each side": lambda ink: redraw(ink, 2), "eroded, 1 px on each side": lambda ink: redraw(ink, -2)}


def _centred(ink):
    "Ink in the middle of a page of `INK_SIZE`; what is too large is cut"
    for axis, side in enumerate(INK_SIZE):
        lacking = side-ink.shape[axis]
        before = abs(lacking)//2
        if lacking < 0:
            ink = np.take(ink, range(before, before+side), axis)
        else:
            ink = np.pad(ink, [(before, lacking-before) if a == axis else (0, 0) for a in (0, 1)])
    return ink


def _changed(matcher, record, change):
    "The features of a signature whose ink was redrawn"
    pixels = _centred(change(_page(record))).astype("uint8")*np.uint8(255)
    return matcher.measure(SeenInk(pixels[..., None], Doubt(0)))


def changed_ink(one, threshold):
    "One reference, the ink of the questioned signature redrawn: EER; FAR and FRR at the threshold"
    table = one.questions(1, draws=3)
    table = table[table.kind != RANDOM].drop_duplicates(["reference", "asked"])
    asked, row = np.unique(table.asked, return_inverse=True)
    forged, found = (table.kind == SKILLED).to_numpy(), []
    for name, change in CHANGES.items():
        redrawn = np.stack([_changed(one.verifier.matcher, one.records[i], change) for i in asked])
        features = np.concatenate([one.features, redrawn])
        score = one.verifier.matcher.compare(features, table.reference.to_numpy(), len(one.features)+row)
        far, frr = far_frr(score, forged, threshold)
        found.append(dict(ink=name, eer=eer(score, forged)[0], far=far, frr=frr, pairs=len(table)))
    return found


def percent(*rates): return ", ".join(f"{100*rate:.1f}" for rate in rates)


def show(found):
    "The tables, as Markdown"
    print(f"verifier {found['fingerprint']}\n\n| set | references | skilled EER | random EER | balanced: FAR, FRR | far_1: FAR, FRR | Cllr, ECE | people; genuine, skilled, random |\n" + "|---"*8 + "|")
    for name, rates in found["sets"].items():
        for k, r in rates.items():
            skilled, cal = r["skilled"], r["calibration"]
            print(f"| {name} | {k} | {percent(skilled['eer'])} [{percent(*skilled['interval'])}] | {percent(r['random']['eer'])} | {percent(*skilled['points']['balanced'])} | "
                  f"{percent(*skilled['points']['far_1'])} | {cal['cllr']:.2f}, {cal['ece']:.2f} | {r['people']}; {r['genuine']}, {skilled['questions']}, {r['random']['questions']} |")
    print("\n| line widths | set | EER, one reference | genuine, skilled |\n" + "|---"*4 + "|")
    for r in found["pens"]:
        print(f"| {r['pens']} | {r['set']} | {percent(r['eer']) if r['eer'] is not None else 'too few'} | {r['genuine']}, {r['skilled']} |")
    for name, rows in found["changed"].items():
        print(f"\n| questioned ink, {name} | EER | FAR, FRR at `balanced` |\n" + "|---"*3 + "|")
        for r in rows:
            print(f"| {r['ink']} | {percent(r['eer'])} | {percent(r['far'], r['frr'])} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--last", action="store_true", help="the people that nobody chose on")
    parser.add_argument("--model", type=Path, help="folder of an adapted verifier or of a run, or signature; by default the bundled evidence")
    parser.add_argument("--repeats", type=int, default=300, help="resamplings of an interval")
    args = parser.parse_args()
    verifier = Verifier.load(args.model)
    sets = {name: RealSet(args.data/name, people[args.last], verifier) for name, people in PEOPLE.items()}
    found = dict(fingerprint=verifier.matcher.fingerprint, people={name: people[args.last] for name, people in PEOPLE.items()},
                 refused={name: one.refused for name, one in sets.items()}, sets={})
    for name, one in sets.items():
        found["sets"][name] = {}
        for k in REFERENCES:
            table = one.questions(k)
            if {GENUINE, SKILLED} <= set(table.kind):
                found["sets"][name][str(k)] = error_rates(table, verifier.references[str(k)], args.repeats)
    found["pens"] = by_pens(sets)
    threshold = verifier.references["1"]["thresholds"]["balanced"]
    found["changed"] = {name: changed_ink(one, threshold) for name, one in sets.items()}
    write_results(args.out, "sign_data, phone and pens; the numbers of their people stand under people", **found)
    show(found)


if __name__ == "__main__":
    main()
