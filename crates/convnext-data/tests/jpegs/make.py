"""Makes the files beside it: JPEG files of many kinds, and the pixels that Pillow and libjpeg make of them.

Run in this folder with Pillow 13.0 and the programs cjpeg, djpeg and jpegtran of libjpeg-turbo 2.1; it writes the
same files again. `manifest.json` says what was made of which file. The photograph is a sample of the crate convnext (CC0).
"""

import io
import json
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

photo = Image.open("../../../convnext/samples/photographs/chelsea.jpg").convert("RGB").crop((100, 60, 291, 203))
small = photo.resize((61, 45), Image.BICUBIC)
manifest = []
# Equal pixels share a file.
known = {}


def run(*command, data):
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def ppm(image):
    file = io.BytesIO()
    image.save(file, "PPM")
    return file.getvalue()


def expect(name, eighths=8):
    """What Pillow reads; of a scaled image, what djpeg writes, for Pillow scales by halves only."""
    if eighths == 8:
        pixels = Image.open(name).convert("RGB")
    else:
        pixels = Image.open(io.BytesIO(run("djpeg", "-dct", "int", "-scale", f"{eighths}/8", data=Path(name).read_bytes())))
    pixels = pixels.convert("RGB")
    key = (pixels.size, pixels.tobytes())
    if key not in known:
        known[key] = f"{Path(name).stem}.png" if eighths == 8 else f"{Path(name).stem}-{eighths}.png"
        pixels.save(known[key], optimize=True)
    file = known[key]
    manifest.append({"file": name, "eighths": eighths, "expected": file})


def made(name, data):
    Path(name).write_bytes(data)
    expect(name)


def cjpeg(name, *options, image=small, quality="85"):
    made(name, run("cjpeg", "-quality", quality, *options, data=ppm(image)))


def scans(name, script, *options):
    Path("scans.txt").write_text(script)
    cjpeg(name, "-scans", "scans.txt", *options)
    Path("scans.txt").unlink()


# Chroma at every grid that programs write, of an image that does not end where blocks do.
for kind, grid in {"444": "1x1", "422": "2x1", "440": "1x2", "420": "2x2", "411": "4x1", "410": "4x2", "441": "1x4"}.items():
    cjpeg(f"grid-{kind}.jpg", "-sample", grid)
    cjpeg(f"progressive-{kind}.jpg", "-sample", grid, "-progressive")
# The two chromas at grids of their own, and a brightness whose blocks need not be 1x1.
cjpeg("grid-mixed.jpg", "-sample", "2x2,2x1,1x2")
cjpeg("grid-finer-chroma.jpg", "-sample", "1x1,2x2,1x2")
cjpeg("grid-whole.jpg", "-sample", "2x1,2x1,2x1")

# A scan for each of the three, and the same in another order, with restarts.
scans("one-by-one-444.jpg", "0;\n1;\n2;\n", "-sample", "1x1")
scans("one-by-one-420.jpg", "0;\n1;\n2;\n", "-sample", "2x2")
scans("one-by-one-422.jpg", "2;\n0;\n1;\n", "-sample", "2x1", "-restart", "3B")

# Two together and one apart.
scans("pairs-444.jpg", "0;\n1 2;\n", "-sample", "1x1")
scans("pairs-420.jpg", "0;\n1 2;\n", "-sample", "2x2")
scans("pairs-422.jpg", "0 1;\n2;\n", "-sample", "2x1", "-restart", "1")
scans("pairs-mixed.jpg", "2;\n0 1;\n", "-sample", "2x2,2x1,1x2")

cjpeg("restarts.jpg", "-sample", "2x2", "-restart", "1")
cjpeg("optimised.jpg", "-sample", "2x2", "-optimize")
cjpeg("arithmetic.jpg", "-sample", "2x2", "-arithmetic")
cjpeg("arithmetic-progressive.jpg", "-sample", "2x2", "-arithmetic", "-progressive")
cjpeg("coarse.jpg", "-sample", "2x2", quality="5")
cjpeg("fine.jpg", "-sample", "2x2", quality="100")
cjpeg("grey.jpg", "-grayscale")
cjpeg("grey-progressive.jpg", "-grayscale", "-progressive")
cjpeg("grey-blocks.jpg", "-grayscale", "-sample", "2x2")
cjpeg("red-green-blue.jpg", "-rgb")

# Sides around those of blocks, where the filter that enlarges chroma has neighbours on one side only.
for width, height in [(1, 1), (2, 1), (3, 2), (4, 5), (8, 8), (9, 15), (16, 16), (17, 31), (33, 3), (1, 40)]:
    cut = photo.crop((20, 30, 20 + width, 30 + height))
    for kind, grid in {"422": "2x1", "440": "1x2", "420": "2x2"}.items():
        cjpeg(f"side-{kind}-{width}x{height}.jpg", "-sample", grid, image=cut)

# Printing colours, as Adobe's programs mark them, as brightness and chroma (the mark says which), and without a mark.
colours = np.asarray(small)
black = 255 - colours.max(axis=2, keepdims=True)
inks = Image.fromarray(np.concatenate([255 - colours, black // 2], axis=2), mode="CMYK")
for name, options in {"": {"subsampling": 0}, "-halved": {"subsampling": 2}, "-progressive": {"progressive": True}}.items():
    file = io.BytesIO()
    inks.save(file, "JPEG", quality=85, **options)
    data = file.getvalue()
    made(f"cmyk{name}.jpg", data)
    mark = data.index(b"\xff\xee")
    length = int.from_bytes(data[mark + 2 : mark + 4], "big")
    made(f"cmyk{name}-unmarked.jpg", data[:mark] + data[mark + 2 + length :])
    kind = data.index(b"Adobe") + 11
    made(f"ycck{name}.jpg", data[:kind] + b"\x02" + data[kind + 1 :])

# Sound files with what libjpeg passes over: bytes after the end, fill bytes and a comment before a segment.
whole = Path("grid-420.jpg").read_bytes()
made("bytes-after.jpg", whole + b"\0\1\2\xff\xd8 and more")
tables = whole.index(b"\xff\xdb")
made("bytes-between.jpg", whole[:tables] + b"\xff\xff\xff\xfe\0\x06true\0\0\0" + whole[tables:])

# At some eighths of the size.
for name in ["grid-444", "grid-422", "grid-440", "grid-420", "grid-411", "progressive-420", "grey", "restarts", "one-by-one-420"]:
    for eighths in [1, 2, 3, 4]:
        expect(f"{name}.jpg", eighths)

with open("manifest.json", "w") as file:
    json.dump(manifest, file, indent=1)
    file.write("\n")
