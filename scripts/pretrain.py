"""Train the `signature` network on nothing but synthetic signatures, and write what the package brings along.

Example: python scripts/pretrain.py runs/signature --inks inks --steps 8000
         python scripts/calibrate_verifier.py runs/signature/package --inks inks
         cp runs/signature/package/* siamese_sig/assets/signature/ && python scripts/hash_assets.py

Stop it, kill it, call it again: it goes on. A step sees 12 writers with 4 genuine signatures and 4 forgeries each, and pairs among
these. Half of the writers have the pens and cameras of notebook 05b, and the ink finder sees their pages; the others are drawn.
Every hand gets another shape and every image another look (scripts/looks.py), so that the network cannot learn the generator's. A pair
is answered half by its label and half by what the bundled verifier says of it as it was drawn: a forgery that anybody would take for
genuine, and a repetition that went wrong, then teach less nonsense. The weights are averages over the last steps.
"""
import argparse
import json
import os
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd
from fit_evidence import measured_view
from joblib import Parallel, delayed
from looks import SIZE, draw_look, draw_shape, otherwise
from synthetic_pages import synthetic_inks

from siamese_sig.backbones import build_encoder, local_grid
from siamese_sig.core.files import asset, file_sha256, write_whole
from siamese_sig.core.messages import DataError, progress
from siamese_sig.core.networks import export_parts
from siamese_sig.core.settings import PRECISIONS, RunConfig, Settings
from siamese_sig.siamese import batch_siamese, build_head, siamese_model
from siamese_sig.verifier.evidence import load_evidence, pair_columns

WRITERS, EACH = 12, 4  # Of a batch; genuine signatures of each, and as many forgeries
GENUINE, FORGED = 5, 4  # Signatures of each writer that there are
PAIRS = (72, 108, 36)  # Genuine, skilled and random pairs of a batch
SHARES = (.45, .45, .1)  # Of the loss: genuine, skilled, random
STRANGERS = 4.  # Log odds that the verifier is taken to have for random pairs
SHAPE_CHANCE = .7  # That a hand gets another shape
LABORATORY_CHANCE = .4  # That all signatures of a hand, forgeries included, went through one scanner


class Lessons(NamedTuple):
    "Signatures to learn from"
    bits: np.ndarray  # Packed ink of `SIZE`, shape (N,H*W/8), uint8
    genuine: np.ndarray  # Positions of the genuine signatures of each writer, shape (W,5)
    forged: np.ndarray  # Positions of the forgeries, shape (W,4)
    taught: dict  # Positions of a pair of one writer -> log odds by the bundled verifier


def own_pairs(genuine, forged):
    "Positions a, b of all genuine and skilled pairs of writers with these positions"
    i, j = np.triu_indices(GENUINE, 1)
    g, f = np.divmod(np.arange(GENUINE*FORGED), FORGED)
    a = np.concatenate([genuine[:, i].ravel(), genuine[:, g].ravel()])
    return a, np.concatenate([genuine[:, j].ravel(), forged[:, f].ravel()])


def _log_odds(view, records, a, b):
    "What one view says of pairs"
    used = np.unique(np.concatenate([a, b]))
    columns = pair_columns(view.spaces, view.points, np.array(records[used]), np.searchsorted(used, a), np.searchsorted(used, b))
    return ((columns-view.center)/view.scale)@view.weight+view.bias


def verifier_says(folder, name, view, inks, pairs):
    "Log odds of pairs by a view of the bundled verifier, from `folder` or asked and kept there"
    file = folder/f"says-{name}-{file_sha256(asset('verifier/evidence.npz'))[:8]}.npy"
    if not file.exists():
        records, parts = measured_view(folder, inks.bits, name), np.array_split(np.arange(len(pairs[0])), 40)
        asked = (delayed(_log_odds)(view, records, pairs[0][part], pairs[1][part]) for part in parts)
        said = np.concatenate(list(progress(Parallel(n_jobs=-1, return_as="generator")(asked), f"asking the verifier, {name}", len(parts))))
        write_whole(file, lambda p: np.save(p, said.astype("float32")))
    return np.load(file)


def _by_writer(inks, first):
    "Positions of the genuine signatures and of the forgeries of each writer from number `first` on"
    people = [np.flatnonzero(inks.writer == writer) for writer in np.unique(inks.writer) if writer >= first]
    return (np.stack([own[inks.forged[own] == kind] for own in people]) for kind in (False, True))


