"Networks, calibrations and references that a stranger made"
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import VERDICTS, cli
from test_images import data_set

ROOT = Path(__file__).parents[1]
SMALL = "--recipe", "original", "--epochs", 2, "--steps-per-epoch", 2, "--size", "24x40", "--batch-size", 8


@pytest.fixture(scope="module")
def run(tmp_path_factory, people):
    "A small trained run"
    folder = tmp_path_factory.mktemp("models")
    data_set(folder/"set", people, None, bad=())
    cli("train", "--data", folder/"set", "--out", folder/"run", *SMALL, code=0)
    return folder/"run"


@pytest.fixture
def copy(run, tmp_path):
    shutil.copytree(run, tmp_path/"run")
    return tmp_path/"run"


def repacked(file, change):
    "The `.keras` file with its description changed"
    with zipfile.ZipFile(file) as z:
        parts = {n: z.read(n) for n in z.namelist()}
    config = json.loads(parts["config.json"])
    change(config)
    parts["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(file, "w") as z:
        for name, data in parts.items():
            z.writestr(name, data)


def marker(tmp_path):
    return tmp_path/"executed"


def crafted_layers(tmp_path):
    "Descriptions of layers that would run code, read files or fetch addresses"
    mark = str(marker(tmp_path))
    return {"Lambda": dict(class_name="Lambda", module="keras.layers", config=dict(name="x", function=dict(class_name="function", config="os.system", module="builtins"))),
            "lambda": dict(class_name="Lambda", module="keras.layers", config=dict(name="x", function=dict(class_name="__lambda__", config=dict(value=["4wAAAA==", None, None])))),
            "os.system": dict(class_name="function", module="os", config="system", registered_name="system"),
            "subprocess": dict(class_name="run", module="subprocess", config=dict(args=["touch", mark])),
            "builtins": dict(class_name="function", module="builtins", config="eval", registered_name="function"),
            "download": dict(class_name="function", module="keras.utils", config="get_file", registered_name="get_file"),
            "unsafe": dict(class_name="function", module="keras.config", config="enable_unsafe_deserialization", registered_name="function"),
            "vocabulary": dict(class_name="StringLookup", module="keras.layers", config=dict(vocabulary="/etc/passwd")),
            "saved model": dict(class_name="TFSMLayer", module="keras.layers", config=dict(filepath="/nowhere")),
            "other package": dict(class_name="Thing", module="evil.package", config={}), "numpy": dict(class_name="__numpy__", config=dict(value="x"))}


KINDS = ["Lambda", "lambda", "os.system", "subprocess", "builtins", "download", "unsafe", "vocabulary", "saved model", "other package", "numpy"]


@pytest.mark.parametrize("kind", KINDS)
def test_crafted_network(copy, tmp_path, kind):
    "Refused with our message, before Keras builds anything; nothing is run"
    layer = crafted_layers(tmp_path)[kind]
    repacked(copy/"model.keras", lambda config: config["config"]["layers"].append(dict(layer, name="x", inbound_nodes=[])))
    for command in (("evaluate", copy), ("export", copy, "--out", tmp_path/"out")):
        _, _, err = cli(*command, code=2)
        assert "refused, it holds" in err, err
    assert not marker(tmp_path).exists()


def test_keras_refuses_too(tmp_path):
    "Without our look, safe_mode itself would refuse the Lambda"
    import keras
    keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda v: v)]).save(tmp_path/"a.keras")
    with pytest.raises(ValueError, match="Lambda"):
        keras.saving.load_model(tmp_path/"a.keras", safe_mode=True)


def test_weights_from_elsewhere(copy, tmp_path):
    "Weights that point to another file are refused"
    import h5py
    with zipfile.ZipFile(copy/"model.keras") as z:
        parts = {n: z.read(n) for n in z.namelist()}
    (tmp_path/"secret").write_bytes(bytes(400))
    for kind in ("dataset", "link"):
        file = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(file, "a") as f:
            if kind == "dataset":
                f.create_dataset("x", (100,), "f4", external=[(str(tmp_path/"secret"), 0, 400)])
            else:
                f["x"] = h5py.ExternalLink(str(tmp_path/"secret"), "/")
        with zipfile.ZipFile(copy/"model.keras", "w") as z:
            for name, data in (parts | {"model.weights.h5": file.getvalue()}).items():
                z.writestr(name, data)
        _, _, err = cli("evaluate", copy, code=2)
        assert "lies in another file" in err, err


