"""What the classical evidence is worth on writers it has never seen, as Markdown: alone, fitted on synthetic signatures, fitted on real ones.

Example: python benchmarks/evidence.py sign_data evidence.npz runs/evidence --synthetic features-….npz
         python benchmarks/evidence.py sign_data evidence.npz runs/evidence --pens    (or --scans)

`evidence.npz` and the features of the synthetic signatures it was fitted on come from scripts/fit_evidence.py. Writers of the
data set up to number `--last` are used, no others. EER in %, 95 % intervals from resampling writers. k references: ten draws of
k genuine signatures of each writer, pooled, and once the first k files; random forgeries are one genuine signature of each
other writer.
"""
import argparse
import functools
import io
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from PIL import Image, ImageFilter
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from siamese_sig.core.ink import ink_pixels, preprocess
from siamese_sig.core.messages import progress
from siamese_sig.core.layouts import read_images
from siamese_sig.core.scan import read_rgb
from siamese_sig.core.files import write_whole
from siamese_sig.evaluate import FUSIONS, eer, far_frr, fellow_logits, fuse, writer_bootstrap
from siamese_sig.verifier.record import DISTANCES, image_features
from siamese_sig.verifier.pens import PEN_CHANGE_LOG_RATIO
from siamese_sig.verifier.strokes import INK_SIZE, redraw
from siamese_sig.verifier.shapes import TRAITS
from siamese_sig.verifier.point_network import training_pairs, make_pair_set
from siamese_sig.verifier.evidence import adapt_evidence, evidence_logit, load_evidence, nonnegative_logistic, pair_columns

FAMILIES = {"texture": ("texture",), "traits": ("trait",), "network of points": ("points",), "whitened spaces": ("space",), "of these, pressure": ("space pressure",), "of these, opened ink": ("space opened",)}


class Real:
    "Images of a data set, their pairs, and draws of references"
    def __init__(self, data, last, draws=10):
        table = read_images(data)
        table = table[table.writer.astype(int) <= last].drop_duplicates("sha256").reset_index(drop=True)
        self.path = list(table.path)
        self.ink = [preprocess(p, "ink", INK_SIZE)[..., 0] for p in progress(self.path, "reading")]
        self.writer, self.forged = table.writer.to_numpy(), table.forged.to_numpy()
        self.people, rng = np.unique(self.writer), np.random.default_rng(0)
        self.genuine = {w: np.flatnonzero((self.writer == w) & ~self.forged) for w in self.people}
        self.skilled = {w: np.flatnonzero((self.writer == w) & self.forged) for w in self.people}
        self.random = {w: np.array([rng.choice(self.genuine[v]) for v in self.people if v != w]) for w in self.people}
        self.draws = [{w: rng.permutation(g) for w, g in self.genuine.items()} for _ in range(draws)]
        a, b, kind = [], [], []
        for w, g in self.genuine.items():
            i, j = np.triu_indices(len(g), 1)
            for k, (u, v) in enumerate(((g[i], g[j]), *((np.repeat(g, len(q[w])), np.tile(q[w], len(g))) for q in (self.skilled, self.random)))):
                a, b, kind = a+[u], b+[v], kind+[np.full(len(u), k)]
        self.a, self.b, self.kind = map(np.concatenate, (a, b, kind))  # kind: 0 genuine, 1 skilled, 2 random
        self.claimed = self.writer[self.a]

    def matrix(self, score):
        m = np.full((len(self.writer),)*2, np.nan)
        m[self.a, self.b] = m[self.b, self.a] = score
        return m

    def sets(self, logit, k, rule, draws=None):
        "Fused score, kind and claimed writer of all questions of all draws of references"
        m, out = self.matrix(logit), []
        for draw in draws or self.draws:
            for w in self.people:
                refs, rest = draw[w][:k], draw[w][k:]
                if not len(rest):
                    continue
                asked = np.concatenate([rest, self.skilled[w], self.random[w]])
                s = rule(m[np.ix_(asked, refs)], fellow_logits(m[np.ix_(refs, refs)]))
                out.append((s, np.repeat([0, 1, 2], [len(rest), len(self.skilled[w]), len(self.random[w])]), np.full(len(asked), w)))
        return [np.concatenate(v) for v in zip(*out)]


