"""The five backbones under both splits, with both inputs: accuracy and EER on a data set's test pairs.

Example: KERAS_HOME=... python benchmarks/backbone_table.py sign_data runs/table benchmarks/results/backbones.json

Networks with ImageNet weights at hand are frozen, the original notebook's way, and so are those without (random weights, labelled so):
a random encoder is the floor of what its architecture gives. custom_cnn is trained whole. A run whose metrics.json is
there is not repeated, so an interrupted table goes on. KERAS_HOME is to hold the weights of both MobileNetV2
rows; "stand-in": the published table was made with ImageNet weights that had been quantised and back, not the official file.
"""
import argparse
import json
from pathlib import Path

from common import write_results

from siamese_sig.evaluate import evaluate_run
from siamese_sig.core.settings import original
from siamese_sig.train import train_run

# backbone -> arguments of train_run; sizes are (height, width) for ink and for the whole scan
ROWS = {
    "MobileNetV2 (alpha 0.35), ImageNet": dict(backbone="MobileNetV2", weights="imagenet", alpha=.35, sizes=((112, 208), (224, 224))),
    "MobileNetV2, ImageNet stand-in": dict(backbone="MobileNetV2", weights="imagenet", sizes=((112, 208), (224, 224))),
    "custom_cnn, trained": dict(backbone="custom_cnn", weights=None, frozen=False, learning_rate=1e-3, sizes=((56, 104), (96, 96))),
    "ResNet50, random weights": dict(backbone="ResNet50", weights=None, frozen=True, sizes=((112, 208), (112, 112))),
    "InceptionV3, random weights": dict(backbone="InceptionV3", weights=None, frozen=True, sizes=((112, 208), (112, 112))),
    "Xception, random weights": dict(backbone="Xception", weights=None, frozen=True, sizes=((112, 208), (112, 112))),
}
SPLITS, INPUTS = ("published", "writer-disjoint"), ("scan", "ink")


def measure(data, out, name, split, reads, seed):
    "metrics of one run, made if it is not there"
    run = out/f"{name.replace(', ', '-').replace(' ', '-')}-{split}-{reads}-{seed}"
    if not (run/"metrics.json").exists():
        if not (run/"model.keras").exists():
            settings = dict(ROWS[name])
            size = settings.pop("sizes")[INPUTS[::-1].index(reads)]
            train_run(data, run, original(split=split, input=reads, size=size, seed=seed, **settings), verbose=0)
        evaluate_run(run)
    return json.loads((run/"metrics.json").read_text())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows = []
    for name in ROWS:
        for reads in INPUTS:
            for split in SPLITS:
                m = measure(args.data, args.runs, name, split, reads, args.seed)
                h, w = ROWS[name]["sizes"][INPUTS[::-1].index(reads)]
                rates = {k: m[k] for k in ("accuracy", "accuracy_interval", "eer", "eer_interval")}
                rows.append(dict(backbone=name, split=split, input=reads, pixels=f"{h} × {w}", **rates))
                print(rows[-1], flush=True)
    write_results(args.out, "sign_data, 5,748 test pairs of 049-069", rows=rows)


if __name__ == "__main__":
    main()
