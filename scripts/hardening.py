"""What was tried to break it, row by row: runs the tests of each row and writes the counts that the page on hardening shows.

Examples: python scripts/hardening.py                    all rows; with --jobs 2 two and a half hours of two cores
          python scripts/hardening.py fuzz web           rows of one of these names, or whose name holds one of the words
          python scripts/hardening.py --jobs 2           two rows at a time
          python scripts/hardening.py --check            fail if a row has no result, or one that is not of these words
"""
import argparse
import datetime
import json
import shlex
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from xml.etree import ElementTree

from siamese_sig.core.files import write_whole

ROOT = Path(__file__).parents[1]
RESULTS = ROOT/"benchmarks/results/hardening.json"


class Row(NamedTuple):
    "A row of the table"
    name: str
    what: str
    command: str
    found: str = "–"  # What was found and mended


KILLS, ARCHIVE, SURFACES = "pytest -q tests/test_kills.py --slow -k ", "pytest -q tests/test_archive.py --slow -k ", "pytest -q tests/test_surfaces.py -k "
FUZZ = "pytest -q tests/test_fuzz.py --slow -k "
ROWS = [
    Row("images", "images: truncated, empty, text as `.png`, bombs, 1×1, 30,000 px wide, 16 bit, CMYK, palette with transparency, animated, EXIF-rotated, blank, black, noise, links in circles, names with "
        "blanks, Unicode, line breaks; each in `verify`, `score`, `enrol`, `calibrate`, `data audit`", "pytest -q tests/test_images.py",
        "one bad image stopped `enrol`, `calibrate` and data sets; networks with `scan` input judged a blank page; line breaks in names broke messages"),
    Row("pages", "forms, ruled paper, stamps and print that strangers share; the same signature on another page; strokes, rings, QR codes, pages of text, several signatures, broad pens; copies "
        "among the references: no verdict from what is not the pen", "pytest -q tests/test_pages.py tests/test_copies.py"),
    Row("csv", "csv: headers or none, BOM, CRLF, quotes, wrong column count, `../` and absolute paths, twins, labels other than 0/1", "pytest -q tests/test_csv.py",
        "rows with another number of columns and pairs with both labels were taken; paths could leave `--images`"),
    Row("csv, long", "csv of a million rows", "pytest -q tests/test_csv.py --slow -m slow", "memory grew with the rows"),
    Row("csv, hostile", "formula cells, a million columns, quotes left open, NUL", SURFACES+"'formulas or columns or quotes'", "formulas were passed on to spreadsheets, by `score`, by the table of the web page, by `evaluate` and by `data import`; an error named a million columns"),
    Row("layouts", "folders and csv files as people have them, and as they should not be", "pytest -q tests/test_data.py"),
    Row("layouts, large", "a data set of 10⁵ files", "pytest -q tests/test_data.py --slow -m slow"),
    Row("pdf", "PDF pages: bombs, two million strokes, forms in forms, encrypted, without pages, without size, a page of a kilometre, lies about pages and pictures, scripts, links to files and hosts",
        SURFACES+"pdf", "**three of them kept a processor busy without end**; pages are drawn by a process that is stopped"),
    Row("heic", "HEIC files with another size or other lengths in their headers, cut at 25 places", SURFACES+"heic"),
    Row("zips", "archives of a data set: zip-slip, links, bombs, encryption, twins", "pytest -q tests/test_unzip.py", "entries are judged before the first is written"),
    Row("models", "models: crafted Lambda, foreign layers, damaged `.keras`, `.onnx`, `.npz`, json; assets changed", "pytest -q tests/test_models.py",
        "arrays of the wrong shape ended in a traceback; bundled assets had no hashes"),
    Row("training killed", "`kill -9` of a training at seeded moments, in chains: killed, resumed, killed …; each ended bit-equal to the undisturbed run", KILLS+"training_killed_at_any_time",
        "a training killed between its last two files could not be resumed"),
    Row("training killed, steps", "… at steps on the file system (before a file is opened, handed to the disk, renamed, removed), one run each; all bit-equal", KILLS+"training_killed_at_many_steps",
        "a kill in the last three steps left files of the unfinished training behind"),
    Row("report killed", "… of report writing, at steps: the old report or the new one, whole", KILLS+"report_killed_at_many_steps"),
    Row("cache killed", "… of cache building, in a loop: all rows right, no half row read", KILLS+"cache_killed_often"),
    Row("disks", "full disks: a tmpfs that is full from the start or after 60 kB; two trainings in one folder; data sets, answers and reports killed at some steps", "pytest -q tests/test_kills.py",
        "a second training into one folder was not refused; `data import` told the file that it read instead of the full disk"),
    Row("archive killed", "archives in parts ([notebook 09](../09_archive.ipynb)): `enrol` killed at each of its steps on the file system; each then continued, no row missing, none twice",
        ARCHIVE+"enrolment_killed_at_every_step"),
    Row("archive on Ray killed", "… on Ray: workers and drivers killed", ARCHIVE+"killed_often"),
    Row("archives", "archives of strangers: other columns, kinds, sizes, empty cells, NaN, damaged parts and indexes, rows and search vectors of another model, formats of other versions; sources "
        "without image, with 100 MB images, that changed; `forget` killed at each of its steps", "pytest -q tests/test_archive.py",
        "a Ray address where nobody listens was tried for minutes; a machine too busy to start Ray ended in a traceback"),
    Row("attacks", "the verdict itself: pasted and printed copies, common print, small images, poisoned references; see the [model card](model_card.ipynb#attacks)", "pytest -q tests/test_attacks.py",
        "a stranger among the references was not told; the model card promised more about small images than is so"),
    Row("properties", "what must hold whatever the signature (hypothesis): symmetry, itself closest, padding, cropping, tint, PNG, TIFF, JPEG, scale, turns, a photograph on a page, order of references, points, copies; "
        "FAR and FRR monotone", "pytest -q tests/test_properties.py", "ink narrower than 48 pixels had no score; the edges of a photograph on a page were taken for lines, its grain for ink"),
    Row("fuzz, images", "fuzzed images: seeded mutations of valid files, ten minutes of processor time", FUZZ+"'long and images'"),
    Row("fuzz, heic", "… HEIC photographs", FUZZ+"'long and heic'",
        "pillow-heif 0.16 to 1.8.0, eight versions of them tried, ended the whole process within a minute; 1.8.1 is required now, and photographs are decoded in a process of their own"),
    Row("fuzz, pdf", "… PDF pages", FUZZ+"'long and pdf'"),
    Row("fuzz, tables", "… csv in several dialects, each read as questions, pairs, rows and data set", FUZZ+"'long and tables'"),
    Row("fuzz, folders", "… names of folders and files, in nine layouts", FUZZ+"'long and folders'", "names that are not UTF-8 ended in a traceback with pandas 3"),
    Row("fuzz, archives", "… parts, search vectors, index and description of an archive of references", FUZZ+"'long and archives'", "text that is not UTF-8 in a search vector's part ended in a traceback"),
    Row("fuzz, verifiers", "… evidence and calibrations", FUZZ+"'long and verifiers'"),
    Row("fuzz, networks", "… `.keras`, `.onnx` and descriptions of runs", FUZZ+"'long and networks'", "an ONNX file with names that are not UTF-8 ended in a traceback, and onnxruntime printed into the answers"),
    Row("fuzz, zips", "… zip archives", FUZZ+"'long and zips'"),
    Row("determinism", "the same small run and `demo` twice, byte for byte", "pytest -q tests/test_determinism.py --slow"),
    Row("service", "a `Verifier` used by eight threads; memory over 1,000 verifications", "pytest -q tests/test_service.py --slow"),
    Row("versions, lowest", "the fast tests with the lowest versions that `settings.ini` allows, Python 3.11", "python scripts/versions.py --try lowest",
        "Keras 3.3 was promised and cannot write ONNX; NumPy 1 wrote a warning into the answers"),
    Row("versions, 3.12", "… with the newest versions, Python 3.12", "python scripts/versions.py --try newest --python python3.12"),
    Row("versions, 3.13", "… with the newest versions, Python 3.13", "python scripts/versions.py --try newest --python python3.13"),
    Row("web page, load", "the web page: 50 sessions at once that verify, 50 that ask who of several people wrote it; doubtful ink told to each; names, wrong and damaged files, bombs, "
        "oversized bodies, other routes and hosts, malformed requests, batch tables", "python tests/app_load.py",
        "four large images at once took 1.9 GB, now two are decoded at a time; a row with thousands of references needed gigabytes; malformed requests left tracebacks in the terminal"),
    Row("web page, browser", "the web page in Chromium: verdicts, bad files, drawing, keyboard, phone widths, contrast", "python tests/browser.py"),
]