def read_lessons(folder, writers, seed):
    "Half of the writers from pages, by the view of the even ink; the others drawn, by that of the ink as written"
    evidence, parts, first = load_evidence(asset("verifier/evidence.npz")), [], 0
    half = writers//2
    for kind, view, n, start in (("pages", "even", half, 1), ("drawn", "written", writers, half+1)):
        inks = synthetic_inks(folder, kind, n, GENUINE, FORGED, seed)
        genuine, forged = _by_writer(inks, start)
        pairs = own_pairs(genuine, forged)
        says = verifier_says(folder, view, getattr(evidence, view), inks, pairs)
        a, b = (side+first for side in pairs)
        parts.append(Lessons(inks.bits.reshape(len(inks.bits), -1), genuine+first, forged+first, dict(zip(zip(a.tolist(), b.tolist()), says.tolist()))))
        first += len(inks.bits)
    bits, genuine, forged, taught = zip(*parts)
    return Lessons(*map(np.concatenate, (bits, genuine, forged)), taught[0] | taught[1])


def draw_pairs(rng):
    "Rows a, b of pairs of a batch and their kind: 0 genuine, 1 skilled, 2 random; a writer has `EACH` genuine rows, then as many forged"
    first = 2*EACH*np.arange(WRITERS)[:, None]
    i, j = np.triu_indices(EACH, 1)
    g, f = np.divmod(np.arange(EACH*EACH), EACH)
    one, step = rng.integers(0, WRITERS, PAIRS[2]), rng.integers(1, WRITERS, PAIRS[2])
    strangers = [2*EACH*who+rng.integers(0, EACH, PAIRS[2]) for who in (one, (one+step) % WRITERS)]
    sides = ((first+i, first+j), (first+g, first+EACH+f), strangers)
    drawn = [rng.choice(a.size, n, replace=False) for (a, _), n in zip(sides, PAIRS)]
    a, b = (np.concatenate([kind[side].ravel()[rows] for kind, rows in zip(sides, drawn)]) for side in (0, 1))
    return a.astype("int32"), b.astype("int32"), np.repeat((0, 1, 2), PAIRS)


class Corpus:
    "Batches without end; batch n is the same whenever asked for"
    def __init__(self, lessons, seed, label_share):
        self.lessons, self.seed, self.label_share = lessons, seed, label_share

    def batch(self, n):
        "Inputs of the network (images float32, a, b), answers (P,1) in [0,1], weights (P,)"
        rng, positions, images = np.random.default_rng((self.seed, n)), [], []
        for writer in rng.choice(len(self.lessons.genuine), WRITERS, replace=False):
            shape = draw_shape(rng) if rng.random() < SHAPE_CHANCE else None
            scanner = draw_look(rng) if rng.random() < LABORATORY_CHANCE else None
            own = np.sort(rng.choice(self.lessons.genuine[writer], EACH, replace=False))
            positions += [*own, *rng.permutation(self.lessons.forged[writer])]
            for i in positions[-2*EACH:]:
                ink = np.unpackbits(self.lessons.bits[i]).reshape(SIZE)
                images.append(otherwise(ink, shape, scanner or draw_look(rng), rng))
        a, b, kind = draw_pairs(rng)
        says = [STRANGERS if k == 2 else self.lessons.taught[positions[p], positions[q]] for p, q, k in zip(a, b, kind)]
        taught = 1/(1+np.exp(-np.array(says)))
        answer = self.label_share*(kind > 0)+(1-self.label_share)*taught
        weight = (np.array(SHARES)*sum(PAIRS)/PAIRS)[kind]
        return (np.stack(images)[..., None].astype("float32"), a, b), answer.astype("float32")[:, None], weight.astype("float32")


