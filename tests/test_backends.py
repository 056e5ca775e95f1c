"The same networks under TensorFlow, JAX and PyTorch; two JAX processes against one. Slow: installs JAX and PyTorch"
import io
import json
import os
import socket
import subprocess
import sysconfig
import venv
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
CPU_ONLY = "https://download.pytorch.org/whl/cpu"  # without CUDA's gigabytes; else from the usual index
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    "A Python with what this one has, JAX and PyTorch; SIAMESE_SIG_BACKENDS names one that is there already"
    if "SIAMESE_SIG_BACKENDS" in os.environ:
        return os.environ["SIAMESE_SIG_BACKENDS"]
    folder = tmp_path_factory.mktemp("backends")/"venv"
    venv.create(folder, with_pip=True)
    exe = str(folder/"bin"/"python")
    where = subprocess.run([exe, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True, check=True).stdout.strip()
    (Path(where)/"parent.pth").write_text(sysconfig.get_path("purelib"))
    for package, *index in (("jax",), ("torch", "--index-url", CPU_ONLY)):
        install = [exe, "-m", "pip", "install", "-q", package]
        done = subprocess.run([*install, *index], capture_output=True, text=True)
        if done.returncode and index:
            done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"SKIPPED: {package} cannot be installed here: {done.stderr.strip().splitlines()[-1]}")
    return exe


def start(python, *args, backend="jax"):
    return subprocess.Popen([python, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)})


def result(process):
    out, err = process.communicate(timeout=1800)
    assert process.returncode == 0, err[-3000:]
    return out


def test_across_backends(python, tmp_path):
    "Build, train a step, save under each; load under each: the same scores within 1e-5"
    script, backends = ROOT/"tests"/"backends.py", ("tensorflow", "jax", "torch")
    for backend in backends:
        result(start(python, script, tmp_path, backend=backend))
    for backend in backends:
        differences = json.loads(result(start(python, script, tmp_path, "--load", backend=backend)).splitlines()[-1])
        print(differences)
        assert len(differences) == 12 and max(differences.values()) < 1e-5


def weights(file):
    "Every array of a .keras file by name"
    import h5py
    arrays = {}
    with zipfile.ZipFile(file) as z, h5py.File(io.BytesIO(z.read("model.weights.h5"))) as f:
        f.visititems(lambda name, v: arrays.update({name: v[()].astype(float)}) if isinstance(v, h5py.Dataset) else None)
    return arrays


def test_two_jax_processes(python, tmp_path):
    "Two processes with half a batch each end where one with the whole batch ends"
    script = ROOT/"scripts"/"train_jax_distributed.py"
    with socket.socket() as s:
        s.bind(("localhost", 0))
        address = f"localhost:{s.getsockname()[1]}"
    one = result(start(python, script, "--out", tmp_path/"one.keras"))
    both = [start(python, script, "--coordinator", address, "--processes", 2, "--process", k, "--out", tmp_path/"two.keras") for k in (0, 1)]
    with ThreadPoolExecutor() as pool:  # read both, or a full pipe stops one and the other waits for it
        two, other = pool.map(result, both)
    loss = [[float(line.rsplit(" ", 1)[1]) for line in out.splitlines() if "loss" in line] for out in (one, two, other)]
    a, b = weights(tmp_path/"one.keras"), weights(tmp_path/"two.keras")
    difference = max(np.abs(a[name]-b[name]).max() for name in a)
    print(loss, difference)
    assert len(loss[0]) == 3 and loss[1] == loss[2] and a.keys() == b.keys()
    np.testing.assert_allclose(loss[0], loss[1], atol=1e-5)
    assert difference < 1e-4
