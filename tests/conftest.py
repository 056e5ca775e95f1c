"""Hard inputs, kills, hostile files: what the notebooks' own tests do not try.

    pytest -q tests            the fast ones, six minutes
    pytest -q tests --slow     all: thirty kills, a million rows, ten minutes of fuzzing for each kind of file

`scripts/hardening.py` runs them row by row and writes the counts that the page on hardening shows.
"""
import contextlib
import io
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from unittest.mock import patch

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from PIL import Image  # noqa: E402

settings.register_profile("here", deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), print_blob=True)
settings.load_profile("here")
VERDICTS = 0, 1, 3  # exit statuses of verify: genuine, forged, inconclusive


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also the tests that take minutes")
    parser.addoption("--fuzz-seconds", type=float, default=600, help="of each slow fuzz test")
    parser.addoption("--kills", type=int, default=30, help="of the slow kill tests, each")
    parser.addoption("--kill-seed", type=int, default=0, help="when the kills come")


def pytest_configure(config):
    config.addinivalue_line("markers", "slow: takes minutes; run with --slow")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes minutes: pytest tests --slow"))


@pytest.fixture
def tried(record_property):
    "tried(n, note): this test held n cases; a test that does not say so is one case"
    def say(n, note=""):
        record_property("cases", n)
        record_property("note", note)
    return say


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    "A cache of this session's own"
    folder = tmp_path_factory.mktemp("cache")
    with patch.dict(os.environ, SIAMESE_SIG_CACHE=str(folder)):
        yield folder


@pytest.fixture(scope="session")
def people(cache):
    "Embedded signatures: {writer: (genuine files, forged files)} of the test writers"
    from siamese_sig.core.layouts import embedded_data
    root = embedded_data()/"test"
    return {p.name: tuple(sorted(map(str, (root/f"{p.name}{kind}").iterdir())) for kind in ("", "_forg"))
            for p in sorted(root.iterdir()) if not p.name.endswith("_forg")}


@pytest.fixture(scope="session")
def known(people):
    "Three genuine signatures of one person"
    return next(iter(people.values()))[0][:3]


def cli(*args, code=None):
    "`siamese-sig args` in this process: (exit status, stdout, stderr); never a traceback, and errors are one line"
    from siamese_sig.cli import main
    out, err, status = io.StringIO(), io.StringIO(), 0
    with patch.object(sys, "argv", ["siamese-sig", *map(str, args)]), contextlib.redirect_stdout(out), \
         contextlib.redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("default")
        for quiet in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):  # as Python does by itself
            warnings.simplefilter("ignore", quiet)
        warnings.showwarning = lambda *a, **k: err.write(f"{a[1].__name__}: {a[0]}\n")  # as a user would see them
        try:
            main()
        except SystemExit as e:
            status = e.code or 0
    out, err = out.getvalue(), err.getvalue()
    check_words(status, out, err)
    if code is not None:
        assert status == code, (args, status, out, err)
    return status, out, err


def check_words(status, out, err):
    "What a user may be shown: no traceback; on exit status 2 a last line that begins with `error: ` or is a usage error"
    assert "Traceback" not in out+err, err
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f]", out+err), repr(out+err)
    if status == 2 and "Usage:" not in err:
        lines = [bar.rsplit("\r", 1)[-1] for bar in err.split("\n") if bar.rsplit("\r", 1)[-1].strip()]  # what is left of progress bars is blank
        assert len(lines) == 1 and lines[0].startswith("error: "), err


def process(*args, code=None, cwd=None, timeout=600, **env):
    "`siamese-sig args` in a process of its own"
    done = subprocess.run([sys.executable, "-m", "siamese_sig", *map(str, args)], capture_output=True, text=True, errors="backslashreplace",
                          cwd=cwd, timeout=timeout, env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path[1:]]), **env})
    check_words(done.returncode, done.stdout, done.stderr)
    if code is not None:
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
    return done.returncode, done.stdout, done.stderr


def signature(size=(120, 360), seed=0):
    "A made-up signature on white paper, shape (H,W), uint8: a few curved strokes"
    from PIL import ImageDraw
    rng, (h, w) = np.random.default_rng(seed), size
    page = Image.new("L", (w, h), 255)
    t = np.linspace(0, 1, 60)
    for k in range(3):
        x = w*(.15+.22*k)+w*.25*t
        y = h/2+h*.3*np.sin(2*np.pi*(t*rng.uniform(.7, 1.6)+rng.uniform()))
        ImageDraw.Draw(page).line(list(zip(x, y)), fill=30, width=4)
    return np.asarray(page)
