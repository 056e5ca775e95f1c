"Archives of references: killed at any moment, on one process or on Ray; hostile Parquet; two models; a person who goes"
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import VERDICTS, cli, process, signature
from nursery import Nursery
from PIL import Image
from test_models import spoilt

from siamese_sig import archive
from siamese_sig.archive import EnrolParts, enrol, forget, read_enrolled, score_parts
from siamese_sig.core.messages import DataError, counted
from siamese_sig.core.files import left_over
from siamese_sig.verify import Verifier
from siamese_sig.score import score_file

needs_ray = pytest.mark.skipif(not __import__("importlib.util").util.find_spec("ray"), reason="Ray is not installed: pip install 'siamese_sig[cluster]'")
PART = 6


def scans(root, writers, each, bad=3):
    "Small signatures in a folder a writer, some files among them that are none"
    rng = np.random.default_rng(0)
    for w in range(writers):
        (root/f"{w:03d}").mkdir(parents=True)
        for i in range(each):
            Image.fromarray(signature((40, 120), w*each+i)).save(root/f"{w:03d}"/f"{i}.png")
    for n, w in enumerate(rng.choice(writers, bad, replace=False)):
        (root/f"{w:03d}"/f"bad{n}.png").write_bytes(b"no image")
    return root


@pytest.fixture(scope="module")
def people_few(tmp_path_factory):
    return scans(tmp_path_factory.mktemp("archive")/"people", 5, 5)


@pytest.fixture(scope="module")
def refs(people_few, tmp_path_factory):
    "An archive that nobody disturbed"
    out = tmp_path_factory.mktemp("refs")/"refs.parquet"
    enrol(people_few, out, part=PART, workers=1)
    return out


def content(archive):
    "All that must be the same: the rows of each part but for the time, the errors, the index; nothing else may lie there"
    names = sorted(p.name for p in archive.iterdir())
    parts = {n: pq.read_table(archive/n).drop_columns("created") for n in names if n.startswith("part-")}
    assert names == ["_archive.json", "_index.parquet", *sorted(parts)], names
    errors = archive.with_suffix(".errors.csv")
    return parts, errors.read_text() if errors.exists() else "", pq.read_table(archive/"_index.parquet")


def same(a, b):
    (pa_, ea, ia), (pb, eb, ib) = content(a), content(b)
    assert list(pa_) == list(pb) and ea == eb and ia.equals(ib)
    assert all(pa_[n].equals(pb[n]) for n in pa_)


def no_duplicate(archive, source):
    "Each image of the source is a row or an error, once"
    seen = [name for n, t in content(archive)[0].items() for name in t["name"].to_pylist()]
    errors = [row[0] for row in csv.reader(content(archive)[1].splitlines()[1:])]
    there = sorted(str(p.relative_to(source)) for p in source.rglob("*.png"))
    assert sorted(seen+errors) == there


def test_engines_agree(people_few, refs, tmp_path):
    no_duplicate(refs, people_few)
    enrol(people_few, tmp_path/"many.parquet", part=PART)  # all cores
    same(refs, tmp_path/"many.parquet")
    rows = [dict(writer=p.parent.name, name=str(p.relative_to(people_few)), image=p.read_bytes()) for p in sorted(people_few.rglob("*.png"))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path/"scans.parquet", row_group_size=7)
    enrol(tmp_path/"scans.parquet", tmp_path/"bytes.parquet", part=PART)
    a, b = (pa.concat_tables(content(x)[0].values()) for x in (refs, tmp_path/"bytes.parquet"))
    assert a.equals(b)


