"""Run the benchmarks of speed one after the other; their rows go to benchmarks/results/timings.json, which nbs/about/benchmarks.ipynb reads.

Example: KERAS_HOME=... python benchmarks/table.py sign_data
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine, write_results

HERE = Path(__file__).parent
COLUMNS = ("what", "ours", "reference", "ratio")
# Script -> does it need the real data?
SCRIPTS = dict(original_recipe=True, feeding=True, pipeline=True, scoring=False, growth=False, cold_start=False, verify_speed=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        env = {**os.environ, "BENCHMARK_ROWS": f"{tmp}/rows", "SIAMESE_SIG_CACHE": f"{tmp}/cache", "TF_CPP_MIN_LOG_LEVEL": "3"}
        for name, needs_data in SCRIPTS.items():
            subprocess.run([sys.executable, HERE/f"{name}.py", *[str(args.data)]*needs_data], check=True, env=env, stderr=subprocess.DEVNULL)
        lines = Path(f"{tmp}/rows").read_text().splitlines()
    rows = [dict(zip(COLUMNS, json.loads(line))) for line in lines]
    write_results(HERE/"results/timings.json", "sign_data and made-up arrays", machine=machine(), rows=rows)


if __name__ == "__main__":
    main()
