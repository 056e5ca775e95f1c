"kill -9 and full disks at any moment: nothing that was whole is lost, nothing half is taken for whole"
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest
from conftest import cli
from nursery import Nursery
from test_images import data_set

from siamese_sig.core import cache
from siamese_sig.core.files import left_over
from siamese_sig.core.images import load_images
from siamese_sig.core.ink import preprocess
from siamese_sig.core.layouts import read_images

SMALL = "--recipe", "original", "--epochs", 3, "--steps-per-epoch", 3, "--size", "24x40", "--batch-size", 8, "--learning-rate", .001


@pytest.fixture(scope="module")
def nursery(tmp_path_factory, cache):
    n = Nursery(tmp_path_factory.mktemp("nursery"))
    yield n
    n.close()


@pytest.fixture(scope="module")
def small(tmp_path_factory, people):
    return data_set(tmp_path_factory.mktemp("kills")/"set", people, None, bad=())


@pytest.fixture(scope="module")
def finished(tmp_path_factory, nursery, small):
    "A training that nobody disturbed: its folder, its steps, its seconds"
    run = tmp_path_factory.mktemp("finished")/"run"
    assert nursery.run("train", "--data", small, "--out", run, *SMALL) == 0  # fills the cache
    shutil.rmtree(run)
    start = time.monotonic()
    assert nursery.run("train", "--data", small, "--out", run, *SMALL) == 0
    return run, nursery.steps(), time.monotonic()-start


def weights(run):
    from siamese_sig.core.networks import read_network
    return read_network(run/"model.keras").get_weights()


def check_whole(run):
    "Every file that has its final name can be read to the end"
    for file in run.rglob("*"):
        if file.name.startswith("."):
            continue
        if file.suffix == ".json":
            json.loads(file.read_text())
        if file.suffix == ".csv":
            rows = file.read_text().split("\n")
            assert rows[-1] == "" and len({row.count(",") for row in rows[:-1]}) == 1, file
        if file.suffix == ".keras":
            with zipfile.ZipFile(file) as z:
                assert z.testzip() is None
        if file.suffix == ".onnx":
            import onnxruntime
            onnxruntime.InferenceSession(file.read_bytes())
        if file.suffix == ".html":
            assert file.read_text().endswith("</html>")


def finish(nursery, run, small, **kill):
    "Train, or go on: what a person would do who knows only whether there is a config.json"
    if (run/"config.json").exists():
        return nursery.run("train", "--resume", run, **kill)
    return nursery.run("train", "--data", small, "--out", run, *SMALL, **kill)


def done(run):
    return (run/"model.keras").exists() and (run/"calibration.json").exists()


