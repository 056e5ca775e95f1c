"Hard image files: name -> (maker, what must become of it). Each maker is called with a path and a scan, (H,W) uint8."
import os
import struct
import zlib

import numpy as np
from PIL import Image


def png(width, height, data=b"", bits=1, colour=0):
    "A PNG of these claims, whatever its data"
    def chunk(kind, body):
        return struct.pack(">I", len(body))+kind+body+struct.pack(">I", zlib.crc32(kind+body))
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n"+chunk(b"IHDR", head)+chunk(b"IDAT", data)+chunk(b"IEND", b"")


def white_bomb(width, height):
    "A PNG that is white all over and small on disk"
    pack, rows = zlib.compressobj(9), (b"\0"+b"\xff"*((width+7)//8))*100
    return png(width, height, b"".join(pack.compress(rows) for _ in range(height//100))+pack.flush())


def cut(path, scan, share=.6, **kw):
    Image.fromarray(scan).convert("RGB").save(path, **kw)
    whole = path.read_bytes()
    path.write_bytes(whole[:int(share*len(whole))])


def palette(path, scan):
    Image.fromarray(scan).quantize(16).save(path, transparency=0)


def transparent(path, scan):
    "Black ink on nothing"
    Image.fromarray(np.stack([scan*0]*3+[255-scan], -1), "RGBA").save(path)


def rotated(path, scan, turn=6):
    exif = Image.Exif()
    exif[0x112] = turn
    Image.fromarray(scan).rotate(90, expand=True).convert("RGB").save(path, exif=exif, quality=98)


def animated(path, scan):
    Image.fromarray(scan).save(path, save_all=True, append_images=[Image.fromarray(scan[::-1])])


def wide(path, scan, size=(30_000, 60)):
    Image.fromarray(scan).resize(size).save(path)


def loop(path, scan):
    os.symlink(path.name, path)


def in_mode(mode, **kw):
    return lambda path, scan: Image.fromarray(scan).convert("RGB").convert(mode).save(path, **kw)


def deep(path, scan):
    Image.fromarray(scan.astype("uint16")*257).save(path)


def deep_colour(path, scan):
    "16 bits a channel, RGB, which Pillow reads but does not write"
    h, w = scan.shape
    rows = np.repeat(scan[..., None], 3, 2).astype(">u2")*257
    path.write_bytes(png(w, h, zlib.compress(b"".join(b"\0"+row.tobytes() for row in rows)), 16, 2))


def grey(value):
    return lambda path, scan: Image.fromarray(np.full_like(scan, value)).save(path)


def noise(spread, seed=0):
    def make(path, scan):
        rng = np.random.default_rng(seed)
        page = rng.integers(0, 256, scan.shape) if spread is None else rng.normal(250, spread, scan.shape)
        Image.fromarray(np.clip(page, 0, 255).astype("uint8")).save(path)
    return make


def write(data):
    return lambda path, scan: path.write_bytes(data)


def as_format(format, **kw):
    return lambda path, scan: Image.fromarray(scan).convert("RGB").save(path, format, **kw)


def pages(path, scan):
    "A TIFF with an endless chain of directories: the second points at the first"
    Image.fromarray(scan).save(path, "TIFF")
    data = bytearray(path.read_bytes())
    first, = struct.unpack_from("<I", data, 4)
    n, = struct.unpack_from("<H", data, first)
    struct.pack_into("<I", data, first+2+12*n, first)
    path.write_bytes(data)


REFUSED, READ, EITHER = "refused", "read", "either"  # EITHER: an answer or one line, as long as nothing breaks
HARD = {
    "truncated.png": (cut, REFUSED), "truncated.jpg": (cut, REFUSED), "truncated.tif": (cut, REFUSED), "truncated.webp": (cut, REFUSED),
    "truncated.bmp": (cut, REFUSED), "truncated-lzw.tif": (lambda p, s: cut(p, s, compression="tiff_lzw"), REFUSED),
    "progressive.jpg": (lambda p, s: cut(p, s, progressive=True), REFUSED), "head-only.png": (lambda p, s: cut(p, s, .02), REFUSED),
    "empty.png": (write(b""), REFUSED), "empty.jpg": (write(b""), REFUSED), "text.png": (write(b"Dear Sir or Madam,\n"*40), REFUSED),
    "zeros.png": (write(bytes(5000)), REFUSED), "csv.tif": (write(b"query,refs\na.png,b.png\n"), REFUSED),
    "svg.png": (write(b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'), REFUSED),
    "pdf.png": (write(b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF"), REFUSED),
    "eps.png": (write(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) (w) file\nshowpage\n%%EOF"), REFUSED),
    "gif.png": (as_format("GIF"), READ), "icon.png": (as_format("ICO"), REFUSED), "ppm.png": (as_format("PPM"), REFUSED),
    "claims-1e9-px.png": (write(png(32_000, 32_000, b"x")), REFUSED), "claims-all.png": (write(png(2**31-1, 2**31-1, b"x")), REFUSED),
    "bomb-4e8-px.png": (write(white_bomb(20_000, 20_000)), REFUSED), "bomb-15e7-px.png": (write(white_bomb(15_000, 10_000)), REFUSED),
    "zero-wide.png": (write(png(0, 10)), REFUSED),
    "one-pixel.png": (lambda p, s: Image.fromarray(s[:1, :1]).save(p), REFUSED), "one-row.png": (lambda p, s: Image.fromarray(s[60:61]).save(p), EITHER),
    "one-column.png": (lambda p, s: Image.fromarray(np.ascontiguousarray(s[:, 90:91])).save(p), EITHER),
    "wide.png": (wide, EITHER), "wide-high.png": (lambda p, s: wide(p, s, (30_000, 2_000)), EITHER), "tall.png": (lambda p, s: wide(p, s, (60, 30_000)), EITHER),
    "16-bit.png": (deep, READ), "16-bit.tif": (deep, READ), "16-bit-colour.png": (deep_colour, READ),
    "cmyk.jpg": (in_mode("CMYK", quality=95), READ), "cmyk.tif": (in_mode("CMYK"), READ), "lab.tif": (in_mode("LAB"), EITHER),
    "bilevel.png": (in_mode("1"), READ), "fax.tif": (in_mode("1", compression="group4"), READ), "rgba.png": (in_mode("RGBA"), READ),
    "grey-alpha.png": (in_mode("LA"), READ), "webp.webp": (as_format("WEBP", lossless=True), READ), "bmp.bmp": (in_mode("RGB"), READ),
    "float.tif": (in_mode("F"), EITHER), "integer.tif": (in_mode("I"), EITHER), "palette.png": (palette, EITHER), "transparent.png": (transparent, READ),
    "no-suffix": (as_format("PNG"), READ), "wrong-suffix.jpg": (as_format("PNG"), READ),
    "animated.gif": (animated, REFUSED), "animated.png": (animated, REFUSED), "animated.webp": (animated, REFUSED), "pages.tif": (animated, REFUSED),
    "endless.tif": (pages, EITHER), "rotated.jpg": (rotated, READ), "nonsense-turn.jpg": (lambda p, s: rotated(p, s, 99), EITHER),
    "blank.png": (grey(255), REFUSED), "grey.png": (grey(128), REFUSED), "black.png": (grey(0), REFUSED),
    "noise.png": (noise(None), REFUSED), "pale-noise.png": (noise(8), REFUSED), "scanner-noise.png": (noise(2), REFUSED),
    "loop.png": (loop, REFUSED), "dead-link.png": (lambda p, s: os.symlink("gone.png", p), REFUSED),
    "folder.png": (lambda p, s: p.mkdir(), REFUSED), "pipe.png": (lambda p, s: os.mkfifo(p), REFUSED),
    "with space.png": (as_format("PNG"), READ), "ünïcödé 署名 ✍.png": (as_format("PNG"), READ), "two\nlines.png": (as_format("PNG"), READ),
    "escape\x1b[31m.png": (as_format("PNG"), READ), "tab\t\"quoted\" 'n' %s {0}.png": (as_format("PNG"), READ), "[brackets].png": (as_format("PNG"), READ),
    "not\nutf\udcff8.png": (as_format("PNG"), READ), "-dash.png": (as_format("PNG"), READ), f"{'long'*60}.png": (as_format("PNG"), READ),
    "broken\nname.png": (write(b"no image"), REFUSED), "broken\udcff.png": (write(b"no image"), REFUSED), "\u202egnp.exe.png": (write(b"no image"), REFUSED),
}
