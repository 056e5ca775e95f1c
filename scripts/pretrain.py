"""Train the `signature` network on nothing but synthetic signatures. Stop it, kill it, call it again: it goes on.

Example: python scripts/pretrain.py runs/signature --steps 2000
         python scripts/pretrain.py runs/signature --steps 2000 --data sign_data     and a report on real writers 001-048

A step sees 12 writers with 4 genuine signatures and 4 forgeries each, and all pairs among these, from a window of writers that
moves on with the steps: the corpus has no end, and what a step sees follows from the seed and its number alone. Every few
minutes the whole state is written beside the last one and moved over it. What comes out is a run folder, for
`siamese-sig verify --model` or `train --weights`, with card.md, the model's card.
"""
import argparse
import json
import os
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pandas as pd

from siamese_sig.backbones import build_encoder, local_grid
from siamese_sig.core.messages import DataError, progress
from siamese_sig.core.files import write_whole
from siamese_sig.evaluate import calibrate_references, eer, writer_bootstrap
from siamese_sig.siamese import batch_siamese, build_head, encode, score_features, siamese_model
from siamese_sig.synth import synth_blocks, synth_images
from siamese_sig.core.settings import RunConfig, Settings
from siamese_sig.train import export_run

SIZE, DRAWN = (208, 400), (6, 6)  # genuine signatures and forgeries of each writer that are in the window
SHARES = (.5, .4, .1)  # of the loss: genuine pairs, skilled forgeries, strangers


