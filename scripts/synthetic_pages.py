"""Inks of synthetic signatures: what the bundled verifier is fitted and calibrated on.

Examples: python scripts/synthetic_pages.py inks pages --writers 3000 --genuine 5 --forged 4 --seed 31
          python scripts/synthetic_pages.py inks drawn --writers 6000 --genuine 5 --forged 4 --seed 31

`pages`: with the pens and cameras of notebook 05b, as the ink finder sees them. `drawn`: as notebook 05 draws them, each hand with
its habitual pen. Each chunk of writers is a file in a folder of its own, named by what was asked and by the code that makes it.
Stopped and called again, it goes on with the chunks that are missing.
"""
import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from joblib import Parallel, delayed

from siamese_sig.core.cache import code_version
from siamese_sig.core.files import write_whole
from siamese_sig.core.images import PIXEL_MODULES
from siamese_sig.core.messages import progress
from siamese_sig.core.ink import Doubt
from siamese_sig.scans import CAMERAS, PENS, Seen, draw_circumstances, seen_ink
from siamese_sig.synth import signature_ink
from siamese_sig.verifier.strokes import INK_SIZE

CHUNK = 25 # Writers a file
HABITS = 0.25 # Spread of the habitual line widths, `pens` of `signature_ink`
KINDS = ("pages", "drawn")
FORGERS = 3 # Of each writer, in turn
OWN = 10**6 # Beyond all numbers of signatures
PEN_NAMES = tuple(PENS)
CAMERA_NAMES = (*CAMERAS, "none")


class Inks(NamedTuple):
    "Signatures of synthetic writers"
    bits: np.ndarray # Packed ink at `INK_SIZE`, shape (N,H*W/8), uint8
    doubts: np.ndarray # Bits of `core.ink.Doubt`, shape (N,)
    writer: np.ndarray # shape (N,)
    forged: np.ndarray # shape (N,), bool
    pen: np.ndarray # Position in `PEN_NAMES`, shape (N,)
    camera: np.ndarray # Position in `CAMERA_NAMES`, shape (N,)


def unpacked(bits): # -> ink at `INK_SIZE`, uint8, 255 = ink
    return np.unpackbits(bits).reshape(INK_SIZE)*np.uint8(255)


def _circumstances(seed, writer, index, forged, keeps):
    "The pen and the camera of a signature: with chance `keeps` those that the hand mostly has, else any (None: to be drawn)"
    if not keeps:
        return None
    hand = 1+index % FORGERS if forged else 0
    rng = np.random.default_rng((seed, writer, hand, OWN))
    own = draw_circumstances(rng)._replace(thickness=rng.random())
    rng = np.random.default_rng((seed, writer, hand, index))
    return own if rng.random() < keeps else draw_circumstances(rng)


def _drawn(seed, writer, index, forged, skill, noise):
    return Seen(signature_ink(seed, writer, index, forged, INK_SIZE, skill=skill, pens=HABITS, noise=noise), Doubt(0), "usual", "none")


def _signatures(kind, seed, writer, tries, skill, noise, keeps):
    "The signatures of a writer; none if the ink finder refuses one over and over, such as two words far apart"
    if kind == "drawn":
        return [_drawn(seed, writer, i, forged, skill, noise) for forged, i in tries]
    try:
        return [seen_ink(seed, writer, i, forged, INK_SIZE, skill=skill, habits=HABITS, noise=noise, circumstances=_circumstances(seed, writer, i, forged, keeps))
                for forged, i in tries]
    except RuntimeError:
        return []


def _chunk(path, kind, writers, genuine, forged, seed, skill, noise, keeps):
    "Write the signatures of some writers to a file, if it is not there"
    if path.exists():
        return
    cv2.setNumThreads(1)
    tries = [(f, i) for f, n in ((False, genuine), (True, forged)) for i in range(n)]
    rows = [(one, writer, f) for writer in writers for one, (f, _) in zip(_signatures(kind, seed, writer, tries, skill, noise, keeps), tries)]
    seen, writer, is_forged = zip(*rows)
    arrays = Inks(np.stack([np.packbits(s.pixels > 127) for s in seen]), np.array([int(s.doubts) for s in seen]), np.array(writer), np.array(is_forged),
                  np.array([PEN_NAMES.index(s.pen) for s in seen]), np.array([CAMERA_NAMES.index(s.camera) for s in seen]))
    write_whole(path, lambda p: np.savez_compressed(p, **arrays._asdict()))


def synthetic_inks(folder, kind, writers, genuine, forged, seed, skill=None, noise=1., keeps=0.):
    "`Inks` of a kind (one of `KINDS`) of writers 1 to `writers`, from `folder` or made and kept there; `skill` and `noise` as in `signature_page`, `keeps` as in `_circumstances`"
    code = code_version("synth", "scans", *PIXEL_MODULES) if kind == "pages" else code_version("synth")
    folder = Path(folder)/"-".join(map(str, (kind, genuine, forged, seed, skill, noise, keeps, code)))
    folder.mkdir(parents=True, exist_ok=True)
    starts = range(1, writers+1, CHUNK)
    files = [folder/f"{start:05}.npz" for start in starts]
    work = Parallel(n_jobs=-1, return_as="generator")(
        delayed(_chunk)(file, kind, range(start, start+CHUNK), genuine, forged, seed, skill, noise, keeps) for file, start in zip(files, starts))
    for _ in progress(work, "writing", len(files)):
        pass
    chunks = []
    for file in files:
        with np.load(file) as arrays:
            chunks.append(Inks(*(arrays[name] for name in Inks._fields)))
    inks = Inks(*map(np.concatenate, zip(*chunks)))
    return Inks(*(values[inks.writer <= writers] for values in inks))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--writers", type=int, default=3000)
    parser.add_argument("--genuine", type=int, default=5)
    parser.add_argument("--forged", type=int, default=4)
    parser.add_argument("--seed", type=int, default=31)
    parser.add_argument("--skill", type=float, help="of all forgers, in [0,1]; by default each has his own")
    parser.add_argument("--noise", type=float, default=1., help="of ink and usual pens, 0: as real ink")
    parser.add_argument("--keeps", type=float, default=0., help="chance that a signature is written and photographed as most of the hand's are; pages alone")
    args = parser.parse_args()
    inks = synthetic_inks(args.folder, args.kind, args.writers, args.genuine, args.forged, args.seed, args.skill, args.noise, args.keeps)
    n_writers = len(np.unique(inks.writer))
    print(f"{len(inks.writer)} signatures of {n_writers} writers, {args.writers-n_writers} left out; {(inks.doubts > 0).mean():.0%} with doubts")


if __name__ == "__main__":
    main()
