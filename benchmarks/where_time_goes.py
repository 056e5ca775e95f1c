"""Where the milliseconds of verify, score, enrol and train go, part by part.

Example: python benchmarks/where_time_goes.py benchmarks/results/where_time_goes.json

On embedded signatures, warm, in one process. Python's profiler counts the own time of every function; that of libraries goes to the
function of the package that called them, in proportion to the time of each caller. The profiler itself slows calls of small functions,
so read the shares, not the milliseconds. What a cold start adds is measured in processes of their own.
"""
import argparse
import cProfile
import pstats
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
from common import machine, median_time, write_results

from siamese_sig.archive import enrol
from siamese_sig.core.layouts import embedded_data, read_images
from siamese_sig.core.settings import Settings
from siamese_sig.score import score_file
from siamese_sig.train import train_run
from siamese_sig.verify import Verifier

# Module of the package -> part; the most specific beginning counts
PARTS = {
    "core.scan": "read the image", "core.images": "read the image", "core.ink": "find the ink", "core.masks": "find the ink",
    "core.light": "find the ink", "core.print": "find the ink", "core.lines": "find the ink", "core.colours": "find the ink",
    "verifier.strokes": "measure", "verifier.shapes": "measure", "verifier.points": "measure", "verifier.record": "measure",
    "verifier.spaces": "compare", "verifier.point_network": "compare", "verifier.evidence": "compare", "verifier.pens": "compare",
    "core.batches": "make batches", "train": "network", "siamese": "network", "losses": "network", "backbones": "network",
}
# Functions of verifier.points that compare two signatures
MATCHING = {"match_points", "_partners", "_best_partners", "_fit_map", "_first_map", "_surroundings"}
OTHER, NETWORK = "files, tables, decision", "network"
IMAGES = 24


def part_of(function):
    "The part that a function of the profile belongs to; None for a library's"
    file, _, name = function
    if "/keras/" in file or "/tensorflow/" in file:
        return NETWORK
    if "siamese_sig/" not in file:
        return None
    module = file.rsplit("siamese_sig/", 1)[1].removesuffix(".py").replace("/", ".")
    return "compare" if name in MATCHING else PARTS.get(module, OTHER)


def shares(profile):
    "Seconds of each part: own times, those of libraries handed up to their callers"
    stats = pstats.Stats(profile).stats
    waiting = {function: own for function, (_, _, own, _, _) in stats.items()}
    found = {}
    for _ in range(60):  # deeper than libraries call each other
        above = {}
        for function, seconds in waiting.items():
            part, callers = part_of(function), stats[function][4]
            if part or not callers:
                found[part or OTHER] = found.get(part or OTHER, 0)+seconds
                continue
            total = sum(cumulative for _, _, _, cumulative in callers.values()) or len(callers)
            for caller, (_, _, _, cumulative) in callers.items():
                above[caller] = above.get(caller, 0)+seconds*(cumulative or 1)/total
        waiting = above
    found[OTHER] = found.get(OTHER, 0)+sum(waiting.values())
    return found


def profiled(work):
    profile = cProfile.Profile()
    profile.runcall(work)
    return shares(profile)


def tasks(folder):
    "Name -> (what is done, how often)"
    images = read_images(embedded_data()).query("not forged").reset_index(drop=True)
    paths = images.path[:IMAGES].tolist()
    verifier = Verifier.load()
    verifier.verify(paths[1], [paths[0]])
    scans, people = folder/"scans", folder/"people"
    scans.mkdir()
    for n, path in enumerate(paths):
        shutil.copy(path, scans/f"{n}.png")
        person = people/f"{n//4:03}"
        person.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, person/f"{n}.png")
    pd.DataFrame(dict(query=[f"{n}.png" for n in range(1, IMAGES)], refs="0.png")).to_csv(folder/"pairs.csv", index=False)
    steps = Settings(epochs=1, steps_per_epoch=10)
    return {
        "verify, two new files": (lambda: [verifier.verify(path, [paths[0]]) for path in paths[1:]], IMAGES-1),
        "score, a row of a csv": (lambda: score_file(verifier, folder/"pairs.csv", scans, folder/"out.csv", keep=False), IMAGES-1),
        "enrol, a signature": (lambda: enrol(people, folder/"refs.parquet"), IMAGES),
        "train, an epoch of ten steps": (lambda: train_run(embedded_data(), folder/"run", steps, verbose=0), 1),
    }


def cold(words):
    "Seconds of a command in a process of its own"
    return median_time(lambda: subprocess.run([sys.executable, *words], capture_output=True, check=False), repeats=5)


def cold_rows():
    "A cold verify, stage by stage; each stage is a process that ends there"
    path = read_images(embedded_data()).path.iloc[0]
    libraries = "import numpy, scipy.ndimage, cv2, PIL.Image"
    stages = {"Python": "pass", "NumPy, SciPy, OpenCV, Pillow": libraries, "the package": libraries+"; import siamese_sig.verify",
              "weights": libraries+"; from siamese_sig.verify import Verifier; Verifier.load()"}
    before, rows = 0, []
    for part, code in stages.items():
        until = cold(["-c", code])
        rows.append(dict(task="verify, cold", part=part, ms=1000*(until-before)))
        before = until
    until = cold(["-m", "siamese_sig", "verify", path, path])
    return [*rows, dict(task="verify, cold", part="two images and the answer", ms=1000*(until-before))]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="json")
    args = parser.parse_args()
    rows = cold_rows()
    with tempfile.TemporaryDirectory() as folder:
        for task, (work, n) in tasks(Path(folder)).items():
            rows += [dict(task=task, part=part, ms=1000*seconds/n) for part, seconds in sorted(profiled(work).items())]
    for row in rows:
        print(f"{row['task']:28} {row['part']:28} {row['ms']:8.1f} ms", flush=True)
    write_results(args.out, "embedded signatures", machine=machine(), rows=rows)


if __name__ == "__main__":
    main()
