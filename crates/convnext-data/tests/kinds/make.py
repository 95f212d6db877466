"""Makes files of rare kinds beside what Pillow makes of them, for `tests/kinds.rs`.

    pip install pillow==13.0.0 numpy tifffile
    python make.py

Each file KIND.EXT has its pixels in red, green and blue in KIND.png, as `Image.open(...).convert("RGB")` gives them
after `ImageOps.exif_transpose`. Where Pillow reads no such file, or cuts off what lies above 8 bit, what was written
into the file is written here, and the table says so. `kinds.json` lists the files with the largest difference allowed.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy
import tifffile
from PIL import Image, ImageOps

HERE = Path(__file__).parent
WIDTH, HEIGHT = 23, 17
KINDS = []


def test_image():
    """Smooth colours with an edge, so that predictors, tiles and subsampling have something to get wrong."""
    y, x = numpy.mgrid[0:HEIGHT, 0:WIDTH]
    red, green, blue = 11 * x, 15 * y, (7 * x + 9 * y) % 256
    colours = numpy.stack([red, green, blue], -1).astype(numpy.uint8)
    colours[4:9, 5:14] = [200, 30, 90]
    return colours


COLOURS = test_image()
GREY = numpy.asarray(Image.fromarray(COLOURS).convert("L"))


def keep(name, tolerance=0, expected=None):
    """Notes a file and what it holds: what Pillow reads, or an array of colours or of grey."""
    if expected is None:
        # Not by its path: Pillow 13 mistakes the sides of an uncompressed TIFF file that it maps and turns.
        image = Image.open(io.BytesIO((HERE / name).read_bytes()))
        # TIFF files are turned here already.
        image.load()
        image = ImageOps.exif_transpose(image).convert("RGB")
    else:
        image = Image.fromarray(numpy.ascontiguousarray(expected)).convert("RGB")
    stem = name.replace(".", "-")
    image.save(HERE / f"{stem}.png", optimize=True)
    KINDS.append({"file": name, "expected": f"{stem}.png", "tolerance": tolerance})


def pillow(name, image, tolerance=0, expected=None, **options):
    image.save(HERE / name, **options)
    keep(name, tolerance, expected)


def tiff(name, array, tolerance=0, expected=None, **options):
    options.setdefault("metadata", None)
    tifffile.imwrite(HERE / name, array, **options)
    keep(name, tolerance, expected)


def rounded(array, most):
    return (array.astype(float) / most * 255).round().astype(numpy.uint8)


def packed(values, bits):
    """Rows of values of so many bits, each row filled up to whole bytes."""
    rows = []
    for row in values:
        text = "".join(f"{value:0{bits}b}" for value in row)
        text += "0" * (-len(text) % 8)
        rows.append(bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)))
    return b"".join(rows)


def own_tiff(name, data, entries):
    """A TIFF file of one strip, written entry by entry."""
    entries = {256: WIDTH, 257: HEIGHT, 259: 1, 262: 1, 273: 8, 277: 1, 278: HEIGHT, 279: len(data), **entries}
    entries = {tag: value for tag, value in sorted(entries.items()) if value is not None}
    start = 8 + len(data) + len(data) % 2
    after = start + 2 + 12 * len(entries) + 4
    directory, values = struct.pack("<H", len(entries)), b""
    for tag, value in entries.items():
        listed = value if isinstance(value, list) else [value]
        kind, code = (4, "I") if max(listed) > 65535 else (3, "H")
        raw = struct.pack(f"<{len(listed)}{code}", *listed)
        if len(raw) > 4:
            place = struct.pack("<I", after + len(values))
            values += raw
        else:
            place = raw.ljust(4, b"\0")
        directory += struct.pack("<HHI", tag, kind, len(listed)) + place
    data += b"\0" * (len(data) % 2)
    (HERE / name).write_bytes(b"II*\0" + struct.pack("<I", start) + data + directory + b"\0" * 4 + values)


rgb, grey = Image.fromarray(COLOURS), Image.fromarray(GREY)
alpha = numpy.dstack([COLOURS, numpy.clip(3 * GREY.astype(int), 0, 255)]).astype(numpy.uint8)
rgba = Image.fromarray(alpha, "RGBA")

# TIFF: compressions.
for compression in ["tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"]:
    try:
        pillow(f"{compression}.tif", rgb, compression=compression)
    except OSError as error:
        print(compression, error)
pillow("jpeg.tif", rgb, 6, compression="jpeg", quality=95)
pillow("grey-jpeg.tif", grey, 2, compression="jpeg", quality=95)
pillow("group4.tif", grey.convert("1"), compression="group4")
pillow("lzw-predictor.tif", rgb, compression="tiff_lzw", tiffinfo={317: 2})
tiff("deflate-tiles-predictor.tif", COLOURS, compression="zlib", predictor=True, tile=(16, 16))

# TIFF: layouts.
tiff("tiles.tif", COLOURS, tile=(16, 16), photometric="rgb")
planes = numpy.moveaxis(COLOURS, -1, 0)
tiff("planes.tif", planes, planarconfig="separate", photometric="rgb")
tiff("planar-tiles.tif", planes, planarconfig="separate", tile=(16, 16), photometric="rgb")
tiff("big.tif", COLOURS, bigtiff=True, photometric="rgb")
tiff("big-endian.tif", COLOURS, byteorder=">", photometric="rgb")
tiff("rows.tif", COLOURS, rowsperstrip=5, photometric="rgb")
tiff("grey-big-endian-16.tif", GREY.astype(numpy.uint16) * 257, byteorder=">", photometric="minisblack", expected=GREY)

# TIFF: meanings.
pillow("palette.tif", rgb.quantize(40))
pillow("palette-alpha.png", rgba.quantize(40))
pillow("cmyk.tif", rgb.convert("CMYK"), 1)
pillow("grey-alpha.tif", rgba.convert("LA"))
pillow("rgba.tif", rgba)
multiplied = (alpha[..., :3].astype(int) * alpha[..., 3:] // 255).astype(numpy.uint8)
tiff("rgba-associated.tif", numpy.dstack([multiplied, alpha[..., 3]]), photometric="rgb", extrasamples=["assocalpha"])
tiff("white-is-zero.tif", GREY, photometric="miniswhite")
ycbcr = numpy.asarray(rgb.convert("YCbCr"))
tiff("ycbcr.tif", ycbcr, 1, photometric="ycbcr", subsampling=(1, 1), expected=numpy.asarray(rgb.convert("YCbCr").convert("RGB")))

for across, down in [(2, 2), (2, 1), (1, 2), (4, 2)]:
    wide, high = -(-WIDTH // across), -(-HEIGHT // down)
    padded = numpy.pad(ycbcr.astype(int), ((0, high * down - HEIGHT), (0, wide * across - WIDTH), (0, 0)), "edge")
    units = padded.reshape(high, down, wide, across, 3).transpose(0, 2, 1, 3, 4)
    own = units[..., 0].reshape(high, wide, -1)
    shared = units[..., 1:].mean((2, 3)).round().astype(int)
    data = numpy.concatenate([own, shared], -1).astype(numpy.uint8).tobytes()
    name = f"ycbcr-{across}{down}.tif"
    own_tiff(name, zlib.compress(data), {258: [8, 8, 8], 259: 8, 262: 6, 277: 3, 530: [across, down]})
    keep(name, 1)

# TIFF: types. Pillow cuts what is above 255 off; here the whole range of the type counts.
tiff("grey-16.tif", GREY.astype(numpy.uint16) * 257, photometric="minisblack", expected=GREY)
tiff("white-is-zero-16.tif", 65535 - GREY.astype(numpy.uint16) * 257, photometric="miniswhite", expected=GREY)
tiff("rgb-16.tif", COLOURS.astype(numpy.uint16) * 257, photometric="rgb", expected=COLOURS)
for bits in [16, 32, 64]:
    floats = (GREY / 255).astype(f"float{bits}")
    tiff(f"float-{bits}.tif", floats, photometric="minisblack", expected=GREY)
tiff("rgb-float.tif", (COLOURS / 255).astype("float32"), photometric="rgb", expected=COLOURS)
tiff("int-16.tif", GREY.astype(numpy.int16) * 128, photometric="minisblack", expected=rounded(GREY.astype(int) * 128 + 32768, 65535))
tiff("uint-32.tif", GREY.astype(numpy.uint32) * 16843009, photometric="minisblack", expected=GREY)


for bits in [1, 2, 4, 12]:
    levels = (GREY.astype(int) * (2**bits - 1) // 255).astype(int)
    expected = rounded(levels, 2**bits - 1)
    own_tiff(f"grey-{bits}.tif", packed(levels, bits), {258: bits})
    keep(f"grey-{bits}.tif", expected=expected if bits > 8 else None)
    if bits < 12:
        own_tiff(f"grey-{bits}-white-is-zero.tif", packed(levels, bits), {258: bits, 262: 0})
        keep(f"grey-{bits}-white-is-zero.tif")
        size = 2**bits
        palette = [(37 * i * (c + 1)) % 256 * 257 for c in range(3) for i in range(size)]
        own_tiff(f"palette-{bits}.tif", packed(levels, bits), {258: bits, 262: 3, 320: palette})
        keep(f"palette-{bits}.tif")
rows = (GREY / 255).astype(">f4").view(numpy.uint8).reshape(HEIGHT, WIDTH, 4)
rows = rows.transpose(0, 2, 1).reshape(HEIGHT, -1)
differences = numpy.diff(rows.astype(int), axis=1, prepend=0).astype(numpy.uint8)
own_tiff("float-predictor.tif", zlib.compress(differences.tobytes()), {258: 32, 259: 8, 317: 3, 339: 3})
keep("float-predictor.tif", expected=GREY)
for bits in [2, 10, 12]:
    levels = (COLOURS.astype(int) * (2**bits - 1) // 255).astype(int)
    own_tiff(f"rgb-{bits}.tif", packed(levels.reshape(HEIGHT, -1), bits), {258: [bits] * 3, 262: 2, 277: 3})
    keep(f"rgb-{bits}.tif", expected=rounded(levels, 2**bits - 1))
    strips = [packed(levels[..., plane], bits) for plane in range(3)]
    starts = [8 + sum(map(len, strips[:plane])) for plane in range(3)]
    lengths = [len(strip) for strip in strips]
    entries = {258: [bits] * 3, 262: 2, 273: starts, 277: 3, 279: lengths, 284: 2}
    own_tiff(f"rgb-planes-{bits}.tif", b"".join(strips), entries)
    keep(f"rgb-planes-{bits}.tif", expected=rounded(levels, 2**bits - 1))
own_tiff("no-lengths.tif", GREY.tobytes(), {258: 8, 279: None})
keep("no-lengths.tif", expected=GREY)
own_tiff("turned.tif", GREY.tobytes(), {258: 8, 274: 6})
keep("turned.tif")
own_tiff("low-bit-first.tif", packed((GREY > 99).astype(int), 1).translate(bytes(int(f"{i:08b}"[::-1], 2) for i in range(256))), {258: 1, 266: 2})
keep("low-bit-first.tif")

# GIF: first frames.
pillow("plain.gif", rgb.quantize(60))
pillow("grey.gif", grey)
pillow("animated.gif", rgb.quantize(30), save_all=True, append_images=[grey.convert("RGB").quantize(9)], duration=50)
pillow("interlaced.gif", rgb.quantize(60), interlace=1)
transparent = rgb.quantize(20)
pillow("transparent.gif", transparent, transparency=transparent.getpixel((6, 5)))


def small_frame(name, transparent):
    """A frame that does not fill its screen."""
    out = io.BytesIO()
    rgb.crop((0, 0, 9, 7)).quantize(16).save(out, "GIF")
    data = bytearray(out.getvalue())
    data[6:10] = struct.pack("<HH", WIDTH, HEIGHT)
    place = data.index(b"\x2c\0\0\0\0", 13)
    data[place + 1 : place + 5] = struct.pack("<HH", 5, 3)
    if transparent is not None:
        data[place:place] = bytes([0x21, 0xF9, 4, 1, 0, 0, transparent, 0])
    (HERE / name).write_bytes(data)
    keep(name)


small_frame("small-frame.gif", None)
small_frame("small-frame-transparent.gif", 3)

# WebP: animation, and an orientation behind `Exif\\0\\0` and without it.
pillow("animated.webp", rgb, save_all=True, append_images=[grey.convert("RGB")], lossless=True)
exif = Image.Exif()
exif[274] = 6
pillow("turned.webp", rgb, lossless=True, exif=exif)
data = (HERE / "turned.webp").read_bytes()
place = data.index(b"EXIF")
length = struct.unpack("<I", data[place + 4 : place + 8])[0]
chunk = data[place + 8 : place + 8 + length]
chunk = chunk.removeprefix(b"Exif\0\0")
for name, chunk in [("turned-with-header.webp", b"Exif\0\0" + chunk), ("turned-without-header.webp", chunk)]:
    changed = data[:place] + b"EXIF" + struct.pack("<I", len(chunk)) + chunk + b"\0" * (len(chunk) % 2)
    (HERE / name).write_bytes(changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:])
    keep(name, expected=numpy.rot90(COLOURS, -1))

# PNG.
pillow("turned.png", rgb, exif=exif)
pillow("grey-transparent.png", grey, transparency=int(GREY[5, 6]))
pillow("palette-2-bit.png", rgb.quantize(4), bits=2)
pillow("interlaced-stays-out.png", rgb)
KINDS.pop()
(HERE / "interlaced-stays-out.png").unlink()
(HERE / "interlaced-stays-out-png.png").unlink()
pillow("grey-1-bit.png", grey.convert("1"))

# BMP.
for name, image in [("1-bit.bmp", grey.convert("1")), ("8-bit.bmp", grey), ("24-bit.bmp", rgb)]:
    pillow(name, image)
pillow("32-bit.bmp", rgba)
header = struct.pack("<2sIHHI", b"BM", 54 + 4 * WIDTH * HEIGHT, 0, 0, 54)
header += struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT, 1, 32, 0, 0, 0, 0, 0, 0)
bgrx = numpy.dstack([COLOURS[..., ::-1], numpy.zeros((HEIGHT, WIDTH), numpy.uint8)])
(HERE / "top-down.bmp").write_bytes(header + bgrx.tobytes())
keep("top-down.bmp")
row = 2 * WIDTH + 2 * WIDTH % 4
header = struct.pack("<2sIHHI", b"BM", 54 + row * HEIGHT, 0, 0, 54)
header += struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 16, 0, 0, 0, 0, 0, 0)
five = COLOURS.astype(int) >> 3
words = (five[..., 0] << 10 | five[..., 1] << 5 | five[..., 2]).astype("<u2")
(HERE / "16-bit.bmp").write_bytes(header + b"".join(r.tobytes().ljust(row, b"\0") for r in words[::-1]))
keep("16-bit.bmp", 1)

# Kinds that the RLE of BMP files knows: runs, literal pixels, ends of lines.
indices = numpy.asarray(rgb.quantize(16))
colours = rgb.quantize(16).getpalette()[:48]
body = b""
for r in indices[::-1]:
    x = 0
    while x < WIDTH:
        run = 1
        while x + run < WIDTH and r[x + run] == r[x] and run < 255:
            run += 1
        if run > 2 or x + 4 > WIDTH:
            body += bytes([run, r[x]])
            x += run
        else:
            body += bytes([0, 3, r[x], r[x + 1], r[x + 2], 0])
            x += 3
    body += b"\0\0"
body += b"\0\1"
table = b"".join(bytes([colours[3 * i + 2], colours[3 * i + 1], colours[3 * i], 0]) for i in range(16))
header = struct.pack("<2sIHHI", b"BM", 54 + 64 + len(body), 0, 0, 54 + 64)
header += struct.pack("<IiiHHIIiiII", 40, WIDTH, HEIGHT, 1, 8, 1, len(body), 0, 0, 16, 0)
(HERE / "rle-8.bmp").write_bytes(header + table + body)
keep("rle-8.bmp", expected=numpy.asarray(rgb.quantize(16).convert("RGB")))

lines = ",\n".join(f"  {json.dumps(kind)}" for kind in KINDS)
(HERE / "kinds.json").write_text(f"[\n{lines}\n]\n")
print(len(KINDS), "files")