def fused_by(rule):
    "The fused log odds of questions, from log odds against the references and `fellow_logits` of these"
    return lambda s, fellows: fuse(1/(1+np.exp(-s)), np.broadcast_to(fellows, s.shape), rule)


RULES = {rule: fused_by(rule) for rule in FUSIONS}


def rates(score, kind, writer, repeats):
    "EER of skilled and of random forgeries with intervals, as text"
    out = []
    for k in (1, 2):
        use = (kind == 0) | (kind == k)
        s, f, w = score[use], kind[use] == k, writer[use]
        low, high = writer_bootstrap(s, f, w, repeats=repeats) if repeats else (np.nan, np.nan)
        out.append(f"{100*eer(s, f)[0]:.1f}" + (f" [{100*low:.1f}, {100*high:.1f}]" if repeats else ""))
    return out


def row(name, real, logit, repeats, rules=tuple(RULES), draws=None):
    "A line of the table"
    cells = [name, " / ".join(rates(logit, real.kind, real.claimed, repeats))]
    for k in (5, 10):
        cells += [" / ".join(rates(*real.sets(logit, k, RULES[r], draws), repeats if r == "normalised" else 0)) for r in rules]
    print("| "+" | ".join(cells)+" |", flush=True)


def kept(path, make):
    "An array from a file, made if it is not there"
    if not path.exists():
        value = make()
        write_whole(path, lambda p: np.save(p, value))
    return np.load(path)


def measured(path, inks):
    "Features of images, from a file"
    return kept(path, lambda: np.stack(Parallel(n_jobs=-1)(delayed(image_features)(x) for x in progress(inks, "measuring"))))


def changed_pens(real, features, evidence, out, pairs):
    "EER when the questioned ink is wider or narrower; FAR and FRR at the threshold of unchanged ink; some of the pairs"
    use = np.flatnonzero(real.kind < 2)
    use = np.sort(np.random.default_rng(5).choice(use, min(pairs, len(use)), replace=False))
    a, b, forged = real.a[use], real.b[use], real.kind[use] == 1
    print("\n| questioned ink | " + " | ".join(f"pens {h}: EER; FAR, FRR at the unchanged threshold" for h in ("as they are", "made even")) + " |\n|" + "---|"*3)
    threshold = {}
    for name, by in {"unchanged": 0, "1 px wider": 1, "1 px narrower": -1, "dilated, 1 px on each side": 2, "eroded, 1 px on each side": -2}.items():
        inks = [np.uint8(255)*_fitted(redraw(x > 127, by)) for x in real.ink]
        both = np.concatenate([features, measured(out/f"features{by:+}.npy", inks)])
        cells = []
        for change in (np.inf, PEN_CHANGE_LOG_RATIO):
            score = kept(out/f"logit{by:+}-{change}.npy", functools.partial(evidence_logit, evidence, both, a, b+len(features), change))
            threshold.setdefault(change, eer(score, forged)[1])
            cells.append(f"{100*eer(score, forged)[0]:.1f}; " + ", ".join(f"{100*v:.1f}" for v in far_frr(score, forged, threshold[change])))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _resized(factor): return lambda im, rng: im.resize([round(n*factor) for n in im.size], Image.Resampling.BICUBIC)
def _toned(change): return lambda im, rng: Image.fromarray(change(np.asarray(im).astype(float), rng).clip(0, 255).astype("uint8"))
def _grain(level, paper): return _toned(lambda x, rng: x*(paper/255)+rng.normal(0, level, (*x.shape[:2], 1)))
def _turned(degrees): return lambda im, rng: im.rotate(rng.uniform(-degrees, degrees), Image.Resampling.BICUBIC, expand=True, fillcolor=tuple(np.median(np.asarray(im), (0, 1)).astype(int)))


