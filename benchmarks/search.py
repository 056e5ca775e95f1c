"""`identify` among very many enrolled signatures: how long it takes, how much memory, and how often the first step keeps the right writer.

Examples: python benchmarks/search.py benchmarks/results/search.json                      10^5 enrolled signatures, timings
          python benchmarks/search.py --rows 1000000 out.json
          python benchmarks/search.py benchmarks/results/recall.json --data ../shared/data --inks inks      recall of the first step

The big archive holds measured signatures: genuine embedded ones, whose search vectors and records are enrolled over and over under new
names, with the noise of one step in every number, so that no two rows are the same. The right writer is among them. Seconds are of the command
`siamese-sig identify` from its start, with the time of a whole Python start and of the second step told apart; memory is the peak of the
process. Recall: people for choosing of the real sets are enrolled with one or five references each, beside synthetic strangers (the inks of
scripts/synthetic_pages.py); every other genuine signature is a question. Counted is how many questions have so small a share of the
strangers before the right writer that the shortlist would hold it among 10^5 writers.
"""
import argparse
import json
import resource
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pyarrow as pa
from common import machine, median_time, write_results
from sets import PEOPLE

from siamese_sig import archive
from siamese_sig.archive import Archive, enrol, part_file, references_of, shortlist
from siamese_sig.core.layouts import embedded_data, read_images
from siamese_sig.verify import Verifier

REFERENCES_EACH = 2  # Rows a writer of the big archive


def big_archive(folder, rows, verifier):
    "An archive of so many rows, made from the embedded signatures; one question that belongs to it"
    images = read_images(embedded_data()).query("not forged").reset_index(drop=True)
    matcher, rng = verifier.matcher, np.random.default_rng(0)
    features = np.stack([matcher.one(path) for path in images.path[:100]])
    packed, vectors = matcher.pack(features), matcher.search_vectors(features)
    schema, now = archive._schema(matcher), datetime.now(timezone.utc)
    folder.mkdir()
    parts = range(0, rows, archive.PART)
    for part, first in enumerate(parts):
        n = min(archive.PART, rows-first)
        source = rng.integers(0, len(features), n)
        records, near = packed[source], vectors[source]+rng.integers(-20, 21, (n, vectors.shape[1]), dtype="i1")
        for view in ("written", "even"):
            records[view]["around"] += rng.integers(-1, 2, records[view]["around"].shape, dtype="i1")
        writers = [f"{(first+i)//REFERENCES_EACH:09d}" for i in range(n)]
        columns = [writers, [f"{i}.png" for i in range(n)], [r.tobytes() for r in records], [v.tobytes() for v in near], [matcher.fingerprint]*n, [now]*n]
        table = pa.Table.from_arrays([pa.array(c, field.type) for c, field in zip(columns, schema)], schema=schema)
        archive._write_table(part_file(folder, part), [table], schema)
    archive._write_index(folder, len(parts))
    made = dict(format=archive.PACKED_FORMAT, fingerprint=matcher.fingerprint, layout=archive._layout(matcher), parts=len(parts), rows=rows, complete=True)
    (folder/"_archive.json").write_text(json.dumps(made))
    return images.path[0]


def timings(rows, out):
    with tempfile.TemporaryDirectory() as tmp:
        folder, verifier = Path(tmp)/"refs.parquet", Verifier.load()
        question = big_archive(folder, rows, verifier)
        size = sum(f.stat().st_size for f in folder.iterdir())
        known, asked = Archive(folder, verifier), verifier.matcher.one(question)
        first = median_time(lambda: shortlist(known, asked, archive.SHORTLIST), repeats=3)
        listed = [one.writer for one in shortlist(known, asked, archive.SHORTLIST)]
        reading = median_time(lambda: references_of(known, listed), repeats=3)
        whole = median_time(lambda: archive.rank_writers(verifier, asked, known), repeats=3)
        command = [sys.executable, "-m", "siamese_sig", "identify", str(question), "--enrolled", str(folder), "--json"]
        cold = median_time(lambda: subprocess.run(command, check=True, capture_output=True), repeats=3)
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/2**10
        found = dict(rows=rows, bytes_a_row=size/rows, first_step=first, reading=reading, warm=whole, command=cold, memory_mb=memory, shortlist=archive.SHORTLIST)
    print(found)
    write_results(out, "embedded signatures, enrolled over and over", machine=machine(), **found)


def strangers(inks, matcher):
    "Search vectors of synthetic people"
    from joblib import Parallel, delayed

    from siamese_sig.verifier.record import image_features
    sys.path.append(str(Path(__file__).parents[1]/"scripts"))
    from synthetic_pages import unpacked
    bits = np.concatenate([file["bits"][~file["forged"]] for file in map(np.load, sorted(inks.rglob("*.npz")))])
    features = Parallel(n_jobs=-1, batch_size=50)(delayed(image_features)(unpacked(ink)) for ink in bits)
    return matcher.search_vectors(np.stack(features)).astype("float32")


def recall(data, inks, out):
    from sets import RealSet
    verifier, rows = Verifier.load(), []
    others = strangers(inks, verifier.matcher)
    for name, people in PEOPLE.items():
        one = RealSet(data/name, people[0], verifier)
        vectors = verifier.matcher.search_vectors(one.features).astype("float32")
        for k in (1, 5):
            before = []
            for person in one.people:
                own = one.genuine(person)
                likeness = (vectors[own[k:]]@vectors[own[:k]].T).max(1)
                before += (vectors[own[k:]]@others.T > likeness[:, None]).mean(1).tolist()
            for most in (50, archive.SHORTLIST, 1000):
                kept = int((np.array(before)*1e5 < most).sum())
                rows.append(dict(set=name, references=k, shortlist=most, kept=kept, questions=len(before), share=kept/len(before), strangers=len(others)))
                print(rows[-1], flush=True)
    write_results(out, "sign_data 001-048, phone 001-020, pens 000-006; synthetic strangers, seed 77", rows=rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--data", type=Path, help="measure recall on the real sets in this folder")
    parser.add_argument("--inks", type=Path, help="folder that keeps the synthetic inks")
    args = parser.parse_args()
    if args.data:
        recall(args.data, args.inks, args.out)
    else:
        timings(args.rows, args.out)


if __name__ == "__main__":
    main()
