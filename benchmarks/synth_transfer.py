"""Train a small network on synthetic signatures only, then verify real ones: one reference, unseen writers, ink only.

Example: python benchmarks/synth_transfer.py sign_data --out runs/transfer            writers 001-048 (for tuning)
         python benchmarks/synth_transfer.py sign_data --out runs/transfer --final    all, and 049-069 apart

The network and its budget are fixed, so that the numbers compare generators: 5 convolutions and a residual block
(0.45 M weights), 1000 steps of 12 writers x (4 genuine + 4 forged), AdamW. A pair's score adds the cosine of two global
vectors and a local match: each cell of one feature map looks for its best match near the same place in the other.
A normalised score is the same less the mean, over the spread, of the scores between either image and its 40 nearest
among 300 synthetic signatures (adaptive S-norm).
Random forgeries are genuine signatures of other writers. Intervals: 95 %, bootstrap over writers.
"""
import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from siamese_sig.data import load_images, read_images
from siamese_sig.evaluate import eer, writer_bootstrap
from siamese_sig.synth import synth_blocks

SIZE, CELLS = (112, 208), (14, 13)
STEPS, WRITERS, GENUINE, FORGED, BATCH_WRITERS = 1000, 3000, 6, 6, 12


def conv(x, filters, size=3, stride=1):
    x = layers.Conv2D(filters, size, stride, padding="same", use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization(momentum=.95)(x))


def build_encoder():
    "ink (112,208,1) in [0,1] -> unit vectors: local (182,64), global (128,); ink of each cell (182,)"
    image = keras.Input((*SIZE, 1))
    x = conv(conv(image, 24, 5, 2), 32, 3, 2)
    x = conv(conv(x, 32), 64, 3, 2)
    x = layers.add([x, conv(conv(x, 64), 64)])
    x = conv(x, 96, 3, (1, 2))
    cells = layers.UnitNormalization()(layers.Reshape((-1, 64))(layers.Conv2D(64, 1)(x)))
    whole = layers.UnitNormalization()(layers.Dense(128)(layers.Dropout(.2)(layers.Flatten()(layers.Conv2D(24, 1)(layers.AveragePooling2D((2, 1))(x))))))
    ink = layers.Reshape((-1,))(layers.AveragePooling2D((8, 16))(image))
    return keras.Model(image, [cells, whole, ink])


@keras.saving.register_keras_serializable("siamese_sig")
class PairScore(layers.Layer):
    "Logit that two signatures are of different hands: global cosine and best local matches, symmetric in its inputs"

    def build(self, shape):
        y, x = np.divmod(np.arange(np.prod(CELLS)), CELLS[1])
        self.far = (((y[:, None]-y)**2/4+(x[:, None]-x)**2)/2).astype("float32")
        self.scale = self.add_weight(shape=(4,), initializer=lambda shape, dtype=None: ops.convert_to_tensor([5., 8., -6., .3], dtype))

    def call(self, a, b):
        (la, ga, ia), (lb, gb, ib) = a, b
        alike = ops.matmul(la, ops.transpose(lb, (0, 2, 1))) - ops.softplus(self.scale[3])*self.far
        weight = [ops.sqrt(i)/ops.sum(ops.sqrt(i), 1, keepdims=True) for i in (ia, ib)]
        local = sum(ops.sum(w*ops.logsumexp(10*alike, axis)/10, 1) for w, axis in zip(weight, (2, 1)))/2
        return -(self.scale[0]*ops.sum(ga*gb, 1) + self.scale[1]*local + self.scale[2])


