"""Enrolling an archive: images a second in one process and with Ray workers, memory as the archive grows, bytes stored.

Examples: python benchmarks/archive.py benchmarks/results/archive_cost.json       throughput, bytes, look-ups: bundled verifier, embedded signatures
          python benchmarks/archive.py benchmarks/results/archive_growth.json --memory 1000 10000 100000 1000000

`--memory` enrols a Parquet source of so many tiny images on two Ray workers and samples the resident memory of the driver and of each
worker ten times a second. Up to 10^5 rows the matcher is a stand-in that answers with records of the bundled verifier that were
measured before (15 kB each), beyond that with 128 numbers (512 bytes); all else, reading, cutting, writing, index, is what always runs.
`--memory-real N` does the same with N scans and the real verifier. Timings mean something on a quiet machine only: the load is printed.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import machine, row, write_results

from siamese_sig import archive
from siamese_sig.archive import Archive, EnrolParts, enrol
from siamese_sig.core.layouts import default_data, read_images
from siamese_sig.verify import Verifier

BIG = 200_000  # from so many rows on, 512 bytes each


class StandIn:
    "Answers with what was measured before: records of the verifier, or plain numbers"
    def __init__(self, matcher, rows):
        self.fingerprint, self.rows = matcher.fingerprint, rows
        self.dtype, self.shape = rows.dtype, rows.shape[1:]
        if rows.dtype == matcher.dtype:
            self.packed, self.pack, self.search_vectors = matcher.packed, matcher.pack, matcher.search_vectors
        else:
            self.packed = np.dtype([("features", rows.dtype, self.shape)])
            self.pack = lambda features: features.view(self.packed)[:, 0]
            self.search_vectors = lambda features: np.zeros((len(features), 128), "i1")

    def some(self, images):
        return [(self.rows[len(str(image)) % len(self.rows)], "") for image in images]


class CheapParts(EnrolParts):
    def __init__(self, *args):
        super().__init__(*args)
        self.rows = np.load(os.environ["ARCHIVE_ROWS"])

    def open(self):
        super().open()
        self.matcher = StandIn(self.matcher, self.rows)


def genuine():
    "Embedded genuine signatures: (writer, path)"
    images = read_images(default_data()).query("not forged")
    return list(zip(images.writer, images.path))


def scans(file, n, each=10):
    "A Parquet source of n rows, ten a writer: embedded signatures over and over"
    data = [Path(p).read_bytes() for _, p in genuine()[:200]]
    schema = pa.schema([("writer", pa.string()), ("name", pa.string()), ("image", pa.binary())])
    with pq.ParquetWriter(file, schema, compression="zstd") as w:
        for at in range(0, n, 1024):
            w.write_table(pa.Table.from_pylist([dict(writer=f"{i//each:09d}", name=f"{i%each}.png", image=data[i % len(data)]) for i in range(at, min(n, at+1024))], schema))
    return file


def child(source, out, workers, part, cheap):
    "An enrolment in a process of its own: `workers` 0 is this one alone, without Ray"
    if cheap:
        archive.EnrolParts = CheapParts
    enrol(source, out, engine="ray" if workers else "local", workers=workers or 1, part=part)


def below(pid):
    "{pid: (command line, resident MB)} of a process and all below it"
    parent, found = {}, {}
    for p in Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                parent[int(p.name)] = int((p/"stat").read_text().rpartition(")")[2].split()[1])
                found[int(p.name)] = ((p/"cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"), int((p/"statm").read_text().split()[1])*os.sysconf("SC_PAGE_SIZE")/2**20)
            except OSError:
                pass

    def under(p):
        while p and p != pid:
            p = parent.get(p, 0)
        return p == pid
    return {p: what for p, what in found.items() if under(p)}


def measure(source, out, workers, part=64, cheap=False, sample=.5):
    "Enrol in a process of its own: images a second once the workers run, and peaks of memory in MB"
    code = [sys.executable, __file__, "--child", json.dumps([str(source), str(out), workers, part, cheap])]
    start = time.time()
    p = subprocess.Popen(code, stderr=subprocess.PIPE, text=True)
    peak = dict(driver=0, worker=0, all=0)
    while p.poll() is None:
        found = below(p.pid)
        own = [mb for name, mb in found.values() if name.startswith("ray::MapWorker")]
        peak = dict(driver=max(peak["driver"], found.get(p.pid, ("", 0))[1]), worker=max([peak["worker"], *own]), all=max(peak["all"], sum(mb for _, mb in found.values())))
        time.sleep(sample)
    if p.returncode:
        sys.exit(p.stderr.read())
    times = sorted(f.stat().st_mtime for f in out.glob("part-*"))
    warm = times[max(workers, 1)-1]  # each worker has done its first
    rows = [pq.ParquetFile(f).metadata.num_rows for f in sorted(out.glob("part-*"), key=lambda f: f.stat().st_mtime)]
    rate = sum(rows[max(workers, 1):])/max(times[-1]-warm, 1e-9)
    return dict(rate=rate, wall=time.time()-start, first=times[0]-start, **peak)


def load():
    return " ".join(f"{x:.1f}" for x in os.getloadavg())


def throughput(tmp, n, repeats):
    "Images a second with none, one and two Ray workers, in turn"
    source, found = scans(tmp/"scans.parquet", n), {0: [], 1: [], 2: []}
    for _ in range(repeats):
        for workers in found:
            out = tmp/"refs.parquet"
            m = measure(source, out, workers)
            found[workers].append(m["rate"])
            print(f"  {('one process','one Ray worker','two Ray workers')[workers]}: {m['rate']:.1f} images/s, first part after {m['first']:.0f} s, {m['wall']:.0f} s in all; load {load()}", flush=True)
            size = sum(p.stat().st_size for p in out.iterdir())/n
            shutil.rmtree(out)
    one, ray1, ray2 = (float(np.median(v)) for v in found.values())
    row(f"(h) enrol {n} images, bundled verifier, one process", f"{one:.1f} images/s", "", "")
    row("(h) one Ray worker", f"{ray1:.1f} images/s", f"{one:.1f} images/s", f"{ray1/one:.2f}×")
    row("(h) two Ray workers", f"{ray2:.1f} images/s", f"{ray1:.1f} images/s with one", f"{ray2/ray1:.2f}×")
    return dict(one_process=one, one_worker=ray1, two_workers=ray2, bytes_a_row=size, images=n)


def look_up(tmp):
    "Seconds to find one writer among a hundred thousand rows, and to open the archive"
    rows, verifier = stand_in_rows(10), Verifier.load()
    np.save(tmp/"rows.npy", rows)
    os.environ["ARCHIVE_ROWS"] = str(tmp/"rows.npy")
    archive.EnrolParts = CheapParts
    enrol(scans(tmp/"scans.parquet", 20_000), tmp/"refs.parquet", workers=1)
    start = time.perf_counter()
    known = Archive(tmp/"refs.parquet", verifier)
    opened, times = time.perf_counter()-start, []
    for w in np.random.default_rng(0).integers(0, 2000, 50):
        start = time.perf_counter()
        assert len(known.of(f"{w:09d}").writer) == 10
        times.append(time.perf_counter()-start)
    shutil.rmtree(tmp/"refs.parquet")
    row("(h) ten references of one of 2,000 writers looked up", f"{1000*np.median(times):.0f} ms", f"archive opened in {1000*opened:.0f} ms", "")
    return float(np.median(times))


def stand_in_rows(n):
    matcher = Verifier.load().matcher
    return np.stack([matcher.one(p) for _, p in genuine()[:n]])


def memory(tmp, sizes, real):
    "Peaks of memory, MB, and rows a second as the archive grows"
    found = []
    for n in sizes:
        cheap = not real
        if cheap:
            np.save(tmp/"rows.npy", stand_in_rows(20) if n < BIG else np.random.default_rng(0).normal(size=(20, 128)).astype("float32"))
            os.environ["ARCHIVE_ROWS"] = str(tmp/"rows.npy")
        m = measure(scans(tmp/"scans.parquet", n), tmp/"refs.parquet", 2, min(archive.PART, n//8), cheap, .1)
        size = sum(p.stat().st_size for p in (tmp/"refs.parquet").iterdir())
        what = "bundled verifier" if real else "stand-in, 15 kB a row" if n < BIG else "stand-in, 512 bytes a row"
        row(f"(h) {n:,} images on two Ray workers ({what})", f"driver {m['driver']:.0f} MB, a worker {m['worker']:.0f} MB, all processes {m['all']:.0f} MB",
            f"{m['rate']:.0f} rows/s, {m['wall']:.0f} s, {size/1e9:.2f} GB", "")
        found.append(dict(rows=n, matcher=what, bytes_a_row=size/n, rows_a_second=m["rate"], seconds=m["wall"], **{key: m[key] for key in ("driver", "worker", "all")}))
        shutil.rmtree(tmp/"refs.parquet")
        print(f"  load {load()}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="json")
    parser.add_argument("--images", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="*")
    parser.add_argument("--memory-real", type=int, nargs="*")
    parser.add_argument("--folder", default=None, help="where to work; a temporary folder by default")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        return child(*json.loads(args.child))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    print(machine(), f"; load {load()}", sep="")
    with tempfile.TemporaryDirectory(dir=args.folder) as tmp:
        if args.memory or args.memory_real:
            rows = memory(Path(tmp), args.memory or [], False)+memory(Path(tmp), args.memory_real or [], True)
            return write_results(args.out, "made-up scans", machine=machine(), rows=rows)
        cost = throughput(Path(tmp), args.images, args.repeats)
        row("(h) stored", f"{cost['bytes_a_row']/1000:.1f} kB an image", f"{np.mean([os.path.getsize(p) for _, p in genuine()[:200]])/1000:.1f} kB its PNG", "")
        write_results(args.out, "embedded signatures", machine=machine(), **cost, look_up=look_up(Path(tmp)))


if __name__ == "__main__":
    main()
