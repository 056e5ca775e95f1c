"The package from outside: every public name is found, and nothing heavy is loaded before it is needed"
import subprocess
import sys

import siamese_sig


def loaded_by(code):
    "Packages of which a fresh Python has loaded some part after `code`; a lazy stand-in for one has no parts yet"
    ask = f"{code}\nimport sys\nprint(*sorted({{name.split('.')[0] for name in sys.modules if '.' in name}}))"
    return set(subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True).stdout.split())


def test_every_name_is_found():
    for name in siamese_sig.__all__:
        assert getattr(siamese_sig, name) is not None, name
    assert set(siamese_sig.__all__) <= set(dir(siamese_sig))


def test_unknown_name():
    assert not hasattr(siamese_sig, "verify_everything")


def test_importing_loads_nothing():
    "No dependency of the package is loaded by `import siamese_sig`"
    assert not loaded_by("import siamese_sig") & {"numpy", "pandas", "PIL", "scipy", "skimage", "sklearn", "keras", "tensorflow", "matplotlib"}


def test_verifier_needs_no_tensorflow():
    code = "from siamese_sig import Verifier\nVerifier.load()"
    assert not loaded_by(code) & {"tensorflow", "keras", "sklearn", "pandas", "matplotlib"}


def test_help_needs_no_tensorflow():
    code = "from typer.testing import CliRunner\nfrom siamese_sig.cli import app\nassert 'verify' in CliRunner().invoke(app, ['--help']).output"
    assert not loaded_by(code) & {"tensorflow", "keras", "pandas", "scipy", "skimage", "sklearn", "matplotlib"}
