"""The site's own pictures, from the embedded synthetic signatures: python scripts/site_images.py

nbs/images/verdict.png (start page, README), card.png (1200 x 630, for links that are shared), favicon.svg, and three small pictures
for the doors of the start page: the screenshot of notebook 08 and the diagram of notebook 02 are taken from there.
"""
import base64
import io
import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from siamese_sig.core.layouts import default_data, read_images
from siamese_sig.core.ink import preprocess
from siamese_sig.verifier.strokes import INK_SIZE
from siamese_sig.verify import Verifier, paint, where_unlike

NBS = Path(__file__).parents[1]/"nbs"
IMAGES = NBS/"images"
DOOR = (480, 300)  # Pixels
WRITER = "055"  # of the embedded set
NAVY, COLOURS = "#1f3a5f", dict(genuine="#1b6e3c", forged="#a61e1e", inconclusive="#7a5200")


def signatures():
    "Five references, a genuine signature and a forgery of one writer"
    own = read_images(default_data()).query("writer==@WRITER")
    genuine, forged = (own.path[own.forged == f].tolist() for f in (False, True))
    return genuine[:5], genuine[5], forged[0]


def draw(ax, path, verifier=None, against=None):
    "The ink of a signature; in colour, by whose hand it looks like beside `against`"
    ink = preprocess(path, "ink", INK_SIZE)[..., 0]
    if against is None:
        rows, cols = (np.flatnonzero((ink > 127).any(axis)) for axis in (1, 0))
        ax.imshow(255-np.pad(ink[rows[0]:rows[-1]+1, cols[0]:cols[-1]+1], 6), cmap="gray", vmin=0, vmax=255)
    else:
        ax.imshow(paint(where_unlike(verifier, preprocess(against, "ink", INK_SIZE)[..., 0], ink)[1]))
    ax.set_anchor("C")
    ax.axis("off")


def verdict_words(verifier, questioned, references):
    v = verifier.verify(questioned, references)
    return f"{v.verdict}   P(forged) {v.p_forged:.2f}", COLOURS[v.verdict]


def answers(verifier):
    "What the picture says, as the ten lines of the start page print it: scripts/numbers_in_prose.py compares the two"
    references, genuine, forged = signatures()
    said = {truth: verifier.verify(path, references) for truth, path in dict(genuine=genuine, forged=forged).items()}
    return "\n".join(f"{truth}: called {v.verdict}, P(forged) {v.p_forged:.2f}" for truth, v in said.items())


def panel(fig, box, verifier):
    "Two references on the left, two questioned signatures with what was said of them on the right"
    references, genuine, forged = signatures()
    x, y, w, h = box
    for i, path in enumerate(references[:2]):
        draw(fig.add_axes((x, y+(1-i)*h/2+.06*h, .42*w, .34*h)), path)
    for i, path in enumerate((genuine, forged)):
        draw(fig.add_axes((x+.56*w, y+(1-i)*h/2+.06*h, .42*w, .34*h)), path, verifier, references[0])
        words, colour = verdict_words(verifier, path, references)
        fig.text(x+.77*w, y+(1-i)*h/2+.43*h, words, ha="center", color=colour, weight="bold", size=12)
    fig.text(x+.21*w, y+.93*h, "two of five references", ha="center", color="#495057", size=12)


def save_door(picture, name):
    "A picture, from its top and in the middle of its width, as large as a door"
    width, height = DOOR
    picture = picture.convert("RGB")
    scale = width/picture.width
    picture = picture.resize((width, round(picture.height*scale)), Image.Resampling.LANCZOS)
    door = Image.new("RGB", DOOR, "white")
    door.paste(picture.crop((0, 0, width, min(height, picture.height))), (0, max(0, (height-picture.height)//2)))
    door.quantize(64, dither=Image.Dither.NONE).save(IMAGES/name, optimize=True)


def first_figure(notebook):
    "The first stored figure of a notebook"
    cells = json.loads((NBS/notebook).read_text(encoding="utf-8"))["cells"]
    figures = [o["data"]["image/png"] for c in cells for o in c.get("outputs", []) if "image/png" in o.get("data", {})]
    return Image.open(io.BytesIO(base64.b64decode("".join(figures[0]))))


def make_doors(verifier):
    references, _, forged = signatures()
    painted = paint(where_unlike(verifier, *(preprocess(path, "ink", INK_SIZE)[..., 0] for path in (references[0], forged)))[1])
    save_door(Image.fromarray(painted), "door_verify.png")
    save_door(Image.open(NBS/"figures/app.png"), "door_app.png")
    save_door(first_figure("02_siamese.ipynb"), "door_lessons.png")


def main():
    matplotlib.rcParams["svg.hashsalt"] = "siamese_sig"
    IMAGES.mkdir(exist_ok=True)
    verifier = Verifier.load()
    fig = plt.figure(figsize=(9, 3.2), facecolor="white")
    panel(fig, (.02, .02, .96, .96), verifier)
    fig.savefig(IMAGES/"verdict.png", dpi=200, metadata=dict(Description=answers(verifier)))
    fig = plt.figure(figsize=(12, 6.3), facecolor="white")
    fig.patches.append(plt.Rectangle((0, .72), 1, .28, transform=fig.transFigure, color=NAVY))
    fig.text(.05, .87, "siamese_sig", color="white", size=44, weight="bold", va="center")
    fig.text(.05, .775, "Is this signature genuine? Verification with honest numbers", color="white", size=21, va="center")
    panel(fig, (.06, .04, .88, .62), verifier)
    fig.savefig(IMAGES/"card.png", dpi=100)
    make_doors(verifier)
    # two strokes that differ at their end
    (IMAGES/"favicon.svg").write_text(f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64"><rect width="64" height="64" rx="12" fill="{NAVY}"/>
<g fill="none" stroke-width="6" stroke-linecap="round"><path d="M10 28c8-16 14-16 14-4s8 8 12-2 12-8 18-8" stroke="#ffffff"/><path d="M10 50c8-16 14-16 14-4s8 8 12-2 10 2 18 6" stroke="#fb923c"/></g></svg>
""")
    print("\n".join(f"{p.relative_to(IMAGES.parents[1])}: {p.stat().st_size/1e3:.0f} kB" for p in sorted(IMAGES.iterdir())))


if __name__ == "__main__":
    main()
