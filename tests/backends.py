"""The networks under one Keras backend: built, trained a step, saved; and those that other backends saved, loaded.

    KERAS_BACKEND=jax python tests/backends.py DIR           makes DIR/jax
    KERAS_BACKEND=torch python tests/backends.py DIR --load  loads what stands in DIR, prints the largest difference of each
"""
import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

from siamese_sig.backbones import BACKBONES, build_encoder, local_grid# noqa: E402
from siamese_sig.core.batches import pair_batches# noqa: E402
from siamese_sig.siamese import augmenter, build_head, encode, score_features, score_pairs, siamese_model# noqa: E402
from siamese_sig.train import compile_model
from siamese_sig.core.networks import read_network# noqa: E402

CASES = {  # name: (backbone, size, alpha, frozen, augmented)
    "custom_cnn": ("custom_cnn", (40, 72), 1., False, True),
    "MobileNetV2": ("MobileNetV2", (64, 96), .35, False, False),
    "custom_cnn-frozen": ("custom_cnn", (40, 72), 1., True, False),
    "signature": ("signature", (64, 96), 1., False, False),
}


def images(size, n=12):
    "Strokes of ink, shape (n,H,W,1), uint8; the same everywhere"
    rng = np.random.default_rng(0)
    x = np.zeros((n, *size, 1), "uint8")
    for image in x:
        at = np.cumsum(rng.integers(-2, 3, (300, 2)), 0)+np.array(size)//2
        image[np.clip(at[:, 0], 0, size[0]-1), np.clip(at[:, 1], 0, size[1]-1)] = 255
    return x


def pairs(n=12, p=32):
    "Positions and labels of p pairs"
    rng = np.random.default_rng(1)
    return rng.integers(0, n, p).astype("int32"), rng.integers(0, n, p).astype("int32"), rng.integers(0, 2, p).astype("float32")


def make(folder, name):
    "Build, train a step, save; the network's scores beside it"
    backbone, size, alpha, frozen, augmented = CASES[name]
    keras.utils.set_random_seed(0)
    encoder = build_encoder(backbone, (*size, 1), None, frozen, alpha)
    head = build_head(encoder.output_shape[-1], BACKBONES[backbone].projection, local_grid(backbone, size))
    model = compile_model(siamese_model(encoder, head, augmenter() if augmented else None), learning_rate=1e-3)
    for layer in encoder.layers[-1].layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.  # after one step it knows the batch: untrained, deep networks say the same of every image
    x, (a, b, label) = images(size), pairs()
    before = [np.array(w) for w in model.get_weights()]
    loss = model.fit(pair_batches(x, a, b, label, 16, seed=0), steps_per_epoch=1, shuffle=False, verbose=0).history["loss"][0]
    assert np.isfinite(loss) and any((w != v).any() for w, v in zip(before, model.get_weights()))
    assert any((w != v).any() for w, v in zip(before, model.get_layer("encoder").get_weights())) != frozen
    scores = score_pairs(model, x, a, b)
    whole = model.predict((x[a]/np.float32(255), x[b]/np.float32(255)), verbose=0)[:, 0]
    np.testing.assert_allclose(scores, whole, atol=1e-5)
    np.testing.assert_allclose(score_features(head, encode(encoder, x), a, b), whole, atol=1e-5)
    assert scores.std() > 1e-4
    model.save(folder/f"{name}.keras")
    np.save(folder/f"{name}.npy", scores)


def load(folder):
    "Largest difference of the scores of each network that another backend saved"
    differences = {}
    for file in sorted(folder.glob("*/*.keras")):
        model = read_network(file)
        scores = score_pairs(model, images(CASES[file.stem][1]), *pairs()[:2])
        differences[f"{file.parent.name} -> {keras.backend.backend()}: {file.stem}"] = float(np.abs(scores-np.load(file.with_suffix(".npy"))).max())
    return differences


if __name__ == "__main__":
    out = Path(sys.argv[1])
    if "--load" in sys.argv:
        print(json.dumps(load(out)))
    else:
        (out/keras.backend.backend()).mkdir(parents=True)
        for case in CASES:
            make(out/keras.backend.backend(), case)