def spoilt(data, how, rng):
    data = bytearray(data)
    if how == "empty":
        return b""
    if how == "cut":
        return bytes(data[:int(rng.integers(1, len(data)))])
    if how == "text":
        return b"query,refs\n"*20
    if how == "pickle":
        return pickle.dumps(dict(a=1))
    for i in rng.integers(0, len(data), 20):
        data[i] = rng.integers(256)
    return bytes(data)


@pytest.mark.parametrize("name", ["model.keras", "encoder.onnx", "head.onnx", "config.json", "calibration.json"])
@pytest.mark.parametrize("how", ["empty", "cut", "text", "pickle", "bytes"])
def test_damaged_run(run, copy, known, name, how):
    "One line, or an answer where the damage does no harm"
    rng = np.random.default_rng(0)
    for _ in range(1 if how in ("empty", "text", "pickle") else 4):
        (copy/name).write_bytes(spoilt((run/name).read_bytes(), how, rng))
        status, _, err = cli(*(("export", copy, "--out", copy/"none"/str(rng.integers(10**9))) if name == "model.keras" else ("verify", "--model", copy, "--ref", known[0], known[1])))
        assert status in ((*VERDICTS, 2) if how in ("bytes", "cut") else (2,)), (status, err)


@pytest.mark.parametrize("change", [dict(size=[10**6, 10**6]), dict(size="big"), dict(size=[]), dict(size=[30, 40]), dict(input="grey"), dict(input="scan"), dict(input=None), dict(size=[-1, 40])])
def test_config_that_does_not_fit(copy, known, change):
    config = json.loads((copy/"config.json").read_text())
    (copy/"config.json").write_text(json.dumps(config | dict(settings=config["settings"] | change)))
    cli("verify", "--model", copy, "--ref", known[0], known[1], code=2)


def test_another_version_says_so(copy, known):
    "A run of another version is used, and says so; one that lacks what this version needs is refused, and says so"
    config = json.loads((copy/"config.json").read_text())
    (copy/"config.json").write_text(json.dumps(config | dict(versions=dict(siamese_sig="0.0.1"))))
    status, out, _ = cli("verify", "--model", copy, "--ref", known[0], known[1])
    assert status in VERDICTS and "made by siamese_sig 0.0.1, this is" in out
    _, _, err = cli("evaluate", copy, code=0)
    assert "made by siamese_sig 0.0.1, this is" in err
    (copy/"config.json").write_text(json.dumps({k: v for k, v in config.items() if k not in ("settings", "versions")}))
    _, _, err = cli("evaluate", copy, code=2)
    assert "settings missing" in err and "train anew" in err


BAD = [float("nan"), float("inf"), "0.5", None, [], {}]


@pytest.mark.parametrize("field", ["slope", "intercept", "thresholds", "rule"])
def test_calibration_of_nonsense(copy, known, field):
    "A threshold that is no number accepts nobody"
    calibration = json.loads((copy/"calibration.json").read_text())
    for value in BAD:
        changed = json.loads(json.dumps(calibration))
        for c in changed["references"].values():
            c[field] = dict.fromkeys(c["thresholds"], value) if field == "thresholds" else value
        (copy/"calibration.json").write_text(json.dumps(changed))
        if value != "0.5":
            _, _, err = cli("verify", "--model", copy, "--ref", known[0], known[1], code=2)
            assert "not a calibration" in err
    for references in ({}, [], None, {"x": {}}, {"0": {}}, {"3": calibration["references"]["1"]}):
        (copy/"calibration.json").write_text(json.dumps(dict(calibration, references=references)))
        cli("verify", "--model", copy, "--ref", known[0], known[1], code=2)


