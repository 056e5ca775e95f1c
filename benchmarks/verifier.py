"""What the bundled verifier is worth on a data set it has never seen: the numbers of its model card, as Markdown.

Example: python benchmarks/verifier.py sign_data --writers 1-48          for tuning
         python benchmarks/verifier.py sign_data --writers 49-69         once, at the end
         python benchmarks/verifier.py sign_data --writers 49-69 --model mine     an adapted verifier

One reference: every genuine signature against every other of its writer (genuine), against every skilled forgery of the
writer, and against one genuine signature of every other writer (random). k references: protocol `k-reference`, the first k
genuine signatures are enrolled. EER in %, 95 % intervals from resampling writers. FAR and FRR are at the thresholds that
the verifier brings along: no score of this data set is in them.
"""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from siamese_sig.data import make_pairs
from siamese_sig.core.layouts import read_signatures
from siamese_sig.evaluate import FUSIONS, calibration_metrics, eer, probability, reference_trials, score_trials, trial_metrics, writer_bootstrap
from siamese_sig.verify import Verifier
from siamese_sig.verifier.matchers import usable_features


def percent(rate, interval): return f"{100*rate:.1f} [{100*interval[0]:.1f}, {100*interval[1]:.1f}]"


def one_reference(verifier, images, features, repeats):
    "EER of skilled and random forgeries over all pairs, as text"
    genuine = images.index[~images.forged].to_numpy()
    rng, pairs = np.random.default_rng(0), make_pairs(images)
    writer = images.writer.to_numpy()
    strangers = [(g, rng.choice(genuine[writer[genuine] == w])) for g in genuine for w in np.unique(writer) if w != writer[g]]
    a, b = np.r_[pairs.a, [g for g, _ in strangers]], np.r_[pairs.b, [s for _, s in strangers]]
    kind = np.r_[pairs.label, np.full(len(strangers), 2)]
    score = verifier.matcher.compare(features, a, b)
    out = []
    for k in (1, 2):
        use = (kind == 0) | (kind == k)
        s, f, w = score[use], kind[use] == k, writer[a[use]]
        out.append(percent(eer(s, f)[0], writer_bootstrap(s, f, w, repeats=repeats)))
    return out, np.bincount(kind)


def control(images, features):
    "EER of a score from the questioned image alone, by other writers of the same data set: what needs no reference at all"
    model = make_pipeline(StandardScaler(), LogisticRegression(C=.05, class_weight="balanced"))
    p = cross_val_predict(model, features["written"]["traits"], images.forged, groups=images.writer, cv=GroupKFold(6), method="predict_proba")[:, 1]
    return percent(eer(p, images.forged)[0], writer_bootstrap(p, images.forged.to_numpy(), images.writer, repeats=300))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--writers", default="1-48", help="range of writers' numbers")
    parser.add_argument("--model", type=Path, help="folder of an adapted verifier or of a run; by default the bundled one")
    parser.add_argument("--repeats", type=int, default=500)
    args = parser.parse_args()
    first, last = map(int, args.writers.split("-"))
    images = read_signatures(args.data).drop_duplicates("sha256")
    images = images[images.writer.astype(int).between(first, last)].reset_index(drop=True)
    verifier = Verifier.load(args.model)
    images, features = usable_features(verifier.matcher, images)
    features = np.array(features)
    (skilled, random), counts = one_reference(verifier, images, features, args.repeats)
    print(f"Writers {args.writers}: {images.writer.nunique()} writers, {len(images)} images; verifier {verifier.matcher.fingerprint}\n")
    print("| references | rule | skilled EER | random EER | at the balanced threshold: FAR, FRR | at far_1: FAR, FRR | Cllr, ECE | questions |")
    print("|---|---|---|---|---|---|---|---|")
    print(f"| 1, all pairs | – | {skilled} | {random} | | | | {counts[0]} genuine, {counts[1]} skilled, {counts[2]} random |", flush=True)
    scores = {}
    def compare(a, b):  # each pair once
        new = sorted({(min(p), max(p)) for p in zip(a.tolist(), b.tolist())} - scores.keys())
        if new:
            scores.update(zip(new, verifier.matcher.compare(features, *np.array(new).T)))
        return np.array([scores[min(p), max(p)] for p in zip(a.tolist(), b.tolist())])
    for k in (1, 5, 10):
        trials, skipped = reference_trials(images, k)
        rng = np.random.default_rng(0)  # of the many random forgeries one a pair of writers
        source = images.writer[trials["query"]].to_numpy()
        order = pd.Series(rng.permutation(len(trials)), trials.index)
        one = order.groupby([trials.writer, source]).transform("min") == order
        trials = trials[(trials.kind != "random") | one].reset_index(drop=True)
        known = verifier.references[str(k)]
        for rule in FUSIONS if k > 1 else ("mean",):
            s = score_trials(compare, pd.Series(images.index, images.index), trials, rule)
            m = {p: trial_metrics(trials, s, t, args.repeats if p == "balanced" else 2) for p, t in known["thresholds"].items()}
            at, strict, rates = (m[p]["skilled"] for p in ("balanced", "far_1", "balanced"))
            real = (trials.kind != "random").to_numpy()
            c = calibration_metrics(probability(s[real], known), (trials.kind[real] == "skilled").to_numpy())
            told = rule == known["rule"]
            print(f"| {k} | {rule} | {percent(rates['eer'], rates['eer_interval'])} | {percent(m['balanced']['random']['eer'], m['balanced']['random']['eer_interval'])} | "
                  + (f"{100*at['far']:.1f}, {100*at['frr']:.1f} | {100*strict['far']:.1f}, {100*strict['frr']:.1f} | {c['cllr']:.2f}, {c['ece']:.2f}" if told else " | |")
                  + f" | {rates['genuine']} genuine, {rates['forged']} skilled, {m['balanced']['random']['forged']} random; {len(skipped)} writers skipped |", flush=True)
    if features.dtype.names:
        print(f"\nReference-free control, a classifier on the questioned image alone, trained on other writers of this data set: EER {control(images, features)}")


if __name__ == "__main__":
    main()