def _jpeg(im, rng):
    file = io.BytesIO()
    im.save(file, "JPEG", quality=30)
    return Image.open(file)


SCANS = {"unchanged": lambda im, rng: im, "twice as many pixels a line": _resized(2), ".7 as many": _resized(.7), "half as many": _resized(.5),
         "out of focus (σ 1 pixel)": lambda im, rng: im.filter(ImageFilter.GaussianBlur(1)), "JPEG, quality 30": _jpeg,
         "16 colours": lambda im, rng: im.quantize(16).convert("RGB"), "ink .4 as dark": _toned(lambda x, rng: 255-.4*(255-x)),
         "grain of 12 levels": _grain(12, 235), "grain of 20 levels": _grain(20, 220), "turned by up to 2°": _turned(2), "turned by up to 5°": _turned(5)}


def rescanned(paths, name):
    "Features of images scanned otherwise"
    def one(path):
        image = SCANS[name](Image.fromarray(read_rgb(path)), np.random.default_rng(sum(Path(path).name.encode())))
        return image_features(ink_pixels(np.asarray(image), INK_SIZE))
    return np.stack(Parallel(n_jobs=-1)(delayed(one)(p) for p in progress(paths, name)))


def changed_scans(real, evidence, out, pairs):
    "EER when both images or only the questioned one are scanned otherwise; FAR and FRR at the threshold of unchanged scans; some of the pairs"
    use = np.flatnonzero(real.kind < 2)
    use = np.sort(np.random.default_rng(5).choice(use, min(pairs, len(use)), replace=False))
    a, b, forged = real.a[use], real.b[use], real.kind[use] == 1
    print("\n| scans | both: EER; FAR, FRR at the unchanged threshold | questioned only |\n|"+"---|"*3)
    plain = threshold = None
    for i, name in enumerate(SCANS):
        features = kept(out/f"features-scan{i}.npy", functools.partial(rescanned, real.path, name))
        plain = features if plain is None else plain
        both = np.concatenate([plain, features])
        cells = []
        for first in (len(plain), 0):
            score = kept(out/f"logit-scan{i}-{first > 0}.npy", functools.partial(evidence_logit, evidence, both, a+first, b+len(plain)))
            threshold = eer(score, forged)[1] if threshold is None else threshold
            cells.append(f"{100*eer(score, forged)[0]:.1f}; " + ", ".join(f"{100*v:.1f}" for v in far_frr(score, forged, threshold)))
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _fitted(mask):
    "A redrawn page at `INK_SIZE` again"
    off = [(n-m)//2 for n, m in zip(mask.shape, INK_SIZE)]
    return mask[off[0]:off[0]+INK_SIZE[0], off[1]:off[1]+INK_SIZE[1]]


def control(real, traits, made, forged):
    "EER of telling forgeries from genuine signatures by the traits of the questioned image alone, no reference at all; synthetic fit, six-fold fit"
    def fit(x, y):
        return make_pipeline(StandardScaler(), LogisticRegression(C=.01, class_weight="balanced", max_iter=1000)).fit(x, y)
    alone, order = np.zeros(len(traits)), np.random.default_rng(0).permutation(real.people)
    for fold in range(6):
        held = np.isin(real.writer, order[fold::6])
        alone[held] = fit(traits[~held], real.forged[~held]).decision_function(traits[held])
    for name, s in (("synthetic", fit(made, forged).decision_function(traits)), ("real writers, six folds", alone)):
        low, high = writer_bootstrap(s, real.forged, real.writer, repeats=300)
        print(f"reference-free control, {name}: EER {100*eer(s, real.forged)[0]:.1f} [{100*low:.1f}, {100*high:.1f}]")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("evidence", type=Path)
    parser.add_argument("out", type=Path, help="folder of features and distances; those that are there are not made again")
    parser.add_argument("--synthetic", type=Path, help="features that scripts/fit_evidence.py has kept beside its output; needed without --pens and --scans")
    parser.add_argument("--last", type=int, default=48)
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=2500, help="for which pens or scans are changed")
    parser.add_argument("--pens", action="store_true", help="the table of changed pens and nothing else")
    parser.add_argument("--scans", action="store_true", help="the table of other scans and nothing else")
    parser.add_argument("--strength", type=float, default=15., help="of the fits on real writers")
    args = parser.parse_args()
    if not (args.synthetic or args.pens or args.scans):
        parser.error("expected --synthetic FEATURES, or --pens or --scans, which do without")
    args.out.mkdir(parents=True, exist_ok=True)
    evidence, real = load_evidence(args.evidence), Real(args.data, args.last)
    if args.scans:
        return changed_scans(real, evidence, args.out, args.pairs)
    features = measured(args.out/"features.npy", real.ink)
    if args.pens:
        return changed_pens(real, features, evidence, args.out, args.pairs)
    d = kept(args.out/"columns.npy", lambda: pair_columns(evidence.spaces, evidence.points, features, real.a, real.b))
    with np.load(args.synthetic) as f:
        made, writer, forged = f["features"], f["writer"], f["forged"]
    rest = np.flatnonzero(writer > np.median(writer))
    sa, sb, y = training_pairs(writer[rest], forged[rest], 8, np.random.default_rng(0))
    sd = kept(args.out/"columns-synthetic.npy", lambda: pair_columns(evidence.spaces, evidence.points, made, rest[sa], rest[sb]))
    x, sx = ((v-evidence.center)/evidence.scale for v in (d, sd))
    names = np.array(DISTANCES+tuple(f"space {s.part}" for s in evidence.spaces for _ in range(2))+("points",)+tuple(f"mean {n}" for n in TRAITS))
    print(f"{len(real.writer)} images of {len(real.people)} writers, {np.bincount(real.kind).tolist()} genuine, skilled, random pairs\n")
    print("| skilled / random EER | 1 reference | " + " | ".join(f"{k}, {r}" for k in (5, 10) for r in RULES) + " |\n|" + "---|"*8)
    shipped = kept(args.out/"logit.npy", lambda: evidence_logit(evidence, features, real.a, real.b))
    row("all, synthetic, pens as they are", real, x@evidence.weight, args.repeats)
    row("all, synthetic, pens made even: shipped", real, shipped, args.repeats)
    row("the same, references: the first k files of a writer", real, shipped, args.repeats, draws=[real.genuine])
    for name, starts in FAMILIES.items():
        use = np.array([n.startswith(starts) for n in names])
        weight, _ = nonnegative_logistic(sx[:, use], y, 15.)
        row(f"{name} ({use.sum()})", real, x[:, use]@weight, 0)
    order = np.random.default_rng(0).permutation(real.people)
    folds = [order[fold::6] for fold in range(6)]
    for name, free in (("weights from real writers, six folds", len(TRAITS)), ("the same without mean traits", 0)):
        logit, use = np.zeros(len(d)), np.arange(len(names)) < len(names)-(0 if free else len(TRAITS))
        for people in folds:
            held = np.isin(real.claimed, people)
            fit = ~held & (real.kind < 2)
            weight, bias = nonnegative_logistic(x[fit][:, use], real.kind[fit] == 1, args.strength, free)
            logit[held] = x[held][:, use]@weight+bias
        row(name, real, logit, args.repeats)
    def adapted():
        lessons = make_pair_set(features, real.writer, real.forged)
        logit = np.zeros(len(d))
        for people in folds:
            held, own = np.isin(real.claimed, people), ~np.isin(real.writer, people)
            logit[held] = evidence_logit(adapt_evidence(evidence, features, real.writer, real.forged, own, lessons), features, real.a[held], real.b[held])
        return logit
    row("adapted to the other writers, six folds", real, kept(args.out/"logit-adapted.npy", adapted), args.repeats)
    changed_pens(real, features, evidence, args.out, args.pairs)
    print()
    control(real, features["traits"], made["traits"], forged)
    print(f"pen change {PEN_CHANGE_LOG_RATIO}")


if __name__ == "__main__":
    main()
