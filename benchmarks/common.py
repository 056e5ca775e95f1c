"What the benchmarks share: medians, the machine, a table that remembers, result files"
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

from siamese_sig.core.files import write_whole


def median_time(work, *args, repeats=3):
    "Seconds of `work(*args)`, the median of several runs"
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work(*args)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def machine():
    "The machine and the libraries, in words"
    from importlib.metadata import version
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0))
    cards = [line.split(":")[1].strip() for file in Path("/proc/driver/nvidia/gpus").glob("*/information") for line in file.read_text().splitlines() if line.startswith("Model")]
    return (f"{cores} cores of {names[0] if names else platform.processor()}, {', '.join(cards) or 'no GPU'}; Python {platform.python_version()}, "
            f"TensorFlow {version('tensorflow')}, Keras {version('keras')}")


def row(name, ours, reference, ratio):
    "Print one row of the table; with BENCHMARK_ROWS set, add it to that file too"
    print(f"| {name} | {ours} | {reference} | {ratio} |", flush=True)
    if file := os.environ.get("BENCHMARK_ROWS"):
        with open(file, "a") as f:
            f.write(json.dumps([name, ours, reference, ratio]) + "\n")


def command_line():
    "The command of this process, without the folders of this machine"
    words = [Path(word).name if Path(word).is_absolute() or word.startswith("..") else word for word in sys.argv[1:]]
    return " ".join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words])


def write_results(path, data, **found):
    "Write what a benchmark found as JSON; its first lines say by which command, on what data, at which commit and when"
    git = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=Path(__file__).parent)
    head = dict(command=command_line(), data=data, commit=git.stdout.strip(), date=str(datetime.date.today()))
    text = json.dumps({**head, **found}, indent=1, ensure_ascii=False) + "\n"
    write_whole(Path(path), lambda p: p.write_text(text, encoding="utf-8"))
