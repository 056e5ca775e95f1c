"A verifier as a service uses it: by many threads at once, and for ever"
import os
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from siamese_sig.archive import Archive, enrol, rank_writers
from siamese_sig.core.files import ASSETS
from siamese_sig.verify import Verifier

THREADS = 8


@pytest.fixture(scope="module", params=["evidence", "signature"])
def verifier(request):
    "The bundled evidence, and the bundled network"
    return Verifier.load(request.param)


def questions(people, n):
    "(questioned, references, point) of signatures genuine and forged, one to three references"
    rows = []
    for genuine, forged in people.values():
        for k, questioned in enumerate((*genuine[3:6], *forged[:3])):
            rows.append((questioned, list(genuine[:1+k % 3]), ("balanced", "far_1")[k % 2]))
    return (rows*n)[:n]


def answers(verifier, asked):
    return [verifier.verify(questioned, references, point) for questioned, references, point in asked]


def same(one, other):
    "The same words, and numbers but for the rounding of sums in another order"
    assert (one.verdict, one.threshold, one.references, one.notes) == (other.verdict, other.threshold, other.references, other.notes)
    assert np.allclose((one.score, one.p_forged), (other.score, other.p_forged), atol=1e-6)
    assert one.contributions.keys() == other.contributions.keys()
    assert np.allclose(list(one.contributions.values()), list(other.contributions.values()), atol=1e-4)


def test_eight_threads(verifier, people, tried):
    "One verifier, eight threads that start together: what one thread gives"
    asked = questions(people, 48)
    alone, start = answers(verifier, asked), threading.Barrier(THREADS)

    def all_of_them(shift):
        start.wait()
        order = np.roll(np.arange(len(asked)), shift*7)
        given = answers(verifier, [asked[i] for i in order])
        return [given[list(order).index(i)] for i in range(len(asked))]
    with ThreadPoolExecutor(THREADS) as pool:
        for together in pool.map(all_of_them, range(THREADS)):
            for one, other in zip(alone, together):
                same(one, other)
    tried(THREADS*len(asked), f"{THREADS} threads, {len(asked)} questions each, {type(verifier.matcher).__name__}")


def test_identify_in_threads(people, tmp_path, tried):
    "Who of several people wrote it, asked by eight threads of one archive"
    for writer, (genuine, _) in list(people.items())[:6]:
        (tmp_path/"people"/writer).mkdir(parents=True)
        for path in genuine[:2]:
            os.symlink(path, tmp_path/"people"/writer/Path(path).name)
    enrol(tmp_path/"people", tmp_path/"refs.parquet", part=5)
    verifier = Verifier.load()
    archive = Archive(tmp_path/"refs.parquet", verifier)
    asked = [verifier.matcher.one(genuine[3]) for genuine, _ in list(people.values())[:6]]

    def ranking(features):
        return [(c.writer, round(c.verdict.score, 6), c.verdict.verdict) for c in rank_writers(verifier, features, archive).candidates]
    alone = [ranking(features) for features in asked]
    with ThreadPoolExecutor(THREADS) as pool:
        for n, together in enumerate(pool.map(ranking, asked*4)):
            assert together == alone[n % len(asked)]
    tried(len(asked)*4)


def memory():
    "MB of this process now"
    return int(re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())[1])/1024


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, THREADS])
def test_memory_stays_flat(people, threads, tried):
    "A thousand verifications after the first hundred take no more memory"
    verifier, asked = Verifier.load(), questions(people, 100)

    def ask(n):
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda k: verifier.verify(*asked[k % 100]), range(n)))
    ask(100)
    before = memory()
    ask(1000)
    grown = memory()-before
    assert grown < 30, f"{grown:.0f} MB more"
    tried(1000, f"{grown:+.0f} MB after 1,000 verifications by {threads} thread{'s' if threads > 1 else ''}")


def test_bundled_files_are_read_once(people):
    "Loading again and again leaves no open file behind"
    before = len(os.listdir("/proc/self/fd"))
    for name in ("evidence", "signature")*10:
        Verifier.load(name)
    assert len(os.listdir("/proc/self/fd")) <= before+2 and (ASSETS/"verifier").exists()