def draw_pairs(rng, genuine, forged, P):
    "Places in a batch (rows: writers, first the genuine ones) of both sides, label 1 = other hand, weight"
    K = genuine+forged
    i, j = np.triu_indices(genuine, 1)
    g, f = np.divmod(np.arange(genuine*forged), forged)
    base = np.arange(P)[:, None]*K
    n = P*len(i)
    one, other = rng.integers(0, P, n), rng.integers(1, P, n)
    parts = [((base+i).ravel(), (base+j).ravel(), 0, .5), ((base+g).ravel(), (base+genuine+f).ravel(), 1, .4),
             (one*K+rng.integers(0, genuine, n), (one+other) % P*K+rng.integers(0, genuine, n), 1, .1)]
    return [np.concatenate([np.broadcast_to(np.asarray(p[k], t), p[0].shape)/(len(p[0]) if k == 3 else 1) for p in parts]).astype(t)
            for k, t in enumerate(("int32", "int32", "float32", "float32"))]


def corpus(writers, seed, workers):
    "Ink of each writer, packed to bits, shape (writers,12,H*W/8)"
    return np.stack([np.packbits(b.x.reshape(len(b.x), -1) > 0, axis=1)
                     for b in synth_blocks(writers, GENUINE, FORGED, seed, SIZE, workers)])


def draw_batch(rng, packed, genuine=4, forged=4):
    "Images (P*K,H,W,1) float32, each shifted by up to three pixels"
    out = []
    for w in rng.choice(len(packed), BATCH_WRITERS, replace=False):
        pick = np.r_[rng.choice(GENUINE, genuine, replace=False), GENUINE+rng.choice(FORGED, forged, replace=False)]
        x = np.unpackbits(packed[w, pick], axis=1).reshape(-1, *SIZE, 1)
        out += [np.roll(v, rng.integers(-3, 4, 2), (0, 1)) for v in x]
    return np.stack(out).astype("float32")


def train(packed, steps, seed, log):
    keras.utils.set_random_seed(seed)
    rng, encoder, score = np.random.default_rng(seed), build_encoder(), PairScore()
    score.build(None)
    rate = keras.optimizers.schedules.CosineDecay(2e-4, steps-30, warmup_target=3e-3, warmup_steps=30)
    opt = keras.optimizers.AdamW(rate, weight_decay=1e-3, clipnorm=1.)
    pick = lambda out, i: [tf.gather(v, i) for v in out]

    @tf.function
    def step(x, a, b, label, weight):
        with tf.GradientTape() as tape:
            out = encoder(x, training=True)
            logit = score(pick(out, a), pick(out, b))
            loss = tf.reduce_sum(weight*tf.nn.sigmoid_cross_entropy_with_logits(label, logit))
        weights = encoder.trainable_weights+score.trainable_weights
        opt.apply_gradients(zip(tape.gradient(loss, weights), weights))
        return loss

    start, recent = time.time(), []
    for k in range(steps):
        recent.append(float(step(draw_batch(rng, packed), *draw_pairs(rng, 4, 4, BATCH_WRITERS))))
        if (k+1) % 50 == 0:
            print(f"step {k+1}: loss {np.mean(recent[-50:]):.3f}, {time.time()-start:.0f} s", file=log, flush=True)
    return encoder, score


def trials(writer, forged, seed=0):
    "All genuine-genuine and genuine-forged pairs of each writer, and as many random pairs: a, b, kind (0, 1, 2)"
    rng, rows = np.random.default_rng(seed), []
    for w in np.unique(writer):
        g, f, o = (np.flatnonzero(m) for m in ((writer == w) & ~forged, (writer == w) & forged, (writer != w) & ~forged))
        i, j = np.triu_indices(len(g), 1)
        rows += [np.stack([g[i], g[j], 0*i]), np.stack([np.repeat(g, len(f)), np.tile(f, len(g)), np.ones(len(f)*len(g), int)]),
                 np.stack([rng.choice(g, len(i)), rng.choice(o, len(i)), 0*i+2])]
    return np.concatenate(rows, 1)


def encode(encoder, x):
    return [np.concatenate(v) for v in zip(*([np.asarray(o) for o in encoder(x[k:k+128]/np.float32(255), training=False)]
                                             for k in range(0, len(x), 128)))]


