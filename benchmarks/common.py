"What the benchmarks share: medians, the machine, a table that remembers"
import json
import os
import platform
import statistics
import time
from pathlib import Path


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
    return (f"{cores} cores of {names[0] if names else platform.processor()}, no GPU; Python {platform.python_version()}, "
            f"TensorFlow {version('tensorflow')}, Keras {version('keras')}")


def row(name, ours, reference, ratio):
    "Print one row of the table; with BENCHMARK_ROWS set, add it to that file too"
    print(f"| {name} | {ours} | {reference} | {ratio} |", flush=True)
    if file := os.environ.get("BENCHMARK_ROWS"):
        with open(file, "a") as f:
            f.write(json.dumps([name, ours, reference, ratio]) + "\n")
