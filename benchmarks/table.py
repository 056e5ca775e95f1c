"""Run the benchmarks one after the other and put their table into nbs/about/benchmarks.ipynb.

Example: KERAS_HOME=... python benchmarks/table.py sign_data
"""
import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine
from execnb.nbio import mk_cell, new_nb, write_nb

HERE = Path(__file__).parent
TITLE = "# Benchmarks\n\n> Ours beside the reference, measured together: read the ratios, not the seconds"
TEXT = """{machine}; {date}. Each row is printed by its script in `benchmarks/`, medians of several rounds; this page is made by `python benchmarks/table.py sign_data`.

| what | ours | reference | ratio |
|---|---|---|---|
{rows}

- (a) The reference is the original notebook's loop, written in its manner, for a few steps, scaled up to its 500 steps and its test. The encoder is frozen, so its features are computed once; training the head on them is the same arithmetic (tested in [notebook 03](../03_train.ipynb)). The accuracy is on the data set's own split, which leaks: it says that the work is the same, not that it is good.
- (b) Ink is found by Python code, so that decoding is parallel in processes. The last row is what a second run pays for its images.
- (c) Batches are gathered from the mapped file while the step runs.
- (d) Each image passes the head's dense layer once; a pair costs the difference and a dot product.
- (e) Linear is 2 and 4.
- (f) TensorFlow is imported by the commands that compute."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        env = {**os.environ, "BENCHMARK_ROWS": f"{tmp}/rows", "SIAMESE_SIG_CACHE": f"{tmp}/cache", "TF_CPP_MIN_LOG_LEVEL": "3"}
        for name, needs_data in dict(original_recipe=1, feeding=1, pipeline=1, scoring=0, growth=0, cold_start=0).items():
            subprocess.run([sys.executable, HERE/f"{name}.py", *[str(args.data)]*needs_data], check=True, env=env, stderr=subprocess.DEVNULL)
        rows = [json.loads(line) for line in Path(f"{tmp}/rows").read_text().splitlines()]
    text = TEXT.format(machine=machine(), date=datetime.date.today(), rows="\n".join(f"| {' | '.join(r)} |" for r in rows))
    nb = new_nb([mk_cell(TITLE, "markdown", id="title"), mk_cell(text, "markdown", id="table")])  # nbdev keeps only the title of a first cell
    write_nb(nb, HERE.parent/"nbs"/"about"/"benchmarks.ipynb")


if __name__ == "__main__":
    main()