def test_crafted_evidence(tmp_path, known):
    "A folder that claims to be an adapted verifier"
    from siamese_sig.core.files import ASSETS
    with np.load(ASSETS/"verifier/evidence.npz") as f:
        good = {n: f[n] for n in f.files}
    for name, change in {
            "written/weight": lambda v: v[..., :3], "even/weight": lambda v: v[..., :3], "written/center": lambda v: np.zeros(3), "distances": lambda v: np.array(["x"]),
            "even/bias": lambda v: np.array([{}], object), "written/scale": lambda v: np.full_like(v, np.nan), "written/points/first": lambda v: v[:3],
            "even/points/crowd": lambda v: v[:, :3], "even/points/third": lambda v: np.full_like(v, np.nan), "even/lbp/axes": lambda v: v[:3]}.items():
        shutil.rmtree(tmp_path/"v", ignore_errors=True)
        shutil.copytree(ASSETS/"verifier", tmp_path/"v")
        np.savez(tmp_path/"v/evidence.npz", **(good | {name: change(good[name])}), allow_pickle=True)
        calibration = json.loads((tmp_path/"v/calibration.json").read_text())
        calibration.pop("fingerprint")
        (tmp_path/"v/calibration.json").write_text(json.dumps(calibration))
        cli("verify", "--model", tmp_path/"v", "--ref", known[0], known[1], code=2)


def test_assets_are_checked(tmp_path):
    "A bundled file that is not the one this version came with is not used; the sums are those of the files"
    shutil.copytree(ROOT/"siamese_sig", tmp_path/"siamese_sig")
    for name in ("synthetic.zip", "verifier/evidence.npz", "verifier/calibration.json"):
        file = tmp_path/"siamese_sig/assets"/name
        whole = file.read_bytes()
        file.write_bytes(whole[:-1]+bytes([whole[-1] ^ 1]))
        ask = ("from siamese_sig.core.layouts import embedded_data\nfrom siamese_sig.core.messages import DataError\nfrom siamese_sig.verify import Verifier\n"
               "try: embedded_data(); Verifier.load()\nexcept DataError as e: print(e)")
        done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path[1:]]),
                                                                                                           "SIAMESE_SIG_CACHE": str(tmp_path/"cache")})
        assert f"{name}: not the file that this version of siamese_sig came with" in done.stdout, (done.stdout, done.stderr)
        file.write_bytes(whole)
    subprocess.run([sys.executable, ROOT/"scripts/hash_assets.py", "--check"], check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})


def test_no_pickle_and_no_code():
    """Nothing in the package can unpickle, evaluate, or run a command, but for our own export under another Keras backend and our own drawing of PDF pages and photographs;
    networks are loaded in one place"""
    code = {p.name: p.read_text() for p in (ROOT/"siamese_sig").rglob("*.py")}
    for name, text in code.items():
        found = re.findall(r"\bpickle\b(?!,)|allow_pickle=True|joblib\.(?:load|dump)|\beval\(|\bexec\(|os\.system|os\.popen|yaml\.load|torch\.load|pd\.read_pickle|safe_mode=False|shell=True", text)
        assert [f for f in found if f != "pickle"] == [], (name, found)
        assert "import pickle" not in text and all("allow_pickle=False" in line for line in text.splitlines() if "np.load(" in line), name
    runs = sorted((name, line.strip()) for name, text in code.items() for line in text.splitlines() if "subprocess.run" in line or "Popen" in line)
    assert [name for name, _ in runs] == ["apart.py", "networks.py"], runs
    assert "subprocess.run(command, input=data" in runs[0][1] and "command = [sys.executable, '-m', 'siamese_sig.core.apart', kind, str(page)]" in code["apart.py"], runs
    assert "subprocess.run([sys.executable, '-c', _EXPORT_PROGRAM, tmp, str(folder), format]" in runs[1][1], runs
    loads = [(name, line) for name, text in code.items() for line in text.splitlines() if "load_model(" in line]
    assert len(loads) == 1 and "safe_mode=True" in loads[0][1], loads


def test_weights_file_of_a_stranger(tmp_path, people):
    "--weights: what is no weights file is one line"
    data_set(tmp_path/"set", people, None, bad=())
    (tmp_path/"w.h5").write_bytes(b"not hdf5")
    for w in (tmp_path/"w.h5", tmp_path/"none.h5", tmp_path):
        cli("train", "--data", tmp_path/"set", "--out", tmp_path/"run", "--weights", w, *SMALL, code=2)
    assert not (tmp_path/"run").exists()
