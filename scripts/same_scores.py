"""Are the scores what they were? 500 fixed pairs and 15 sets of references by the bundled verifier, and two small trained runs.

Examples: python scripts/same_scores.py --save before.npz                       before a change that should change no number
          python scripts/same_scores.py --compare before.npz                    after it: the largest differences; status 1 if over 1e-6
          python scripts/same_scores.py --data sign_data --compare before.npz   with the genuine and forged signatures of a data set, too
"""
import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402

from siamese_sig.core.layouts import default_data, read_signatures  # noqa: E402
from siamese_sig.core.settings import original  # noqa: E402
from siamese_sig.siamese import score_pairs  # noqa: E402
from siamese_sig.train import load_run, run_data, train_run  # noqa: E402
from siamese_sig.verifier.matchers import file_features  # noqa: E402
from siamese_sig.verify import Verifier  # noqa: E402

TOLERANCE = 1e-6
RUNS = {
    "custom_cnn run": original(size=(56, 104), epochs=2, steps_per_epoch=20, batch_size=32, learning_rate=1e-3),
    "signature run": original(backbone="signature", size=(56, 104), batches="writers", augment=True, epochs=1, steps_per_epoch=5, learning_rate=1e-3),
}


def fixed_pairs(images, pairs=500, seed=0):
    "Positions of references and questioned signatures: three of four of the same writer"
    rng = np.random.default_rng(seed)
    of_writer = {writer: rows.index.to_numpy() for writer, rows in images.groupby("writer")}
    reference = rng.choice(images.index[~images.forged].to_numpy(), pairs)
    anyone = images.index.to_numpy()
    questioned = [rng.choice(of_writer[images.writer[i]] if n % 4 else anyone) for n, i in enumerate(reference)]
    return reference, np.array(questioned)


def verifier_scores(root):
    "Scores of fixed pairs, and (score, P(forged), threshold) of fixed sets of three references, of one data set"
    images = read_signatures(root).drop_duplicates("sha256").sort_values(["writer", "forged", "path"]).reset_index(drop=True)
    reference, questioned = fixed_pairs(images)
    used, place = np.unique(np.r_[reference, questioned], return_inverse=True)
    verifier = Verifier.load()
    features, errors = file_features(verifier.matcher, images.path[used].tolist(), keep=False)
    usable = np.array([not error for error in errors])
    a, b = np.split(place, 2)
    use = usable[a] & usable[b]
    rows = np.flatnonzero(usable)
    sets = [rows[i:i+4].tolist() for i in range(0, 60, 4)]
    verdicts = [[v.score, v.p_forged, v.threshold] for v in verifier.judge_sets(features, sets)]
    return verifier.matcher.compare(features, a[use], b[use]), np.array(verdicts)


def run_scores(settings):
    "Scores of the embedded test pairs by a run that is trained here"
    with tempfile.TemporaryDirectory() as folder:
        model, config = load_run(train_run(default_data(), Path(folder)/"run", settings, verbose=0))
        data = run_data(config, ("test",))
        a, b, _ = data.splits["test"]
        return score_pairs(model, data.x, a, b)


def measured(data):
    "All scores by name"
    roots = {"embedded": default_data()} | ({"data": data} if data else {})
    scores = {}
    for name, root in roots.items():
        scores[f"{name}: pairs"], scores[f"{name}: sets"] = verifier_scores(root)
    return scores | {name: run_scores(settings) for name, settings in RUNS.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder of signatures besides the embedded ones")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--save", type=Path, metavar="NPZ")
    wanted.add_argument("--compare", type=Path, metavar="NPZ")
    args = parser.parse_args()
    scores = measured(args.data)
    if args.save:
        return np.savez(args.save, **scores)
    before, worst = np.load(args.compare), 0
    for name in before.files:
        difference = np.abs(scores[name].astype(float) - before[name].astype(float)).max()
        worst = max(worst, difference)
        print(f"{name}: {scores[name].size} numbers, largest difference {difference:.1e}")
    sys.exit(bool(worst > TOLERANCE))


if __name__ == "__main__":
    main()