def same_as(run, finished):
    "Bit for bit the same weights and history as undisturbed"
    for a, b in zip(weights(run), weights(finished), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    assert (run/"history.csv").read_bytes() == (finished/"history.csv").read_bytes()
    assert (run/"calibration.json").read_bytes() == (finished/"calibration.json").read_bytes()
    assert all(left_over(p.name) or p.name == ".lock" for p in run.rglob(".*"))  # nothing reads those
    assert not (run/"checkpoints").exists()


def kill_by_steps(nursery, small, finished, folder, steps):
    "A training killed at each of these steps, then finished"
    for n in steps:
        run = folder/f"step-{n}"
        assert finish(nursery, run, small, step=n) == -9
        check_whole(run) if run.exists() else None
        for _ in range(3):
            if not done(run):
                assert finish(nursery, run, small) == 0, nursery.log.read_text()
        same_as(run, finished)
        shutil.rmtree(run)


def test_training_killed_at_some_steps(nursery, small, finished, tmp_path):
    run, n, _ = finished
    kill_by_steps(nursery, small, run, tmp_path, [n//2])


@pytest.mark.slow
def test_training_killed_at_many_steps(nursery, small, finished, tmp_path, request, tried):
    "Wherever a file is opened for writing, handed to the disk, renamed or removed; evenly spread"
    run, n, _ = finished
    steps = np.unique(np.linspace(1, n, min(n, request.config.getoption("--kills"))).astype(int))
    kill_by_steps(nursery, small, run, tmp_path, steps.tolist())
    tried(len(steps), f"{len(steps)} of its {n} steps")


@pytest.mark.slow
def test_training_killed_at_any_time(nursery, small, finished, tmp_path, request, tried):
    "Chains of seeded kills, each run resumed until it is finished"
    whole, _, seconds = finished
    rng, kills, runs, wanted = np.random.default_rng(request.config.getoption("--kill-seed")), 0, 0, request.config.getoption("--kills")
    while kills < wanted:
        run = tmp_path/f"run-{runs}"
        while not done(run):
            if run.exists():
                check_whole(run)
            if kills < wanted and rng.random() < .8:
                kills += finish(nursery, run, small, after=rng.uniform(0, 1.1*seconds)) == -9
            else:
                assert finish(nursery, run, small) == 0, nursery.log.read_text()
        same_as(run, whole)
        shutil.rmtree(run)
        runs += 1
    tried(kills, f"in {runs} runs")


@pytest.mark.slow
def test_writers_batches_resume(nursery, small, tmp_path):
    "The other way to train, with augmentation, is bit-equal after a kill as well"
    more = (*SMALL, "--batches", "writers", "--augment", "--batch-size", 16)
    assert nursery.run("train", "--data", small, "--out", tmp_path/"whole", *more) == 0
    n = nursery.steps()
    assert nursery.run("train", "--data", small, "--out", tmp_path/"run", *more, step=n//2) == -9
    assert nursery.run("train", "--resume", tmp_path/"run") == 0
    same_as(tmp_path/"run", tmp_path/"whole")


def evaluated(nursery, finished, folder):
    run = folder/"run"
    shutil.copytree(finished[0], run)
    assert nursery.run("evaluate", run) == 0
    return run, nursery.steps()


def report_killed(nursery, run, steps):
    before = {name: (run/name).read_bytes() for name in ("metrics.json", "scores.csv", "report.html", "calibration.json")}
    for n in steps:
        assert nursery.run("evaluate", run, step=n) == -9
        check_whole(run)
        for name, data in before.items():  # the same run: old and new are equal
            assert (run/name).read_bytes() == data, name
    assert nursery.run("evaluate", run) == 0


def test_report_killed_at_some_steps(nursery, finished, tmp_path):
    run, n = evaluated(nursery, finished, tmp_path)
    report_killed(nursery, run, [n//2, n-1])


@pytest.mark.slow
def test_report_killed_at_many_steps(nursery, finished, tmp_path, tried):
    run, n = evaluated(nursery, finished, tmp_path)
    report_killed(nursery, run, steps := np.unique(np.linspace(1, n, min(n, 30)).astype(int)).tolist())
    tried(len(steps), f"{len(steps)} of its {n} steps")


CACHE = """
import sys
from siamese_sig.core.images import load_images
from siamese_sig.core.layouts import read_images
print('ready', flush=True)
load_images(read_images(sys.argv[1]), size=(40,72))
"""


def cache_killed(root, folder, kills, seed):
    "A cache being filled, killed at seeded moments: a row in it is right or not there"
    images = read_images(root)
    truth = {key: preprocess(path, size=(40, 72)) for key, path in zip(images.sha256, images.path)}
    record, rng, held = cache._record((40, 72, 1), "uint8"), np.random.default_rng(seed), 0
    for k in range(kills):
        if k % 6 == 0:
            shutil.rmtree(folder, ignore_errors=True)
        p = subprocess.Popen([sys.executable, "-c", CACHE, str(root)], stdout=subprocess.PIPE, start_new_session=True,
                             env={**os.environ, "SIAMESE_SIG_CACHE": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)})
        p.stdout.readline()
        time.sleep(rng.uniform(0, 1.2))
        os.killpg(p.pid, 9)
        p.wait()
        for file in folder.rglob("*.rows"):
            whole = cache._find_rows(file, record, {bytes.fromhex(key) for key in truth})
            kept = np.memmap(file, record, "r") if whole else None
            for key, i in whole.items():
                assert np.array_equal(kept["row"][i], truth[key.hex()])
            held += len(whole)
    from unittest.mock import patch
    with patch.dict(os.environ, SIAMESE_SIG_CACHE=str(folder)):
        x, position = load_images(images, size=(40, 72))
    for key, i in zip(images.sha256, position):
        assert np.array_equal(x[i], truth[key])
    return held


def test_cache_killed(small, tmp_path):
    cache_killed(small, tmp_path/"cache", 2, 0)


@pytest.mark.slow
def test_cache_killed_often(small, tmp_path, request, tried):
    n = request.config.getoption("--kills")
    held = cache_killed(small, tmp_path/"cache", n, request.config.getoption("--kill-seed"))
    tried(n, f"{held:,} whole rows found after them")


def test_cache_of_garbage(small, tmp_path, monkeypatch):
    "Bytes changed anywhere in the cache, rows swapped, files cut or emptied: made again, never trusted"
    monkeypatch.setenv("SIAMESE_SIG_CACHE", str(tmp_path/"cache"))
    images = read_images(small)
    truth = np.array(load_images(images, size=(40, 72))[0])
    file, rng = next((tmp_path/"cache").rglob("*.rows")), np.random.default_rng(0)
    whole, size = file.read_bytes(), cache._record((40, 72, 1), "uint8").itemsize
    for k in range(10):
        bad = bytearray(whole)
        if k % 5 < 3:
            for i in rng.integers(0, len(bad), 1+k):
                bad[i] ^= 1 << int(rng.integers(8))
        elif k % 5 == 3:
            bad[:size], bad[size:2*size] = bad[size:2*size], bad[:size]
        else:
            bad = bad[:int(rng.integers(len(bad)))]
        file.write_bytes(bad)
        assert np.array_equal(load_images(images, size=(40, 72))[0], truth)


@pytest.mark.parametrize("step", [3, 10, 25])
def test_data_set_killed(nursery, tmp_path, step):
    "A data set that was being written is whole or not there"
    assert nursery.run("data", "synth", tmp_path/"set", "--writers", 2, "--genuine", 2, "--forged", 1, step=step) == -9
    assert not (tmp_path/"set").exists()
    assert nursery.run("data", "synth", tmp_path/"set", "--writers", 2, "--genuine", 2, "--forged", 1) == 0
    cli("data", "audit", tmp_path/"set", "--json", code=0)


def test_answers_killed(nursery, known, tmp_path):
    "A file of answers is the old one or the new one"
    (tmp_path/"q.csv").write_text("query,refs\n"+f"{os.path.basename(known[0])},{os.path.basename(known[1])}\n"*50)
    ask = "score", tmp_path/"q.csv", "--images", os.path.dirname(known[0]), "--out", tmp_path/"a.csv"
    for _ in range(2):  # the first fills the cache, which takes more steps
        assert nursery.run(*ask) == 0
    n, whole = nursery.steps(), (tmp_path/"a.csv").read_bytes()
    (tmp_path/"a.csv").write_text("old")
    for step in range(1, n+1):
        assert nursery.run(*ask, step=step) == -9
        assert (tmp_path/"a.csv").read_bytes() in (b"old", whole)


def test_two_runs_into_one_folder(small, tmp_path, finished):
    "Started at the same time, one trains and the other is refused, as is a resumption meanwhile; the one that trains is not disturbed"
    args = [sys.executable, "-m", "siamese_sig", "train", "--data", str(small), "--out", str(tmp_path/"run"), *map(str, SMALL)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    both = [subprocess.Popen(args, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [None, None]
    threads = [threading.Thread(target=lambda i=i, p=p: said.__setitem__(i, p.communicate()[1])) for i, p in enumerate(both)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(p.returncode for p in both) == [0, 2], said
    loser = said[[p.returncode for p in both].index(2)]
    assert "Traceback" not in loser and ("another process is writing" in loser or "not an empty folder" in loser)
    same_as(tmp_path/"run", finished[0])
    _, _, err = cli("train", "--data", small, "--out", tmp_path/"run", *SMALL, code=2)
    assert "not an empty folder" in err


def test_resume_beside_a_training(small, finished, tmp_path):
    from siamese_sig.core.files import only_one
    shutil.copytree(finished[0], tmp_path/"run")
    with only_one(tmp_path/"run"):
        _, _, err = cli("train", "--resume", tmp_path/"run", code=2)
    assert "another process is writing" in err or "finished" in err


def tmpfs(folder, megabytes):
    "A small disk, or a skip that says why"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no small disk can be mounted here: {made.stderr.strip()}")
    return folder


@pytest.fixture
def disk(tmp_path):
    folder = tmpfs(tmp_path/"disk", 1)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill(disk, leave=0):
    "Fill the disk but for so many bytes"
    with open(disk/"filler", "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(4096))
        except OSError:
            pass
        f.truncate(max(0, f.tell()-leave))


@pytest.mark.parametrize("leave", [0, 8_192, 60_000])
def test_full_disk(disk, small, known, finished, people, tmp_path, leave):
    "One line that says so, nothing half, and what was there before still there"
    for name in ("a.csv", "mine.json", "why.png"):
        (disk/name).write_text("old")
    shutil.copytree(finished[0].parent/"run", disk/"run", ignore=shutil.ignore_patterns("*.onnx", "model.keras"))
    (tmp_path/"q.csv").write_text("query,refs\n"+f"{os.path.basename(known[0])},{os.path.basename(known[1])}\n"*20_000)
    fill(disk, leave)
    before = {p: p.read_bytes() for p in disk.rglob("*") if p.is_file() and p.name != ".lock"}
    for command in (("score", tmp_path/"q.csv", "--images", os.path.dirname(known[0]), "--out", disk/"a.csv"), ("enrol", small/"train", "--out", disk/"refs.parquet"),
                    ("verify", "--ref", known[0], known[1], "--picture", disk/"why.png"), ("data", "synth", disk/"set", "--writers", 20), ("train", "--data", small, "--out", disk/"new", *SMALL),
                    ("train", "--from", "bundled", "--data", small, "--out", disk/"mine")):
        _, _, err = cli(*command, code=2)
        assert "No space left" in err or "cannot be written" in err, (command[0], err)
        for begun in ("new", "refs.parquet"):  # both could be gone on with
            shutil.rmtree(disk/begun, ignore_errors=True)
        assert {p: p.read_bytes() for p in disk.rglob("*") if p.is_file() and p.name != ".lock"} == before, command


def test_full_disk_for_what_is_small(disk, small, known):
    "Calibrations, pictures, archives and imported data: the place is named, not the file that was read, and the old ones are whole"
    cli("enrol", small/"train", "--out", disk/"archive", code=0)
    (disk/"mine.json").write_text("old")
    shutil.copy(known[1], disk/"ink.png")
    fill(disk)
    before = {p: p.read_bytes() for p in disk.rglob("*") if p.is_file() and p.name != ".lock"}
    for command, place in ((("calibrate", small, "--out", disk/"mine.json"), "mine.json"), (("ink", known[0], "--out", disk/"ink.png"), "ink.png"),
                           (("data", "import", small, disk/"set"), "set"), (("forget", disk/"archive", read_images(small).writer[0]), "archive")):
        _, _, err = cli(*command, code=2)
        assert f"{disk/place}" in err and "cannot be written (No space left" in err, err
        assert {p: p.read_bytes() for p in disk.rglob("*") if p.is_file() and p.name != ".lock"} == before, command


def test_full_disk_for_the_report(tmp_path, finished):
    "An evaluation that finds no room leaves the old report as it was; with room it goes through"
    disk = tmpfs(tmp_path/"disk", 4)
    try:
        shutil.copytree(finished[0], disk/"run")
        cli("evaluate", disk/"run", code=0)
        before = {p: p.read_bytes() for p in (disk/"run").iterdir() if p.is_file()}
        fill(disk)
        _, _, err = cli("evaluate", disk/"run", code=2)
        assert "cannot be written" in err
        assert {p: p.read_bytes() for p in (disk/"run").iterdir() if p.is_file()} == before
        (disk/"filler").unlink()
        cli("evaluate", disk/"run", code=0)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_for_the_cache(disk, known, monkeypatch, small):
    "The cache says what to do"
    fill(disk)
    monkeypatch.setenv("SIAMESE_SIG_CACHE", str(disk/"cache"))
    _, _, err = cli("calibrate", small, "--out", disk/"mine.json", code=2)
    assert "SIAMESE_SIG_CACHE" in err
    cli("verify", "--ref", known[0], known[0], code=0)  # needs no cache


def test_full_standard_output(known):
    "A verdict that nobody can read is no verdict"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with open("/dev/full", "w") as full:
        p = subprocess.run([sys.executable, "-m", "siamese_sig", "verify", "--ref", known[0], known[0]], stdout=full, stderr=subprocess.PIPE, text=True, env=env)
    assert p.returncode == 2 and "Traceback" not in p.stderr
    read, write = os.pipe()
    os.close(read)
    p = subprocess.run([sys.executable, "-m", "siamese_sig", "verify", "--ref", known[0], known[0]], stdout=write, stderr=subprocess.PIPE, text=True, env=env)
    os.close(write)
    assert p.returncode == 141 and not p.stderr, p


def test_errors_are_no_verdicts(known, monkeypatch):
    "A mistake of ours, a lack of memory, Ctrl-C: not 0, and not 1 either, which means forged"
    from siamese_sig import verify
    for error, status in ((KeyError("x"), 2), (ZeroDivisionError(), 2), (MemoryError(), 2), (OSError(5, "Input/output error"), 2), (RecursionError(), 2), (KeyboardInterrupt(), 130)):
        def fail(*args, e=error, **kw):
            raise e
        monkeypatch.setattr(verify.Verifier, "verify", fail)
        cli("verify", "--ref", known[0], known[0], code=status)
