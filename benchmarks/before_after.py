"""How long the bundled verifier took before the work on its speed, how long it takes now, and how long a peer takes, in turns in one run.

Example: python benchmarks/before_after.py sign_data benchmarks/results/before_after.json

The package as it was is taken from git (--before) into a temporary folder. Each measurement is a process of its own, three times for each
version, the versions in turn; medians count. The peer is a network of SigNet's layers (Hafemann et al. 2017, https://doi.org/10.1016/j.patcog.2017.05.012,
table 1: five convolutions and two dense layers for 150 × 220 pixels) with random weights, which cost as much time as learned ones: one forward
pass on one core, without preprocessing. `asked` is the goal that was set before the work.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from common import machine, write_results

from siamese_sig.core.layouts import embedded_data, read_images, read_signatures

ROUNDS = 3

IMAGE = """
import json, sys, time
from siamese_sig.verify import Verifier
matcher, paths = Verifier.load().matcher, sys.argv[1:]
for path in paths[:5]: matcher.one(path)
start = time.perf_counter(); seen = [matcher.read(path) for path in paths]
middle = time.perf_counter(); records = [matcher.measure(one) for one in seen]
end = time.perf_counter()
print(json.dumps({"ink": (middle-start)/len(paths), "measure": (end-middle)/len(paths), "image": (end-start)/len(paths)}))
"""
PAIRS = """
import json, sys, time
import numpy as np
from siamese_sig.verify import Verifier
matcher, paths = Verifier.load().matcher, sys.argv[1:]
features = np.stack([matcher.one(path) for path in paths])
i, j = np.triu_indices(len(features), 1)
times = []
for _ in range(4):
    start = time.perf_counter(); matcher.compare(features, i, j); times.append((time.perf_counter()-start)/len(i))