class Corpus:
    "Batches of pairs of synthetic signatures; batch n is the same whenever asked for"
    def __init__(self, seed, window, new, pens, workers):
        self.seed, self.window, self.new, self.make = seed, window, new, dict(seed=seed, size=SIZE, workers=workers, pens=pens)
        self.first, self.packed = 1, np.zeros((0, sum(DRAWN), np.prod(SIZE)//8), "uint8")

    def _move(self, first):
        "Let the window start at writer `first`, in steps of 32 writers, so that workers have something to share"
        first = 1+(first-1)//32*32
        have = self.first+len(self.packed)
        lacking = range(max(first, have), first+self.window+32)
        if not len(lacking):
            return
        made = [np.packbits(b.x.reshape(len(b.x), -1) > 0, axis=1)[None] for b in synth_blocks(lacking, *DRAWN, **self.make)]
        self.packed = np.concatenate([self.packed[first-self.first:], *made])
        self.first = first

    def batch(self, n, writers=12, each=4):
        "Images (B,H,W,1) float32, positions a and b of the pairs, label 1 = other hand, weight (mean 1)"
        start = 1+n*self.new
        self._move(start)
        rng, images = np.random.default_rng([self.seed, n]), []
        for w in rng.choice(self.window, writers, replace=False)+start-self.first:
            pick = np.r_[rng.choice(DRAWN[0], each, replace=False), DRAWN[0]+rng.choice(DRAWN[1], each, replace=False)]
            for bits in self.packed[w, pick]:
                images.append(np.roll(np.unpackbits(bits).reshape(*SIZE, 1), rng.integers(-6, 7, 2), (0, 1)))
        return np.stack(images).astype("float32"), *draw_pairs(rng, writers, each)


def draw_pairs(rng, writers, each):
    "Pairs of each kind in a batch whose rows are `each` genuine signatures and as many forgeries, writer by writer"
    i, j = np.triu_indices(each, 1)
    g, f = np.divmod(np.arange(each*each), each)
    base, n = 2*each*np.arange(writers)[:, None], writers*len(i)
    one, step = rng.integers(0, writers, n), rng.integers(1, writers, n)
    kinds = [((base+i).ravel(), (base+j).ravel()), ((base+g).ravel(), (base+each+f).ravel()),
             (2*each*one+rng.integers(0, each, n), 2*each*((one+step) % writers)+rng.integers(0, each, n))]
    count = [len(a) for a, _ in kinds]
    a, b = (np.concatenate(side).astype("int32") for side in zip(*kinds))
    weight = np.repeat(np.array(SHARES)*sum(count)/count, count)
    return a, b, (np.arange(sum(count)) >= count[0]).astype("float32")[:, None], weight.astype("float32")


def student(steps, rate):
    "The network for batches, compiled"
    encoder = build_encoder("signature", (*SIZE, 1), None, frozen=False)
    model = batch_siamese(encoder, build_head(encoder.output_shape[-1], None, local_grid("signature", SIZE)))
    warm = min(30, steps//10)
    rates = keras.optimizers.schedules.CosineDecay(rate/15, steps-warm, warmup_target=rate, warmup_steps=warm)
    model.compile(keras.optimizers.AdamW(rates, weight_decay=1e-3, clipnorm=1.), "binary_crossentropy")
    return model


def train(folder, corpus, steps, rate=3e-3, minutes=3., keep=True):
    "Train from where `folder` has got to; the mean loss of every 50 steps goes to history.csv"
    state, history, losses = folder/"state.keras", folder/"history.csv", []
    keras.utils.set_random_seed(corpus.seed)
    model = keras.models.load_model(state, safe_mode=True) if state.is_file() else student(steps, rate)
    done = int(model.optimizer.iterations)
    rows = pd.read_csv(history).query("step<=@done").to_dict("records") if done else []
    saved = time.monotonic()
    save = lambda: (write_whole(history, lambda p: pd.DataFrame(rows).to_csv(p, index=False)), write_whole(state, model.save))
    for n in progress(range(done, steps), "pretraining"):
        x, a, b, label, weight = corpus.batch(n)
        losses.append(float(model.train_on_batch((x, a, b), label, weight)))
        model.reset_metrics()
        if (n+1) % 50 == 0:
            rows.append(dict(step=n+1, loss=np.mean(losses)))
            losses = []
            if keep and time.monotonic()-saved > 60*minutes:
                save()
                saved = time.monotonic()
    if keep:
        save()
    return siamese_model(model.get_layer("encoder"), model.get_layer("head"))


def images_table(block):
    "What `calibrate_references` wants to know of synthetic images"
    return pd.DataFrame(dict(writer=block.writer.astype(str), forged=block.forged, sha256=np.arange(len(block.x)).astype(str)))


def one_reference(model, x, writer, forged, seed=0):
    "EER of skilled and of random forgeries over all pairs of each writer, with 95 % intervals over writers; text"
    features, rng, text = encode(model.get_layer("encoder"), x), np.random.default_rng(seed), []
    a, b, kind = [], [], []
    for w in np.unique(writer):
        g, f, o = (np.flatnonzero(m) for m in ((writer == w) & ~forged, (writer == w) & forged, (writer != w) & ~forged))
        i, j = np.triu_indices(len(g), 1)
        for k, (u, v) in enumerate(((g[i], g[j]), (np.repeat(g, len(f)), np.tile(f, len(g))), (rng.choice(g, len(i)), rng.choice(o, len(i))))):
            a, b, kind = a+[u], b+[v], kind+[np.full(len(u), k)]
    a, b, kind = map(np.concatenate, (a, b, kind))
    score = score_features(model.get_layer("head"), features, a, b).astype(float)
    for k, name in ((1, "skilled"), (2, "random")):
        use = (kind == 0) | (kind == k)
        low, high = writer_bootstrap(score[use], kind[use] == k, writer[a[use]])
        text.append(f"{name} {100*eer(score[use], kind[use] == k)[0]:.1f} [{100*low:.1f}, {100*high:.1f}] ({use.sum()} pairs)")
    return ", ".join(text)+f", {len(np.unique(writer))} writers"


def finish(folder, model, args):
    "Run folder, thresholds from other synthetic writers, and the card"
    write_whole(folder/"model.keras", model.save)
    settings = Settings(backbone="signature", weights=None, frozen=False, size=SIZE, seed=args.seed, learning_rate=args.rate)
    made = dict(steps=args.steps, window=args.window, new=args.new, pens=args.pens)
    versions = {name: version(name) for name in ("siamese_sig", "keras")}
    RunConfig(f"synthetic signatures: {json.dumps(made)}", settings, date=str(date.today()), versions=versions).write(folder)
    export_run(folder, folder, "onnx")
    held = synth_images(range(900001, 900121), 14, 6, args.seed, SIZE, workers=-1, pens=args.pens)
    features, table = encode(model.get_layer("encoder"), held.x), images_table(held)
    references = calibrate_references(lambda a, b: score_features(model.get_layer("head"), features, a, b), pd.Series(table.index, table.index), table)
    write_whole(folder/"calibration.json", lambda p: p.write_text(json.dumps(dict(chosen_on="120 synthetic writers", references=references), indent=1)))
    lines = ["# Model card of this run", "", f"`signature` network, {model.count_params():,} weights, {args.steps} steps, {date.today()}. Trained on synthetic signatures only "
             f"(seed {args.seed}, {args.window+args.steps*args.new:,} writers, {sum(DRAWN)} images each, pens {args.pens}). One reference, EER in %, 95 % over writers.", "",
             f"- synthetic writers it has not seen: {one_reference(model, held.x, held.writer, held.forged)}"]
    if args.data:
        x, writer, forged = real_ink(args.data, folder/"real.npz")
        for name, use in groups(writer, args.final).items():
            lines.append(f"- real writers {name}: {one_reference(model, x[use], writer[use], forged[use])}")
    lines += ["", "It supports an examiner and does not replace one."]
    write_whole(folder/"card.md", lambda p: p.write_text("\n".join(lines)+"\n"))
    print("\n".join(lines))


def groups(writer, final):
    "Writers for tuning; with `final` the test writers and all as well"
    return {"001-048": writer <= 48} | ({"049-069": writer > 48, "all": writer > 0} if final else {})


def real_ink(root, kept):
    "Ink, writer and forged of a data set in Kaggle's layout, kept in a file once read"
    from siamese_sig.core.images import load_images
    from siamese_sig.core.layouts import read_images
    if not kept.exists():
        table = read_images(root).drop_duplicates("sha256")
        x, at = load_images(table, "ink", SIZE)
        write_whole(kept, lambda p: np.savez_compressed(p, x=x[at.to_numpy()], writer=table.writer.astype(int), forged=table.forged))
    with np.load(kept) as z:
        return z["x"], z["writer"], z["forged"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the run; what is there is gone on with")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--window", type=int, default=2000, help="writers at hand at a time")
    parser.add_argument("--new", type=int, default=2, help="writers that come and go with each step")
    parser.add_argument("--pens", type=float, default=.25, help="how far pens differ from hand to hand, see `signature_ink`")
    parser.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=-1, help="processes that write signatures")
    parser.add_argument("--minutes", type=float, default=3., help="between checkpoints")
    parser.add_argument("--data", help="a real data set to report on, Kaggle's layout; nothing of it is trained on")
    parser.add_argument("--final", action="store_true", help="report on writers 049-069 as well")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    made = json.dumps({k: v for k, v in vars(args).items() if k in ("steps", "window", "new", "pens", "rate", "seed")})
    if (was := args.out/"arguments.json").exists() and was.read_text() != made:
        raise DataError(f"{args.out}: begun with {was.read_text()}; go on with these, or name another folder")
    write_whole(was, lambda p: p.write_text(made))
    model = train(args.out, Corpus(args.seed, args.window, args.new, args.pens, args.workers), args.steps, args.rate, args.minutes)
    finish(args.out, model, args)


if __name__ == "__main__":
    main()