def counts_of_pytest(file):
    "(cases, survived, skipped, notes) of a JUnit file of pytest"
    cases = survived = skipped = 0
    notes = []
    for test in ElementTree.parse(file).iter("testcase"):
        said = {item.get("name"): item.get("value") for item in test.iter("property")}
        n = int(said.get("cases", 1))
        if test.find("skipped") is not None:
            skipped += 1
            continue
        cases += n
        survived += 0 if test.find("failure") is not None or test.find("error") is not None else n
        notes += [said["note"]] if said.get("note") else []
    return dict(cases=cases, survived=survived, skipped=skipped, notes=notes)


def run(row):
    "The result of a row's command"
    program, *words = shlex.split(row.command)
    with tempfile.TemporaryDirectory() as folder:
        counts, start = Path(folder)/"counts", time.monotonic()
        if program == "pytest":
            selected = words if "--slow" in words else [*words, "-m", "not slow"]
            command = [sys.executable, "-m", "pytest", *selected, "-o", "junit_family=xunit1", f"--junitxml={counts}"]
        else:
            command = [sys.executable, *words, "--counts", str(counts)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
        if not counts.exists():
            return dict(cases=1, survived=0, skipped=0, notes=[]), done.stdout[-4000:]+done.stderr[-4000:]
        result = json.loads(counts.read_text()) if counts.read_text().startswith("{") else counts_of_pytest(counts)
        if row.name.startswith("versions"):
            result["notes"] = []  # all fast tests: the notes of each stand in its own row
        failed = done.returncode or not result["cases"]
        return result | dict(seconds=round(time.monotonic()-start)), done.stdout[-6000:]+done.stderr[-3000:] if failed else ""


def read_results():
    return json.loads(RESULTS.read_text(encoding="utf-8"))["rows"] if RESULTS.exists() else []


def present_commit():
    "The commit that is tested, with -dirty if tracked files differ from it, but for the results themselves"
    def git(*words):
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{RESULTS.relative_to(ROOT)}")
    return git("rev-parse", "--short", "HEAD")+("-dirty" if changed else "")


def write_results(results):
    "The results, in the order of the table, with its present words"
    rows = [row._asdict() | results[row.name] for row in ROWS if row.name in results]
    latest = max(rows, key=lambda row: row["date"])
    head = dict(command="python scripts/hardening.py", data="what the tests make", commit=latest["commit"], date=latest["date"])
    text = json.dumps(head | dict(rows=rows), indent=1, ensure_ascii=False)+"\n"
    write_whole(RESULTS, lambda path: path.write_text(text, encoding="utf-8"))


def faults():
    "Rows that have no result, another text, or cases that did not survive"
    found = {row["name"]: row for row in read_results()}
    for row in ROWS:
        result = found.get(row.name)
        if not result:
            yield f"{row.name}: no result; run: python scripts/hardening.py {shlex.quote(row.name)}"
        elif any(result[field] != text for field, text in row._asdict().items()):
            yield f"{row.name}: the words have changed; run: python scripts/hardening.py --words"
        elif result["survived"] != result["cases"] or not result["cases"]:
            yield f"{row.name}: {result['survived']} of {result['cases']} survived"


def meant(word, name):
    "Is a row meant by a word? By its whole name that row alone, by a part of it all rows whose names hold it"
    return word == name if word in {row.name for row in ROWS} else word in name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="words of the names of rows; none: all")
    parser.add_argument("--jobs", type=int, default=1, help="rows at a time")
    parser.add_argument("--words", action="store_true", help="run nothing, write the present words")
    parser.add_argument("--check", action="store_true", help="run nothing, compare")
    args = parser.parse_args()
    if args.check:
        raise SystemExit("\n".join(faults()) or 0)
    fields = set(Row._fields)
    results = {row["name"]: {key: value for key, value in row.items() if key not in fields} for row in read_results()}
    if args.words:
        return write_results(results)
    commit = present_commit()
    lock, failed = Lock(), []

    def one(row):
        result, said = run(row)
        result |= dict(date=str(datetime.date.today()), commit=commit)
        with lock:
            results[row.name] = result
            write_results(results)
            if said:
                failed.append(row.name)
            print(f"{row.name}: {result['survived']:,} of {result['cases']:,} survived, {result['skipped']} skipped; {'; '.join(result['notes'])}\n{said}".rstrip(), flush=True)

    rows = [row for row in ROWS if not args.names or any(meant(name, row.name) for name in args.names)]
    with ThreadPoolExecutor(args.jobs) as pool:
        list(pool.map(one, rows))
    if failed:
        raise SystemExit(f"FAILED: {', '.join(failed)}")


if __name__ == "__main__":
    main()