def student(steps, rate):
    "The network for batches, compiled"
    encoder = build_encoder("signature", (*SIZE, 1), None, frozen=False)
    model = batch_siamese(encoder, build_head(encoder.output_shape[-1], grid=local_grid("signature", SIZE)))
    warm = min(100, steps//10)
    rates = keras.optimizers.schedules.CosineDecay(rate/15, steps-warm, warmup_target=rate, warmup_steps=warm)
    optimizer = keras.optimizers.AdamW(rates, weight_decay=2e-3, clipnorm=1., use_ema=True, ema_momentum=.995)
    model.compile(optimizer, "binary_crossentropy")
    return model


def train(folder, corpus, steps, rate, minutes, precision):
    "Train from where `folder` has got to; the mean loss of every 50 steps goes to history.csv"
    state, history, losses = folder/"state.keras", folder/"history.csv", []
    keras.utils.set_random_seed(corpus.seed)
    keras.config.set_dtype_policy(precision)
    model = keras.models.load_model(state, safe_mode=True) if state.is_file() else student(steps, rate)
    done = int(model.optimizer.iterations)
    rows = pd.read_csv(history).query("step<=@done").to_dict("records") if done else []
    saved = time.monotonic()

    def save():
        write_whole(history, lambda p: pd.DataFrame(rows).to_csv(p, index=False))
        write_whole(state, model.save)

    # The next batches are made by all cores while the network computes; most of the work is in NumPy and OpenCV, outside the GIL.
    workers = os.cpu_count()
    with ThreadPoolExecutor(workers) as ahead:
        coming = deque(ahead.submit(corpus.batch, n) for n in range(done, min(done+workers, steps)))
        for n in progress(range(done, steps), "pretraining"):
            inputs, answer, weight = coming.popleft().result()
            if n+workers < steps:
                coming.append(ahead.submit(corpus.batch, n+workers))
            losses.append(float(model.train_on_batch(inputs, answer, weight)))
            model.reset_metrics()
            if (n+1) % 50 == 0:
                rows.append(dict(step=n+1, loss=np.mean(losses)))
                losses = []
                if time.monotonic()-saved > 60*minutes:
                    save()
                    saved = time.monotonic()
    save()
    model.optimizer.finalize_variable_values(model.trainable_variables)  # the averages
    keras.config.set_dtype_policy("float32")
    exact = student(steps, rate)
    exact.set_weights(model.get_weights())
    return exact.get_layer("encoder"), exact.get_layer("head")


def package(folder, parts, config):
    "What the package brings along: weights for Keras as 16-bit numbers, the networks with these weights as ONNX, the settings"
    folder.mkdir(exist_ok=True)
    arrays = {}
    for name, part in zip(("encoder", "head"), parts):
        rounded = [weight.astype("float16") for weight in part.get_weights()]
        part.set_weights([weight.astype("float32") for weight in rounded])
        arrays |= {f"{name}-{n:02}": weight for n, weight in enumerate(rounded)}
    write_whole(folder/"weights.npz", lambda p: np.savez_compressed(p, **arrays))
    export_parts(parts, folder)
    config.write(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the run; what is there is gone on with")
    parser.add_argument("--inks", type=Path, required=True, help="folder that keeps the synthetic inks and what was measured of them")
    parser.add_argument("--writers", type=int, default=6000, help="half of them on pages")
    parser.add_argument("--ink-seed", type=int, default=31)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--label-share", type=float, default=.5, help="of an answer; the rest is what the bundled verifier says")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32", help="mixed ones are for GPUs")
    parser.add_argument("--minutes", type=float, default=3., help="between checkpoints")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    asked = {name: value for name, value in vars(args).items() if name not in ("out", "inks", "minutes")}
    was, made = args.out/"arguments.json", json.dumps(asked)
    if was.exists() and was.read_text() != made:
        raise DataError(f"{args.out}: begun with {was.read_text()}; go on with these, or name another folder")
    write_whole(was, lambda p: p.write_text(made))
    corpus = Corpus(read_lessons(args.inks, args.writers, args.ink_seed), args.seed, args.label_share)
    parts = train(args.out, corpus, args.steps, args.rate, args.minutes, args.precision)
    settings = Settings(weights=None, size=SIZE, seed=args.seed, learning_rate=args.rate)
    versions = {name: version(name) for name in ("siamese_sig", "keras")}
    package(args.out/"package", parts, RunConfig(f"synthetic signatures: {made}", settings, date=str(date.today()), versions=versions))
    write_whole(args.out/"model.keras", siamese_model(*parts).save)
    print(f"{args.out/'package'}: {sum(p.stat().st_size for p in (args.out/'package').iterdir())/1e6:.2f} MB")


if __name__ == "__main__":
    main()