def logits(score, left, a, right, b, batch=1024):
    return np.concatenate([np.asarray(score([o[a[k:k+batch]] for o in left], [o[b[k:k+batch]] for o in right]))
                           for k in range(0, len(a), batch)]).astype(float)


def nearest(score, left, cohort, count=40):
    "Mean and spread of the logits between each image and its nearest in the cohort"
    n, m = len(left[0]), len(cohort[0])
    one, other = np.divmod(np.arange(n*m), m)
    near = np.sort(logits(score, left, one, cohort, other).reshape(n, m))[:, :count]
    return near.mean(1), near.std(1)


def rates(value, pairs, writer):
    "EER of skilled and random forgeries with intervals, percent"
    out = {}
    for name, kind in (("skilled", 1), ("random", 2)):
        use = (pairs[2] == 0) | (pairs[2] == kind)
        v, y, w = value[use], pairs[2][use] > 0, writer[pairs[0][use]]
        low, high = writer_bootstrap(v, y, w)
        out[name] = dict(eer=round(100*eer(v, y)[0], 1), low=round(100*low, 1), high=round(100*high, 1), pairs=int(use.sum()),
                         writers=len(np.unique(w)))
    return out


def evaluate(encoder, score, cohort, x, writer, forged):
    "Rates of the plain logit and of the one normalised on either side by the synthetic cohort"
    pairs, out = trials(writer, forged), encode(encoder, x)
    plain = logits(score, out, pairs[0], out, pairs[1])
    mean, spread = nearest(score, out, cohort)
    normed = sum((plain-mean[k])/spread[k] for k in pairs[:2])/2
    return {name: rates(1/(1+np.exp(-v)), pairs, writer) for name, v in (("plain", plain), ("normalised", normed))}


def real_ink(root, out):
    "Ink, writer and forged of a real set, kept in `out` once read"
    if not (file := out/"real.npz").exists():
        table = read_images(root).drop_duplicates("sha256")
        x, at = load_images(table)
        np.savez_compressed(file, x=x[at.to_numpy()], writer=table.writer.astype(int), forged=table.forged)
    with np.load(file) as z:
        return z["x"], z["writer"], z["forged"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="sign_data in Kaggle's layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the ink, the network and the numbers")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--writers", type=int, default=WRITERS, help="synthetic writers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--final", action="store_true", help="evaluate on writers 049-069 as well; a network found in --out is not trained again")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    result = dict(steps=args.steps, writers=args.writers, seed=args.seed)
    if not (args.out/"score.npy").exists():
        start = time.time()
        packed = corpus(args.writers, args.seed+1000, args.threads)
        made = time.time()
        with open(args.out/"train.log", "w") as log:
            encoder, score = train(packed, args.steps, args.seed, log)
        encoder.save(args.out/"encoder.keras")
        np.save(args.out/"score.npy", score.get_weights()[0])
        result |= dict(generate_s=round(made-start), train_s=round(time.time()-made))
    encoder, score = keras.models.load_model(args.out/"encoder.keras"), PairScore()
    score.build(None)
    score.set_weights([np.load(args.out/"score.npy")])
    cohort = encode(encoder, np.concatenate([b.x for b in synth_blocks(range(800001, 800301), 1, 0, args.seed)]))
    held = next(zip(*[iter(synth_blocks(range(900001, 900061), 8, 6, args.seed))]*60))
    result["synthetic"] = evaluate(encoder, score, cohort, *(np.concatenate([b[i] for b in held]) for i in range(3)))
    x, writer, forged = real_ink(args.data, args.out)
    groups = {"001-048": writer <= 48} | ({"049-069": writer > 48, "all": writer > 0} if args.final else {})
    result |= {name: evaluate(encoder, score, cohort, x[m], writer[m], forged[m]) for name, m in groups.items()}
    (args.out/"result.json").write_text(json.dumps(result, indent=1))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
