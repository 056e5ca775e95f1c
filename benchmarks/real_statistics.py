"""Deciles of what real signatures look like, as the dictionary that notebook 05 compares the generator with.

Example: python benchmarks/real_statistics.py sign_data
Writers up to --last of the training folder, ink at 112x208; pairs: genuine-genuine, genuine-forged, and genuine of two writers.
Only these numbers enter the project, never an image. With `--distances`: medians of the distances of `nbs/verifier` over pairs
of one writer, real beside synthetic ones with habitual pens, as Markdown.
"""
import argparse

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from siamese_sig.core.images import load_images
from siamese_sig.core.ink import preprocess
from siamese_sig.core.layouts import read_images
from siamese_sig.evaluate import eer
from siamese_sig.verifier.record import DISTANCES, image_features, pair_distances
from siamese_sig.verifier.strokes import INK_SIZE
from siamese_sig.synth import hog_distances, ink_statistics, signature_ink


def medians(features, writer, forged):
    "Of each distance over repetitions and over skilled forgeries, shape (2,distances)"
    i, j = np.triu_indices(len(writer), 1)
    same = writer[i] == writer[j]
    pairs = same & ~forged[i] & ~forged[j], same & (forged[i] != forged[j])
    return [np.median(pair_distances(features, i[p], j[p]), 0) for p in pairs]


def compare_distances(images, writers=200):
    "The table of `--distances`"
    def written(w, noise):
        return [image_features(signature_ink(31, w, i, f, INK_SIZE, pens=.25, noise=noise)) for f in (False, True) for i in range(4)]
    run = Parallel(n_jobs=-1)
    real = run(delayed(lambda p: image_features(preprocess(p, "ink", INK_SIZE)))(p) for p in images.path)
    found = [medians(np.array(real), images.writer.to_numpy(), images.forged.to_numpy())]
    for noise in (0., 1.):
        made = np.concatenate(run(delayed(written)(w, noise) for w in range(1, writers+1)))
        found.append(medians(made, np.repeat(np.arange(writers), 8), np.tile(np.arange(8) >= 4, writers)))
    print("| distance: repetitions / skilled forgeries | real | synthetic, ordinary ink | with the noise of the fit |\n" + "|---"*4 + "|")
    for k, name in enumerate(DISTANCES):
        print(f"| {name} | " + " | ".join(f"{g[k]:.3f} / {f[k]:.3f}" for g, f in found) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="data set in Kaggle's layout")
    parser.add_argument("--last", type=int, default=48, help="highest number of a writer")
    parser.add_argument("--distances", action="store_true")
    args = parser.parse_args()
    images = read_images(args.data).drop_duplicates("sha256")
    images = images[images.writer.astype(int) <= args.last]
    if args.distances:
        return compare_distances(images)
    x, _ = load_images(images)
    writer, forged = images.writer.to_numpy(), images.forged.to_numpy()
    print(f"# {len(set(writer))} writers, {(~forged).sum()} genuine and {forged.sum()} forged signatures")
    values = pd.DataFrame([ink_statistics(v[..., 0]) for v in x[~forged]])
    for name in values:
        print(f"{name}={np.round(np.quantile(values[name], np.arange(.1, 1, .1)), 3).tolist()},")
    i, j = np.triu_indices(len(x), 1)
    d, same = hog_distances(x)[i, j], writer[i] == writer[j]
    kinds = dict(repetition=same & ~forged[i] & ~forged[j], forgery=same & (forged[i] != forged[j]), stranger=~same & ~forged[i] & ~forged[j])
    for name, use in kinds.items():
        print(f"{name}={np.round(np.quantile(d[use], np.arange(.1, 1, .1)), 3).tolist()},")
    for name in ("forgery", "stranger"):
        use = kinds["repetition"] | kinds[name]
        print(f"# EER of HOG, {name}: {100*eer(np.clip(d[use], 0, 1), kinds[name][use])[0]:.1f} %")


if __name__ == "__main__":
    main()