print(json.dumps({"pair": min(times)}))
"""
SCORE = """
import json, sys, time
from siamese_sig.score import score_file
from siamese_sig.verify import Verifier
verifier, (pairs, images, out) = Verifier.load(), sys.argv[1:]
start = time.perf_counter(); n, _ = score_file(verifier, pairs, images, out, keep=False)
print(json.dumps({"score": (time.perf_counter()-start)/n}))
"""
ARCHIVE = """
import json, shutil, sys, time
from pathlib import Path
from siamese_sig.archive import Archive, enrol, rank_writers
from siamese_sig.verify import Verifier
people, question, out = sys.argv[1:]
shutil.rmtree(out, ignore_errors=True)
start = time.perf_counter(); made = enrol(people, out); enrolled = time.perf_counter()-start
verifier = Verifier.load(); asked = verifier.matcher.one(question)
rank_writers(verifier, asked, Archive(out, verifier))
start = time.perf_counter(); rank_writers(verifier, asked, Archive(out, verifier)); ranked = time.perf_counter()-start
size = sum(file.stat().st_size for file in Path(out).glob("part-*"))
print(json.dumps({"enrol": enrolled/made["signatures"], "identify": ranked, "bytes": size/made["signatures"]}))
"""
PEER = """
import json, os, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1); tf.config.threading.set_inter_op_parallelism_threads(1)
layers = keras.layers
model = keras.Sequential([
    keras.Input((150, 220, 1)), layers.Conv2D(96, 11, 4, activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(3, 2),
    layers.Conv2D(256, 5, padding="same", activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(3, 2),
    layers.Conv2D(384, 3, padding="same", activation="relu"), layers.BatchNormalization(),
    layers.Conv2D(384, 3, padding="same", activation="relu"), layers.BatchNormalization(),
    layers.Conv2D(256, 3, padding="same", activation="relu"), layers.BatchNormalization(), layers.MaxPooling2D(3, 2),
    layers.Flatten(), layers.Dense(2048, activation="relu"), layers.BatchNormalization(), layers.Dense(2048, activation="relu")])
run = tf.function(lambda x: model(x, training=False))
x = tf.constant(np.random.default_rng(0).random((1, 150, 220, 1), "float32"))
run(x); times = []
for _ in range(40):
    start = time.perf_counter(); run(x).numpy(); times.append(time.perf_counter()-start)
print(json.dumps({"peer": float(np.median(times))}))
"""


def tree_of(commit, folder):
    "The package as it was at a commit, in a folder"
    archive = subprocess.run(["git", "archive", commit, "siamese_sig"], cwd=Path(__file__).parents[1], check=True, capture_output=True).stdout
    (folder/"tree.tar").write_bytes(archive)
    with tarfile.open(folder/"tree.tar") as tar:
        tar.extractall(folder, filter="data")
    return folder


def measured(tree, code, args, cores):
    "What a snippet prints, run with the package in a tree on the first so many cores"
    def pin():
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    env = {**os.environ, "PYTHONPATH": str(tree)} | ({"OMP_NUM_THREADS": "1"} if cores == 1 else {})
    done = subprocess.run([sys.executable, "-c", code, *map(str, args)], env=env, preexec_fn=pin, check=True, capture_output=True, text=True, cwd=tempfile.gettempdir())
    return json.loads(done.stdout.splitlines()[-1])


def command(tree, *words):
    "Seconds of a command"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "siamese_sig", *map(str, words)], env={**os.environ, "PYTHONPATH": str(tree)}, capture_output=True, check=False, cwd=tempfile.gettempdir())
    return time.perf_counter()-start


def questions(data, folder, n):
    "A csv of n questions about images that were not asked about before"
    images = read_signatures(data).drop_duplicates("sha256")
    names = images.path.map(lambda path: str(Path(path).relative_to(data))).sample(2*n, random_state=0).tolist()
    (folder/"pairs.csv").write_text("query,refs\n"+"".join(f"{a},{b}\n" for a, b in zip(names[::2], names[1::2])))
    return folder/"pairs.csv"


def people_of(folder, each=5):
    "A folder a writer of embedded signatures; one more signature to ask about"
    images = read_images(embedded_data()).query("not forged")
    for writer, rows in images.groupby("writer"):
        (folder/"people"/writer).mkdir(parents=True)
        for path in rows.path[:each]:
            shutil.copy(path, folder/"people"/writer)
    return folder/"people", images.path.iloc[each]


def one_round(tree, data, tmp):
    "All measurements of a version"
    paths = read_signatures(data).query("not forged").path[:400:10].tolist()
    people, question = tmp/"people", (tmp/"question").read_text()
    found = measured(tree, IMAGE, paths, 1)
    found["pair, one core"] = measured(tree, PAIRS, paths, 1)["pair"]
    found["pair, all cores"] = measured(tree, PAIRS, paths, os.cpu_count())["pair"]
    found |= measured(tree, SCORE, [tmp/"pairs.csv", data, tmp/"out.csv"], os.cpu_count())
    found |= measured(tree, ARCHIVE, [people, question, tmp/"refs.parquet"], os.cpu_count())
    found["verify, cold"] = statistics.median(command(tree, "verify", paths[0], paths[1]) for _ in range(5))
    found["help, cold"] = statistics.median(command(tree, "--help") for _ in range(5))
    return found


# Measurement -> what it is, its unit, how many of the unit a second (or a byte) has, goal in this unit, whether the peer does the same
ROWS = {
    "ink": ("find the ink of a scan, one core", "ms", 1e3, None, False),
    "measure": ("measure it, one core", "ms", 1e3, None, False),
    "image": ("both, one core", "ms", 1e3, 12, True),
    "pair, one core": ("compare two measured signatures, one core", "ms", 1e3, None, False),
    "pair, all cores": ("compare two measured signatures, two cores", "ms", 1e3, .2, False),
    "verify, cold": ("`siamese-sig verify`, two scans, cold", "s", 1, .6, False),
    "score": ("`score`, a pair of new files, two cores", "ms", 1e3, 1000/90, False),
    "enrol": ("`enrol`, an image, two cores", "ms", 1e3, None, False),
    "bytes": ("an enrolled signature on the disk", "kB", 1e-3, 16.384, False),
    "identify": ("`identify` among 60 writers with five references each, warm", "s", 1, None, False),
    "help, cold": ("`siamese-sig --help`", "s", 1, .15, False),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="sign_data")
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--before", default="5fd327b", help="commit before the work")
    parser.add_argument("--pairs", type=int, default=150)
    args = parser.parse_args()
    args.data, now = args.data.resolve(), Path(__file__).resolve().parents[1]
    with tempfile.TemporaryDirectory() as folder:
        tmp = Path(folder)
        (tmp/"before").mkdir()
        before = tree_of(args.before, tmp/"before")
        questions(args.data, tmp, args.pairs)
        _, question = people_of(tmp)
        (tmp/"question").write_text(question)
        rounds = [(one_round(before, args.data, tmp), one_round(now, args.data, tmp), measured(now, PEER, [], 1)["peer"]) for _ in range(ROUNDS)]
    old, new, peer = zip(*rounds)
    rows = []
    for name, (what, unit, factor, goal, has_peer) in ROWS.items():
        was, is_ = (statistics.median(one[name] for one in version)*factor for version in (old, new))
        rows.append(dict(what=what, unit=unit, before=was, now=is_, ratio=was/is_, asked=goal, peer=statistics.median(peer)*factor if has_peer else None))
        print(rows[-1], flush=True)
    write_results(args.out, "sign_data, and embedded signatures for enrol and identify", machine=machine(), before=args.before, rows=rows)


if __name__ == "__main__":
    main()