def questions(folder, source, n=40):
    "A csv with quotes, line breaks and bad rows in it"
    files = sorted(str(p.relative_to(source)) for p in source.rglob("?.png"))
    rng = np.random.default_rng(1)
    with open(folder/"q.csv", "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f)
        w.writerow(["note", "query", "refs", "writer"])
        for i in range(n):
            query, ref = rng.choice(files, 2)
            w.writerow([f'line\nbreak, "{i}" é', query if i % 7 else "../x.png", ref if i % 5 else "", ref.split("/")[0] if i % 11 else "nobody"])
    return folder/"q.csv"


def same_answers(file, other):
    "The same rows with the same words; numbers may differ by the rounding of sums in another order"
    rows, others = (list(csv.reader(open(f, encoding="utf-8", newline=""))) for f in (file, other))
    numbers = [rows[0].index(column) for column in ("score", "p_forged")]
    assert len(rows) == len(others)
    for row, twin in zip(rows, others):
        for n, (a, b) in enumerate(zip(row, twin, strict=True)):
            assert a == b or n in numbers and abs(float(a)-float(b)) < 1e-6


@pytest.fixture
def blocks(monkeypatch):
    "Blocks as small as the parts of these tests: with others, the last digit of a score may differ"
    monkeypatch.setattr("siamese_sig.score.QUESTIONS_PER_BLOCK", 7)


def test_questions_in_parts(people_few, refs, tmp_path, blocks):
    "The same answers in parts as in one piece, by images and from the archive"
    q, verifier = questions(tmp_path, people_few), Verifier.load()
    n = score_file(verifier, q, people_few, tmp_path/"whole.csv")
    assert score_parts(q, people_few, tmp_path/"parts.csv", part=7) == n and n[1] > 5
    same_answers(tmp_path/"whole.csv", tmp_path/"parts.csv")
    find = archive.find_enrolled(verifier, refs, people_few)
    assert score_parts(q, people_few, tmp_path/"known.csv", enrolled=refs, part=7) == score_file(verifier, q, people_few, tmp_path/"one.csv", find=find)
    same_answers(tmp_path/"known.csv", tmp_path/"one.csv")
    assert (tmp_path/"known.csv").read_bytes() != (tmp_path/"whole.csv").read_bytes()
    assert "no writer 'nobody'" in (tmp_path/"one.csv").read_text()


def test_questions_gone_on_with(people_few, tmp_path, monkeypatch, blocks):
    q, made = questions(tmp_path, people_few), []
    score_file(Verifier.load(), q, people_few, tmp_path/"whole.csv")
    make = archive.ScoreParts.make

    def killed(self, part, *args):
        if len(made) % 3 == 2:
            made.append(None)
            raise KeyboardInterrupt
        made.append(part)
        return make(self, part, *args)
    monkeypatch.setattr(archive.ScoreParts, "make", killed)
    for _ in range(9):
        try:
            score_parts(q, people_few, tmp_path/"parts.csv", part=7)
            break
        except KeyboardInterrupt:
            assert not (tmp_path/"parts.csv").exists()
            with pytest.raises(DataError, match="was begun with another point"):
                score_parts(q, people_few, tmp_path/"parts.csv", part=7, point="far_1")
    same_answers(tmp_path/"whole.csv", tmp_path/"parts.csv")
    done = [p for p in made if p is not None]
    assert done == sorted(set(done)) == list(range(6))  # none twice


@pytest.fixture(scope="module")
def nursery(tmp_path_factory, cache):
    n = Nursery(tmp_path_factory.mktemp("nursery"))
    yield n
    n.close()


def enrol_killed(nursery, source, folder, steps):
    "The command killed at steps on the file system, given again; what the disk shows in between is never half"
    ask = "enrol", source, "--out", folder/"refs.parquet", "--workers", 1
    assert nursery.run(*ask) == 0
    n = nursery.steps()
    shutil.move(folder/"refs.parquet", folder/"whole.parquet")
    shutil.move(folder/"refs.errors.csv", folder/"whole.errors.csv")
    kills = 0
    for step in steps(n):
        kills += nursery.run(*ask, step=step) == -9
        for p in (folder/"refs.parquet").glob("part-*.parquet"):
            pq.read_table(p)
        status = nursery.run(*ask)
        assert status == 0 or status == 2 and "is a complete archive" in nursery.log.read_text(), nursery.log.read_text()
        if status:  # killed after it was complete: what it leaves is harmless
            for p in (folder/"refs.parquet").iterdir():
                if left_over(p.name) or p.name in ("_work", ".lock"):
                    shutil.rmtree(p) if p.is_dir() else p.unlink()
        same(folder/"refs.parquet", folder/"whole.parquet")
        shutil.rmtree(folder/"refs.parquet")
        (folder/"refs.errors.csv").unlink()
    return kills, n


def test_enrolment_killed_at_some_steps(nursery, people_few, tmp_path):
    enrol_killed(nursery, people_few, tmp_path, lambda n: np.unique(np.linspace(1, n, 6).astype(int)).tolist())


@pytest.mark.slow
def test_enrolment_killed_at_every_step(nursery, people_few, tmp_path, tried):
    kills, n = enrol_killed(nursery, people_few, tmp_path, lambda n: range(1, n+1))
    tried(kills, f"{kills} of the {n} steps of `enrol`")


def test_forget_killed_at_every_step(nursery, refs, tmp_path):
    "A person is there, or gone; the others always are"
    rows = pa.concat_tables(content(refs)[0].values())
    kept = rows.filter(pa.compute.not_equal(rows["writer"], "002"))
    step, status = 0, -9
    while status == -9:
        step += 1
        shutil.rmtree(tmp_path/"refs.parquet", ignore_errors=True)
        shutil.copytree(refs, tmp_path/"refs.parquet")
        status = nursery.run("forget", tmp_path/"refs.parquet", "002", step=step)
        found = pa.concat_tables(pq.read_table(p).drop_columns("created") for p in sorted((tmp_path/"refs.parquet").glob("part-*")))
        assert found.filter(pa.compute.not_equal(found["writer"], "002")).equals(kept)
        assert nursery.run("forget", tmp_path/"refs.parquet", "002") in (0, 2)  # 2: nothing was left to delete
        assert len(read_enrolled(tmp_path/"refs.parquet", Verifier.load(), "003").writer) == 5
        found = pq.read_table(tmp_path/"refs.parquet").drop_columns("created")
        assert found.equals(kept)
        assert "002" not in {v for c in ("first", "last") for v in pq.read_table(tmp_path/"refs.parquet/_index.parquet")[c].to_pylist()}
    assert status == 0 and step > 5


def descendants(pid):
    "Processes below one: {pid: command line}"
    parent, name = {}, {}
    for p in Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                parent[int(p.name)] = int((p/"stat").read_text().rpartition(")")[2].split()[1])
                name[int(p.name)] = (p/"cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                pass

    def under(p):
        while p in parent:
            p = parent[p]
            if p == pid:
                return True
    return {p: name[p] for p in name if under(p)}


def born(pid):
    "When a process was started, in ticks; None if it is gone. A number of a process may be given to another one"
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return None


def all_ended(names, births, seconds=180):
    """Wait until the processes {pid: name}, {pid: when it was started}, have ended; how long that took, seconds.
    Ray ends with its driver; parts of it that were just starting look for the others for a minute first."""
    begin, left = time.monotonic(), births
    while left and time.monotonic() < begin+seconds:
        time.sleep(.2)
        left = {pid: start for pid, start in left.items() if start and born(pid) == start}
    assert not left, [names[pid] for pid in left]
    return time.monotonic()-begin


def start(source, out, engine="ray"):
    code = f"from siamese_sig.archive import enrol\nenrol({str(source)!r}, {str(out)!r}, engine={engine!r}, workers=2, part={PART})"
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


def parts_of(out):
    return len(list(out.glob("part-*.parquet")))


def end(p, status):
    "The process has ended, and so has all it started"
    below = descendants(p.pid)
    births = {q: born(q) for q in below}
    err = p.communicate(timeout=300)[1]
    assert p.returncode == status, err
    all_ended(below, births)
    return err


def workers_killed(source, out, kills, rng):
    "Actors of a running enrolment killed, one each time there is progress; how many"
    p, n, seen = start(source, out), 0, 0
    while p.poll() is None:
        actors = [q for q, name in descendants(p.pid).items() if name.startswith("ray::MapWorker")]
        if n < kills and actors and parts_of(out) > seen:
            seen = parts_of(out)
            time.sleep(rng.uniform(0, .1))
            try:
                os.kill(int(rng.choice(actors)), signal.SIGKILL)
                n += 1
            except ProcessLookupError:
                pass
        time.sleep(.1)
    end(p, 0)
    return n


def driver_killed(source, out, kills, rng):
    "The driver killed in chains until the enrolment is done; how many, and seconds that Ray lived on at most"
    n, lived_on = 0, 0
    while not (out/"_archive.json").exists() or not json.loads((out/"_archive.json").read_text())["complete"]:
        p, wanted, before = start(source, out), n < kills, parts_of(out)
        while p.poll() is None and wanted:
            if parts_of(out) > before or rng.random() < .005:  # the latter: while it starts
                time.sleep(rng.uniform(0, .3))
                below = descendants(p.pid)
                births = {q: born(q) for q in below}
                p.kill()
                n += p.wait() == -9
                lived_on = max(lived_on, all_ended(below, births))
                break
            time.sleep(.02)
        else:
            if not wanted:
                end(p, 0)
    return n, lived_on


@needs_ray
def test_killed_on_ray(people_few, refs, tmp_path):
    "A worker twice, then the driver, then the rest: as if nobody had disturbed it"
    rng = np.random.default_rng(0)
    assert workers_killed(people_few, tmp_path/"a.parquet", 2, rng) == 2
    same(tmp_path/"a.parquet", refs)
    driver_killed(people_few, tmp_path/"b.parquet", 1, rng)
    same(tmp_path/"b.parquet", refs)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    folder = tmp_path_factory.mktemp("many")
    source = scans(folder/"people", 20, 15, bad=7)
    enrol(source, folder/"refs.parquet", part=PART)
    return source, folder/"refs.parquet"


@needs_ray
@pytest.mark.slow
def test_workers_killed_often(many, tmp_path, request, tried):
    source, whole = many
    rng, n, runs = np.random.default_rng(request.config.getoption("--kill-seed")), 0, 0
    while n < request.config.getoption("--kills"):
        runs += 1
        n += workers_killed(source, tmp_path/f"{runs}.parquet", request.config.getoption("--kills")-n, rng)
        same(tmp_path/f"{runs}.parquet", whole)
        no_duplicate(tmp_path/f"{runs}.parquet", source)
    tried(n, f"{n} Ray workers in {counted(runs, 'run')} of {parts_of(whole)} parts")


@needs_ray
@pytest.mark.slow
def test_driver_killed_often(many, tmp_path, request, tried):
    source, whole = many
    rng, wanted = np.random.default_rng(request.config.getoption("--kill-seed")), max(1, 2*request.config.getoption("--kills")//3)
    n, runs, longest = 0, 0, 0
    while n < wanted:
        runs += 1
        killed, lived_on = driver_killed(source, tmp_path/f"{runs}.parquet", wanted-n, rng)
        n, longest = n+killed, max(longest, lived_on)
        same(tmp_path/f"{runs}.parquet", whole)
        no_duplicate(tmp_path/f"{runs}.parquet", source)
    tried(n, f"{n} drivers in {counted(runs, 'run')}; Ray's last process ended {longest:.0f} s later at most")


def test_a_part_that_ends_workers(people_few, tmp_path, monkeypatch):
    "An image that ends its process ends the run after some tries, with a word about where it is, and does not go on for ever"
    out = tmp_path/"refs.parquet"
    enrol_some(people_few, out, 0, monkeypatch)
    job = EnrolParts(out, people_few)
    worker = archive._Worker(job)
    tries = archive.part_file(job.work, 1, "tries", "")
    tries.write_bytes(b"."*archive.TRIES)  # as if it had been begun so often
    assert worker.one(0) == (PART, "") and worker.one(0) == (0, "")
    rows, error = worker.one(1)
    assert rows == 0 and "part 1 ended 10 workers" in error and not tries.exists()
    assert worker.one(1)[0] == PART  # later it is tried again


def enrol_some(source, out, parts, monkeypatch):
    "An enrolment that ends after some parts"
    with monkeypatch.context() as m:
        make, n = EnrolParts.make, iter(range(10**6))

        def some(self, *args):
            if next(n) >= parts:
                raise KeyboardInterrupt
            return make(self, *args)
        m.setattr(EnrolParts, "make", some)
        with pytest.raises(KeyboardInterrupt):
            enrol(source, out, part=PART)


def test_two_at_once(people_few, tmp_path, monkeypatch):
    from siamese_sig.core.files import only_one
    out = tmp_path/"refs.parquet"
    enrol_some(people_few, out, 1, monkeypatch)
    with only_one(out):
        assert "another process is writing" in cli("enrol", people_few, "--out", out, code=2)[2]


def asked(file, writer, known):
    return cli("verify", "--enrolled", file, "--writer", writer, known[0])


@pytest.fixture
def copy(refs, tmp_path):
    shutil.copytree(refs, tmp_path/"refs.parquet")
    return tmp_path/"refs.parquet"


def rewritten(file, **change):
    "A part with some of its columns changed"
    t = pq.read_table(file)
    for name, column in change.items():
        t = t.drop_columns(name) if column is None else t.set_column(t.schema.get_field_index(name), name, column(t[name]))
    pq.write_table(t, file)


def test_another_model(copy, known):
    "Neither an archive of another model nor rows of one among ours"
    rewritten(copy/"part-000000.parquet", fingerprint=lambda c: pa.array(["0"*16]*len(c)))
    assert "rows of another model" in asked(copy, "000", known)[2]
    assert asked(copy, "004", known)[0] in VERDICTS  # in another part
    mark = json.loads((copy/"_archive.json").read_text())
    for change in (dict(fingerprint="0"*16), dict(layout="0"*8), dict(fingerprint=None)):
        (copy/"_archive.json").write_text(json.dumps(mark | change))
        status, _, err = asked(copy, "004", known)
        assert status == 2 and "enrolled with another model" in err
    for change in (dict(format=1), dict(format=3), dict(format=None)):
        (copy/"_archive.json").write_text(json.dumps(mark | change))
        status, _, err = asked(copy, "004", known)
        assert status == 2 and "reads format 2; make it with: siamese-sig enrol" in err


@needs_ray
def test_identify_on_ray(refs, people_few, monkeypatch):
    "The workers' lists are merged into the list that one process makes; vectors that are no longer whole are told"
    monkeypatch.setattr(archive, "PARTS_A_TASK", 2)
    verifier, question = Verifier.load(), people_few/"003/1.png"
    ranked = [archive.identify(verifier, question, refs, top=3, most=most, engine=engine, workers=2) for most in (3, 200) for engine in ("local", "ray")]
    assert ranked[0] == ranked[1] and ranked[2] == ranked[3]
    assert ranked[2].candidates[0].writer == "003" and (ranked[0].asked, ranked[2].asked, ranked[2].writers) == (3, 5, 5)


def test_spoilt_vectors(copy, people_few):
    verifier, question, part = Verifier.load(), people_few/"003/1.png", copy/"part-000001.parquet"
    whole = part.read_bytes()
    for change in (dict(vector=None), dict(vector=lambda c: pa.array([b"x"]*len(c), pa.binary(1))), dict(vector=lambda c: pa.array([None]*len(c), c.type)),
                   dict(fingerprint=lambda c: pa.array(["0"*16]*len(c)))):
        part.write_bytes(whole)
        rewritten(part, **change)
        with pytest.raises(DataError, match="not a part|damaged|rows of another model"):
            archive.identify(verifier, question, copy)
    part.write_bytes(whole[:len(whole)//2])
    with pytest.raises(DataError, match="not a readable Parquet file"):
        archive.identify(verifier, question, copy)


def test_hostile_archive(copy, known, tmp_path):
    "Columns, kinds and sizes that are others, numbers that are none, objects for text, damaged files: one line"
    part, whole = copy/"part-000000.parquet", (copy/"part-000000.parquet").read_bytes()
    matcher = Verifier.load().matcher

    def nan(c):
        rows = np.frombuffer(b"".join(c.to_pylist()), matcher.packed).copy()
        rows["written"]["traits"] = np.nan
        return pa.array([r.tobytes() for r in rows], pa.binary(matcher.packed.itemsize))
    for change in (dict(record=None), dict(vector=None), dict(writer=None), dict(writer=lambda c: pa.array(range(len(c)))), dict(record=lambda c: pa.array([b"x"]*len(c))), dict(vector=lambda c: pa.array([b"x"]*len(c))), dict(record=nan),
                   dict(record=lambda c: pa.array([None]*len(c), c.type)), dict(name=lambda c: pa.array([None]*len(c), pa.string())), dict(created=lambda c: pa.array(["now"]*len(c)))):
        part.write_bytes(whole)
        rewritten(part, **change)
        assert asked(copy, "000", known)[0] == 2, change
    pq.write_table(pa.concat_tables([pq.read_table(refs_part(whole, tmp_path))]*60), part)
    assert "more rows together" in asked(copy, "000", known)[2]
    rng = np.random.default_rng(0)
    for how in ("empty", "text", "pickle", *["cut", "bytes"]*10):
        part.write_bytes(spoilt(whole, how, rng))
        assert asked(copy, "000", known)[0] in (*VERDICTS, 2), how
        assert cli("forget", copy, "000")[0] in (0, 2)
    part.unlink()
    assert asked(copy, "000", known)[0] == 2


def refs_part(data, folder):
    (folder/"part").write_bytes(data)
    return folder/"part"


def test_hostile_index(copy, known, tmp_path):
    index, whole = copy/"_index.parquet", (copy/"_index.parquet").read_bytes()
    for change in (dict(first=None), dict(rows=lambda c: pa.array(["x"]*len(c))), dict(part=lambda c: pa.array([-1]*len(c), pa.int32())), dict(last=lambda c: pa.array([None]*len(c), pa.string())),
                   dict(part=lambda c: pa.array([10**8]*len(c), pa.int32()))):
        index.write_bytes(whole)
        rewritten(index, **change)
        assert asked(copy, "000", known)[0] == 2, change
    rng = np.random.default_rng(0)
    for how in ("empty", "text", "pickle", *["cut", "bytes"]*10):
        index.write_bytes(spoilt(whole, how, rng))
        assert asked(copy, "000", known)[0] in (*VERDICTS, 2), how
    index.unlink()
    for file in (copy, tmp_path/"none.parquet", tmp_path, known[0]):
        assert asked(file, "000", known)[0] == 2, file
    for text in ("", "[]", "{}", '{"complete": 1}', "null", "x"):
        (copy/"_archive.json").write_text(text)
        assert asked(copy, "000", known)[0] == 2


def test_hostile_source(people_few, tmp_path):
    "Parquet of a stranger: other columns, empty cells, no image, an image of a hundred million bytes"
    good = [dict(writer="a", name=f"{i}", image=p.read_bytes()) for i, p in enumerate(sorted(people_few.rglob("?.png"))[:3])]
    source = tmp_path/"s.parquet"
    for bad in (dict(good[0], image="text"), dict(writer="a", name="x"), dict(good[0], writer=1), dict(good[0], name=b"x")):
        pq.write_table(pa.Table.from_pylist([bad]), source)
        assert "missing or of another kind" in cli("enrol", source, "--out", tmp_path/"x", code=2)[2]
        assert not (tmp_path/"x").exists()
    rows = [*good, dict(writer=None, name="x", image=b"x"), dict(writer="b", name=None, image=b"x"), dict(writer="b", name="empty", image=None), dict(writer="b", name="no", image=b"no image"),
            dict(writer="b", name="large", image=bytes(10**8+1)), dict(writer="b\x1b[2J", name="line\nbreak", image=b"")]
    pq.write_table(pa.Table.from_pylist(rows), source)
    _, out, err = cli("enrol", source, "--out", tmp_path/"x", code=0)
    assert "3 signatures" in out and "6 left out" in out and "\x1b" not in err
    assert len(list(csv.reader(open(tmp_path/"x.errors.csv", newline="")))) == 7
    pq.write_table(pa.Table.from_pylist(rows[3:]), source)
    assert "none of 6 images can be used" in cli("enrol", source, "--out", tmp_path/"y", code=2)[2]
    assert not (tmp_path/"y").exists()
    for data in (b"", b"PAR1", spoilt(source.read_bytes(), "cut", np.random.default_rng(0))):
        source.write_bytes(data)
        cli("enrol", source, "--out", tmp_path/"z", code=2)
    for address in ("memory://nowhere", "file:///nowhere", "unheard-of://x"):
        assert "error: " in cli("enrol", address, "--out", tmp_path/"z", code=2)[2]


def test_source_that_changed(people_few, tmp_path, monkeypatch):
    "A Parquet source that shrank while the enrolment was interrupted is not mixed with what it was"
    rows = [dict(writer=p.parent.name, name=p.name, image=p.read_bytes()) for p in sorted(people_few.rglob("?.png"))]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path/"s.parquet")
    enrol_some(tmp_path/"s.parquet", tmp_path/"x", 1, monkeypatch)
    pq.write_table(pa.Table.from_pylist(rows[:8]), tmp_path/"s.parquet")
    with pytest.raises(DataError, match="has changed"):
        enrol(tmp_path/"s.parquet", tmp_path/"x")


def test_names_that_are_no_text(tmp_path):
    "File names that are not UTF-8 are enrolled like any other"
    folder = tmp_path/"people"/"001"
    folder.mkdir(parents=True)
    name = os.fsdecode(b"\xff\xfe.png")
    Image.fromarray(signature((40, 120))).save(folder/"a.png")
    shutil.copy(folder/"a.png", folder/name)
    assert enrol(tmp_path/"people", tmp_path/"x")["signatures"] == 2


def test_too_many_references(tmp_path, known):
    scans(tmp_path/"people", 1, 51, bad=0)
    cli("enrol", tmp_path/"people", "--out", tmp_path/"x", code=0)
    assert "more than 50 references" in asked(tmp_path/"x", "000", known)[2]


def test_a_network(people, people_few, tmp_path):
    "A run's encoder in batches gives what it gives one by one, and its archive is not the bundled verifier's"
    from test_images import data_set
    data_set(tmp_path/"set", people, None, bad=())
    cli("train", "--recipe", "original", "--data", tmp_path/"set", "--out", tmp_path/"run", "--epochs", 1, "--steps-per-epoch", 2, "--size", "24x40", "--batch-size", 8, code=0)
    enrol(people_few, tmp_path/"x", model=tmp_path/"run", part=PART)
    run = Verifier.load(tmp_path/"run")
    got = read_enrolled(tmp_path/"x", run)
    np.testing.assert_allclose(got.features, [run.matcher.one(people_few/n) for n in got.name], atol=1e-5)
    assert "another model" in cli("verify", "--enrolled", tmp_path/"x", "--writer", "000", next(people_few.rglob("?.png")), code=2)[2]
    with pytest.raises(DataError, match="is a complete archive"):
        enrol(people_few, tmp_path/"x")
    forget(tmp_path/"x", "000")
    assert len(read_enrolled(tmp_path/"x", run).writer) == 20


@needs_ray
def test_ray_is_quiet(people_few, tmp_path):
    "As a user sees it: how the folder was understood and the result, nothing of Ray's; a cluster that is not there is one line too"
    _, out, err = process("enrol", people_few, "--out", tmp_path/"x", "--engine", "ray", "--workers", 1, code=0)
    assert "25 signatures of 5 writers" in out and len(out.splitlines()) == 2, out
    assert all(line.startswith("left out: ") for line in err.replace("\r", "\n").split("\n") if line.strip() and "%|" not in line), err
    assert "cannot be used" in process("enrol", people_few, "--out", tmp_path/"y", "--engine", "ray", "--address", "127.0.0.1:1", code=2)[2]
