"The same command gives the same bytes"
import re
from pathlib import Path

import pytest
from conftest import cli, process
from test_images import data_set

ROOT = Path(__file__).parents[1]
FILES = "metrics.json", "scores.csv", "calibration.json", "history.csv"


def test_small_run_twice(tmp_path, people):
    root = data_set(tmp_path/"set", people, None, bad=())
    for name in ("one", "two"):
        cli("train", "--recipe", "original", "--data", root, "--out", tmp_path/name, "--epochs", 2, "--steps-per-epoch", 5, "--size", "40x72", "--seed", 3, code=0)
        cli("evaluate", tmp_path/name, code=0)
    for name in FILES:
        assert (tmp_path/"one"/name).read_bytes() == (tmp_path/"two"/name).read_bytes(), name


@pytest.mark.slow
def test_demo_twice(tmp_path):
    "In two processes; another seed gives another run"
    for name, seed in (("one", 0), ("two", 0), ("other", 1)):
        process("demo", "--out", tmp_path/name, "--seed", seed, code=0, timeout=3000)
    for name in FILES:
        assert (tmp_path/"one"/name).read_bytes() == (tmp_path/"two"/name).read_bytes(), name
        assert (tmp_path/"one"/name).read_bytes() != (tmp_path/"other"/name).read_bytes(), name


def test_verdicts_twice(known):
    "In two processes"
    assert process("verify", "--ref", known[0], known[1], "--json")[:2] == process("verify", "--ref", known[0], known[1], "--json")[:2]


def test_seeds_are_arguments():
    "No random number comes from the clock, and none from a generator that is shared"
    for file in (ROOT/"siamese_sig").glob("*.py"):
        for line in file.read_text().splitlines():
            assert not re.search(r"default_rng\(\)|np\.random\.(?!default_rng|Generator)|^import random|from random import|random_state=None", line), (file.name, line)
