"""Train the small Siamese network on several machines: JAX and keras.distribution.DataParallel, one process a machine.

    pip install jax
    python scripts/train_jax_distributed.py --coordinator HOST:PORT --processes 2 --process 0 --out model.keras   (on HOST)
    python scripts/train_jax_distributed.py --coordinator HOST:PORT --processes 2 --process 1                     (elsewhere)
    python scripts/train_jax_distributed.py --out model.keras                                                     (one process)

Every process reads the data set and trains on its share of each batch, so --batch-size counts the pairs of all together. The first
writes the network, which TensorFlow loads as well. `tests/test_backends.py` runs two on one machine and compares them with one.
"""
import argparse
import os
import shutil
import tempfile
from pathlib import Path

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import jax  # noqa: E402


def share(dataset, part, parts):
    "Of each batch, the rows of process `part`"
    import tensorflow as tf
    return dataset.map(lambda *batch: tf.nest.map_structure(lambda v: tf.split(v, parts)[part], batch))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinator", help="address of the first process, HOST:PORT")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--process", type=int, default=0, help="number of this one, from 0")
    parser.add_argument("--data", help="data set in Kaggle's layout; by default the embedded one")
    parser.add_argument("--size", type=int, nargs=2, default=(56, 104), help="height and width in pixels")
    parser.add_argument("--batch-size", type=int, default=32, help="pairs, of all processes together")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps-per-epoch", type=int, default=20)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file of the network, written by process 0; ends in .keras")
    args = parser.parse_args()
    if args.batch_size % args.processes:
        parser.error(f"--batch-size {args.batch_size} on {args.processes} processes; expected a multiple")
    if args.processes > 1:
        if not args.coordinator:
            parser.error("--processes without --coordinator; expected HOST:PORT of the first process")
        jax.distributed.initialize(args.coordinator, args.processes, args.process)  # before Keras touches a device

    import keras

    from siamese_sig.backbones import build_encoder
    from siamese_sig.core.layouts import default_data, read_dataset
    from siamese_sig.core.batches import index_pairs, pair_batches
    from siamese_sig.core.images import load_images
    from siamese_sig.data import split_pairs
    from siamese_sig.siamese import build_head, siamese_model
    from siamese_sig.train import compile_model

    keras.utils.set_random_seed(args.seed)  # the same initial weights everywhere
    keras.distribution.set_distribution(keras.distribution.DataParallel(auto_shard_dataset=False))  # `share` does that
    if args.batch_size % jax.device_count():
        parser.error(f"--batch-size {args.batch_size} on {jax.device_count()} devices; expected a multiple")
    images, pairs = read_dataset(args.data or default_data())
    pairs = split_pairs(images, pairs, seed=args.seed).query("split == 'train'")
    x, position = load_images(images.loc[sorted({*pairs.a, *pairs.b})], "ink", tuple(args.size))
    batches = pair_batches(x, *index_pairs(pairs, position), args.batch_size, args.seed, multiple=jax.device_count())
    encoder = build_encoder("custom_cnn", (*args.size, 1), weights=None, frozen=False)
    model = compile_model(siamese_model(encoder, build_head(encoder.output_shape[-1], None)), args.learning_rate)
    history = model.fit(share(batches, args.process, args.processes), steps_per_epoch=args.steps_per_epoch, epochs=args.epochs,
                        shuffle=False, verbose=0).history
    for epoch, loss in enumerate(history["loss"], 1):
        print(f"process {args.process} of {args.processes}, {jax.device_count()} devices, epoch {epoch}: loss {loss:.7f}", flush=True)
    with tempfile.TemporaryDirectory() as tmp:  # all of them save: reading shared arrays waits for every process
        model.save(Path(tmp)/"model.keras")
        if args.out and args.process == 0:
            shutil.copy(Path(tmp)/"model.keras", args.out)
    if args.processes > 1:
        jax.distributed.shutdown()  # waits for the others


if __name__ == "__main__":
    main()
