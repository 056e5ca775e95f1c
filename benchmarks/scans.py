"""What another scan costs the bundled verifier: resolution, focus, compression, grain, tilt.

Example: python benchmarks/scans.py sign_data benchmarks/results/scans.json

One reference, some of the pairs of writers up to `--last`, skilled forgeries. Both images are scanned otherwise, or only the
questioned one. EER in %; FAR and FRR at the shipped threshold.
"""
import argparse
import io
from pathlib import Path

import numpy as np
from common import write_results
from joblib import Parallel, delayed
from PIL import Image, ImageFilter

from siamese_sig.core.ink import ink_pixels
from siamese_sig.core.layouts import read_signatures
from siamese_sig.core.messages import progress
from siamese_sig.core.scan import read_rgb
from siamese_sig.data import make_pairs
from siamese_sig.evaluate import eer, far_frr
from siamese_sig.verifier.record import image_features
from siamese_sig.verifier.strokes import INK_SIZE
from siamese_sig.verify import Verifier


def _resized(factor): return lambda im, rng: im.resize([round(n*factor) for n in im.size], Image.Resampling.BICUBIC)
def _toned(change): return lambda im, rng: Image.fromarray(change(np.asarray(im).astype(float), rng).clip(0, 255).astype("uint8"))
def _grain(level, paper): return _toned(lambda x, rng: x*(paper/255)+rng.normal(0, level, (*x.shape[:2], 1)))


def _turned(degrees):
    def turn(im, rng):
        paper = tuple(np.median(np.asarray(im), (0, 1)).astype(int))
        return im.rotate(rng.uniform(-degrees, degrees), Image.Resampling.BICUBIC, expand=True, fillcolor=paper)
    return turn


def _jpeg(im, rng):
    file = io.BytesIO()
    im.save(file, "JPEG", quality=30)
    return Image.open(file)


SCANS = {"unchanged": lambda im, rng: im, "twice as many pixels a line": _resized(2), "0.7 as many": _resized(.7), "half as many": _resized(.5),
         "out of focus (σ 1 pixel)": lambda im, rng: im.filter(ImageFilter.GaussianBlur(1)), "JPEG, quality 30": _jpeg,
         "16 colours": lambda im, rng: im.quantize(16).convert("RGB"), "ink 0.4 as dark": _toned(lambda x, rng: 255-.4*(255-x)),
         "grain of 12 levels": _grain(12, 235), "grain of 20 levels": _grain(20, 220), "turned by up to 2°": _turned(2), "turned by up to 5°": _turned(5)}


def _rescanned(path, name):
    "The record of an image, scanned otherwise"
    image = SCANS[name](Image.fromarray(read_rgb(path)), np.random.default_rng(sum(Path(path).name.encode())))
    return image_features(ink_pixels(np.asarray(image), INK_SIZE))


def rescanned(paths, name):
    "Records of images, scanned otherwise"
    return np.stack(Parallel(n_jobs=-1)(delayed(_rescanned)(path, name) for path in progress(paths, name)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path, help="json")
    parser.add_argument("--last", type=int, default=48, help="number of the last writer")
    parser.add_argument("--pairs", type=int, default=2500)
    args = parser.parse_args()
    images = read_signatures(args.data).drop_duplicates("sha256")
    images = images[images.writer.astype(int) <= args.last].reset_index(drop=True)
    pairs = make_pairs(images).sample(args.pairs, random_state=5)
    a, b, forged = pairs.a.to_numpy(), pairs.b.to_numpy(), pairs.label.to_numpy() == 1
    verifier = Verifier.load()
    threshold = verifier.references["1"]["thresholds"]["balanced"]
    plain, rows = None, []
    for name in SCANS:
        features = rescanned(images.path.tolist(), name)
        plain = features if plain is None else plain
        row = dict(scans=name)
        for changed, references in dict(both=features, questioned=plain).items():
            score = verifier.matcher.compare(np.concatenate([references, features]), a, b+len(features))
            far, frr = far_frr(score, forged, threshold)
            row[changed] = dict(eer=eer(score, forged)[0], far=far, frr=frr)
        rows.append(row)
        print(row, flush=True)
    write_results(args.out, f"sign_data, {len(pairs)} pairs of {images.writer.nunique()} people, 001-{args.last:03}",
                  verifier=verifier.matcher.fingerprint, rows=rows)


if __name__ == "__main__":
    main()
