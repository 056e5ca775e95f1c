"""Deciles of what real signatures look like, as the dictionary that notebook 05 compares the generator with.

Example: python benchmarks/real_statistics.py sign_data
Writers up to --last of the training folder, ink at 112x208; pairs: genuine-genuine, genuine-forged, and genuine of two writers.
Only these numbers enter the project, never an image.
"""
import argparse

import numpy as np
import pandas as pd

from siamese_sig.data import load_images, read_images
from siamese_sig.evaluate import eer
from siamese_sig.synth import hog_distances, ink_statistics


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="data set in Kaggle's layout")
    parser.add_argument("--last", type=int, default=48, help="highest number of a writer")
    args = parser.parse_args()
    images = read_images(args.data).drop_duplicates("sha256")
    images = images[images.writer.astype(int) <= args.last]
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
