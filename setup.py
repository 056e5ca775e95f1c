"Packaging: everything is read from settings.ini, the one place where it is written down."
from configparser import ConfigParser
from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
config = ConfigParser(delimiters=["="])
config.read(here/"settings.ini", encoding="utf-8")
cfg = config["DEFAULT"]


def lines(key):
    "The non-empty lines of a setting"
    return [line.strip() for line in cfg.get(key, "").splitlines() if line.strip()]


setup(
    name=cfg["lib_name"],
    version=cfg["version"],
    description=cfg["description"],
    long_description=(here/"README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author=cfg["author"],
    author_email=cfg["author_email"],
    url=cfg["git_url"],
    license="Apache-2.0",
    keywords=cfg["keywords"],
    packages=find_packages(include=[cfg["lib_name"], f"{cfg['lib_name']}.*"]),
    package_data={cfg["lib_name"]: ["assets/*", "assets/verifier/*", "assets/signature/*", "assets/app/*"]},
    python_requires=f">={cfg['min_python']}",
    install_requires=lines("requirements"),
    extras_require={name: lines(f"{name}_requirements") for name in ("dev", "app", "cluster", "pdf", "heic", "nb")},
    entry_points={
        "console_scripts": lines("console_scripts"),
        "nbdev": [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"],
    },
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    zip_safe=False,
)
