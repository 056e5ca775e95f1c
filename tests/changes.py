"What may happen to the same signature on its way to the verifier, and must not change the verdict"
import io

import numpy as np
from PIL import Image

from siamese_sig.core.ink import ink_mask
from siamese_sig.core.scan import read_rgb


def paper_of(rgb):
    "The colour of the paper of a scan, shape (H,W,3), uint8"
    return np.percentile(rgb.reshape(-1, 3), 90, axis=0).astype("uint8")


def padded(rgb, top, right=None, bottom=None, left=None, paper=None):
    "More paper around it, pixels; one number is for all four sides"
    top, right, bottom, left = (top if side is None else side for side in (top, right, bottom, left))
    height, width, _ = rgb.shape
    page = np.empty((height+top+bottom, width+left+right, 3), "uint8")
    page[:] = paper_of(rgb) if paper is None else paper
    page[top:top+height, left:left+width] = rgb
    return page


def cropped(rgb, margin):
    "No more paper around the ink than `margin` pixels"
    ink = ink_mask(rgb)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    top, left = max(rows[0]-margin, 0), max(columns[0]-margin, 0)
    return rgb[top:rows[-1]+1+margin, left:columns[-1]+1+margin]


def tinted(rgb, colour):
    "On paper of another colour"
    return (rgb*(np.array(colour)/255)).round().astype("uint8")


def again(rgb, format, mode="RGB", **options):
    "Through a file"
    file = io.BytesIO()
    Image.fromarray(rgb).convert(mode).save(file, format, **options)
    file.seek(0)
    return read_rgb(file)


def scaled(rgb, factor):
    "With more or fewer pixels"
    height, width, _ = rgb.shape
    size = max(1, round(width*factor)), max(1, round(height*factor))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def turned(rgb, degrees):
    "As a sheet that lay askew in the scanner"
    page = padded(rgb, 20)
    return np.asarray(Image.fromarray(page).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=tuple(map(int, page[0, 0]))))


CREAM, BLUE, GREY = (250, 240, 215), (220, 232, 250), (215, 215, 215)
# What -> change of a scan
CHANGES = {
    "PNG": lambda rgb: again(rgb, "PNG"), "TIFF": lambda rgb: again(rgb, "TIFF"), "JPEG 85": lambda rgb: again(rgb, "JPEG", quality=85),
    "60 pixels of paper around it": lambda rgb: padded(rgb, 60), "300 pixels of paper around it": lambda rgb: padded(rgb, 300), "cropped to the ink": lambda rgb: cropped(rgb, 2),
    "on a white page, as in a letter": lambda rgb: padded(rgb, 300, paper=255), "cream paper": lambda rgb: tinted(rgb, CREAM), "blue paper": lambda rgb: tinted(rgb, BLUE), "grey paper": lambda rgb: tinted(rgb, GREY),
    "0.7 of its size": lambda rgb: scaled(rgb, .7), "0.85 of its size": lambda rgb: scaled(rgb, .85), "1.3 times its size": lambda rgb: scaled(rgb, 1.3), "twice its size": lambda rgb: scaled(rgb, 2),
    "turned by 1°": lambda rgb: turned(rgb, 1), "turned by 2°": lambda rgb: turned(rgb, 2), "turned by -2°": lambda rgb: turned(rgb, -2),
}
