"""Make synthetic ink look otherwise, so that a network cannot learn the look of the generator.

Example: python scripts/looks.py sheet.png --inks inks      a sheet to look at: a hand a row, first as it is, then otherwise

A **shape** is drawn for each hand: all its signatures, forgeries included, are sheared, stretched, mirrored and bent alike, which
makes another hand of it. A **look** is drawn for each image: a small turn and shear, the resolution at which it was scanned, wider or
narrower lines, grain, the threshold between ink and paper. In the end the ink is as large as fits, as the ink finder leaves it.
"""
import argparse
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

SIZE = (208, 400)  # Height and width of the ink, pixels
PAD = 40  # Paper around it that a shape may bend it into, pixels
MARGIN = 8  # Paper around the ink in the end, pixels

# Standard deviations of a hand's shape: shear, log of width over height; and most pixels that places are bent by
SHEAR, STRETCH, BEND = 0.2, 0.18, 14
BEND_GRID = (5, 8)  # Places whose bend is drawn; those between follow smoothly

# Standard deviations of an image's look: turn in degrees, shear, log of each side
TURN, IMAGE_SHEAR, IMAGE_STRETCH = 2, 0.03, 0.02
RESOLUTIONS, RESOLUTION_CHANCE = (0.4, 1), 0.7  # Of the scan, against that of the ink finder
WIDER_CHANCE, NARROWER_CHANCE = 0.15, 0.07  # That all lines gain or lose a pixel of the scan
MOST_GRAIN = 0.12  # Standard deviation of the grain, of the contrast of the ink
THRESHOLD, THRESHOLD_SPREAD, THRESHOLD_LIMITS = 0.45, 0.08, (0.25, 0.7)
SMOOTH_CHANCE = 0.5  # That edges are smoothed
SHIFT = 5  # Most pixels from the centre of the page

_GRAIN = np.random.default_rng(1).normal(size=(2*SIZE[0], 2*SIZE[1])).astype("float32")


def draw_shape(rng):
    "Where each place of the padded page comes from: x and y, each (H+2*PAD,W+2*PAD) float32"
    height, width = SIZE[0]+2*PAD, SIZE[1]+2*PAD
    y, x = np.mgrid[:height, :width].astype("float32")
    x, y = x-width/2, y-height/2
    stretch = np.exp(rng.normal(0, STRETCH)/2)
    mirror_x, mirror_y = rng.choice((-1, 1), 2)
    bend = rng.normal(size=(*BEND_GRID, 2)).astype("float32")*rng.uniform(0, BEND)
    bend = cv2.resize(bend, (width, height), interpolation=cv2.INTER_CUBIC)
    from_x = mirror_x*stretch*(x+rng.normal(0, SHEAR)*y)+width/2+bend[..., 0]
    from_y = mirror_y*y/stretch+height/2+bend[..., 1]
    return from_x.astype("float32"), from_y.astype("float32")


class Look(NamedTuple):
    "How an image was scanned"
    resolution: float  # Against that of the ink finder
    lines: int  # Pixels of the scan that all lines gain
    grain: float  # Standard deviation, of the contrast of the ink
    threshold: float  # Between paper, 0, and ink, 1
    cubic: bool  # Is it made larger by cubic interpolation, or by a linear one?
    smooth: bool  # Are edges smoothed?


def draw_look(rng):
    "A look"
    drawn = rng.random()
    lines = 1 if drawn < WIDER_CHANCE else -1 if drawn < WIDER_CHANCE+NARROWER_CHANCE else 0
    resolution = rng.uniform(*RESOLUTIONS) if rng.random() < RESOLUTION_CHANCE else 1.
    threshold = np.clip(rng.normal(THRESHOLD, THRESHOLD_SPREAD), *THRESHOLD_LIMITS)
    return Look(resolution, lines, rng.uniform(0, MOST_GRAIN), threshold, rng.random() < .5, rng.random() < SMOOTH_CHANCE)


def _scanned(page, resolution, rng):
    "The page turned and sheared a little, at a resolution"
    height, width = page.shape
    turn, (wide, high) = np.deg2rad(rng.normal(0, TURN)), np.exp(rng.normal(0, IMAGE_STRETCH, 2))
    change = np.array([[wide*np.cos(turn), rng.normal(0, IMAGE_SHEAR)-wide*np.sin(turn)], [np.sin(turn), high*np.cos(turn)]])
    middle = np.array([width, height])/2
    affine = resolution*np.c_[change, middle-change@middle]
    return cv2.warpAffine(page, affine.astype("float32"), (int(resolution*width), int(resolution*height)), flags=cv2.INTER_AREA)


def _with_other_lines(page, pixels):
    "All lines wider or narrower by a pixel, or as they are"
    if pixels == 0:
        return page
    return (cv2.dilate if pixels > 0 else cv2.erode)(page, np.ones((2, 2), "uint8"))


def _cropped(page):
    "The box of the ink; None if there is next to none"
    rows, columns = np.flatnonzero((page > 110).any(1)), np.flatnonzero((page > 110).any(0))
    if min(len(rows), len(columns)) < 3:
        return None
    return page[rows[0]:rows[-1]+1, columns[0]:columns[-1]+1]


def _ink(grey, look, rng):
    "What a threshold leaves of a grainy scan, in [0,1] -> 0 or 1"
    height, width = grey.shape
    top, left = rng.integers(SIZE[0]), rng.integers(SIZE[1])
    ink = (grey+look.grain*_GRAIN[top:top+height, left:left+width] > look.threshold).astype("uint8")
    return cv2.medianBlur(255*ink, 3)//255 if look.smooth else ink


def _placed(ink, rng):
    "The ink on a page, near its centre"
    page, places = np.zeros(SIZE, "uint8"), []
    for room, side in zip(SIZE, ink.shape):
        places.append(int(np.clip((room-side)//2+rng.integers(-SHIFT, SHIFT+1), 0, room-side)))
    page[places[0]:places[0]+ink.shape[0], places[1]:places[1]+ink.shape[1]] = ink
    return page


def otherwise(ink, shape, look, rng):
    "Ink of `SIZE` (0 or 1, uint8) in a shape (or None) and with a look; small turns, grain and place from `rng`"
    page = np.pad(255*ink, PAD)
    if shape:
        page = cv2.remap(page, *shape, cv2.INTER_LINEAR)
    box = _cropped(_with_other_lines(_scanned(page, look.resolution, rng), look.lines))
    if box is None:
        return ink
    scale = min((room-2*MARGIN)/side for room, side in zip(SIZE, box.shape))
    height, width = (max(1, int(scale*side)) for side in box.shape)
    grey = cv2.resize(box, (width, height), interpolation=cv2.INTER_CUBIC if look.cubic else cv2.INTER_LINEAR)
    return _placed(_ink(grey/np.float32(255), look, rng), rng)


def main():
    from synthetic_pages import synthetic_inks
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--inks", type=Path, required=True, help="folder that keeps the synthetic inks")
    args = parser.parse_args()
    inks, rng, rows = synthetic_inks(args.inks, "pages", 25, 5, 4, 31), np.random.default_rng(0), []
    for writer in range(1, 9):
        own = [np.unpackbits(inks.bits[i]).reshape(SIZE) for i in np.flatnonzero(inks.writer == writer)[[0, 0, 1, 2, 5, 6]]]
        shape = draw_shape(rng)
        rows.append(np.hstack([own[0], *(otherwise(ink, shape, draw_look(rng), rng) for ink in own[1:])]))
    sheet = cv2.resize(255-255*np.vstack(rows), None, fx=.6, fy=.6, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(args.out), sheet)


if __name__ == "__main__":
    main()
