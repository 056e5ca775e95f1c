"""Three losses on the same budget: the default recipe with each, on real writers.

Example: python benchmarks/losses.py ../shared/data/sign_data runs/losses benchmarks/results/losses.json

The writers 001-048 of Kaggle's set are dealt into two halves. For each half the network learns on the other one (a fifth of it validates:
best epoch, average), from synthetic weights and, for comparison, from random ones, with the same batches; then one and five references of
the half itself are measured by the protocol of benchmarks/sets.py. Writers 049-069 are not touched.
"""
import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from common import write_results
from sets import PEOPLE, RealSet

from siamese_sig.core.layouts import read_signatures
from siamese_sig.core.settings import LOSS_NAMES, Settings
from siamese_sig.data import make_pairs
from siamese_sig.evaluate import calibrate_run, eer, writer_bootstrap
from siamese_sig.train import train_run
from siamese_sig.verify import Verifier

GROUPS = 2
BUDGET = Settings(epochs=6, steps_per_epoch=30, patience=6)
STARTS = {"synthetic": {}, "random": dict(weights=None)}


def fold_folder(data, folder, group):
    "A data set in Kaggle's layout, links only, in which the writers of one group are the test writers; and these writers"
    images = read_signatures(data).drop_duplicates("sha256")
    images = images[images.writer.astype(int).between(*PEOPLE["sign_data"][0])].reset_index(drop=True)
    people = np.random.default_rng(0).permutation(images.writer.unique())
    test = set(people[group::GROUPS])
    for split in ("train", "test"):
        (folder/split).mkdir(parents=True, exist_ok=True)
    names = []
    for n, row in enumerate(images.itertuples()):
        split = "test" if row.writer in test else "train"
        name = f"{row.writer}{'_forg' if row.forged else ''}/{n:05}{Path(row.path).suffix}"
        link = folder/split/name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(Path(row.path).resolve())
        names.append(name)
    for split in ("train", "test"):
        own = images[images.writer.isin(test) == (split == "test")]
        pairs = make_pairs(own)
        rows = pd.DataFrame(dict(a=[names[i] for i in pairs.a], b=[names[i] for i in pairs.b], label=pairs.label))
        rows.to_csv(folder/f"{split}_data.csv", header=False, index=False)
    return test


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("out", type=Path, help="json")
    args = parser.parse_args()
    tables = {}
    for group in range(GROUPS):
        folder = args.runs/f"group-{group}"
        test = fold_folder(args.data, folder/"data", group)
        for start, weights in STARTS.items():
            for loss in LOSS_NAMES:
                run = folder/f"{start}-{loss}"
                if not (run/"calibration.json").exists():
                    train_run(folder/"data", run, replace(BUDGET, loss=loss, **weights), verbose=2)
                    calibrate_run(run)
                one = RealSet(args.data, PEOPLE["sign_data"][0], Verifier.load(run))
                for k in (1, 5):
                    table = one.questions(k)
                    tables.setdefault((start, loss, k), []).append(table[table.person.isin(test)])
    rows = []
    for (start, loss, k), parts in tables.items():
        table = pd.concat(parts)
        for name, kind in (("skilled", 1), ("random", 2)):
            part = table[table.kind.isin((0, kind))]
            forged = (part.kind == kind).to_numpy()
            rows.append(dict(start=start, loss=loss, references=k, forgeries=name, eer=eer(part.score.to_numpy(), forged)[0],
                             interval=writer_bootstrap(part.score.to_numpy(), forged, part.person, repeats=300)))
            print(rows[-1], flush=True)
    write_results(args.out, "sign_data, people 001-048 in two halves, the one measured by what learned on the other", rows=rows)


if __name__ == "__main__":
    main()
