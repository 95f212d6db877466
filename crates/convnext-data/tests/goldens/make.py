"""Makes the files beside it: image files of many kinds, and what Pillow and torchvision make of them.

Run in this folder with Pillow 13.0, torchvision 0.29 and numpy; it writes the same files again.
`manifest.json` says which file was made how.
"""

import json
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps
from torchvision import transforms

rng = np.random.default_rng(7)


def scene(width, height):
    """Smooth colours, sharp edges and a little noise."""
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 120 * np.sin(x / 7.0) * np.cos(y / 11.0)
    green = 255.0 * ((x // 9 + y // 6) % 2)
    blue = 255.0 * x / width
    pixels = np.stack([red, green, blue], axis=2)
    pixels[height // 2 :, : width // 3] += rng.normal(0, 25, (height - height // 2, width // 3, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def save(image, name):
    image.save(name, optimize=True)
    return name


manifest = {"resize": [], "evaluation": [], "decode": []}

# Resizing: a source, a region, a size.
photo = scene(97, 61)
save(photo, "photo.png")
whole = (0, 0, 97, 61)
for number, (size, box) in enumerate(
    [
        ((32, 32), whole),
        ((50, 31), whole),
        ((97, 30), whole),
        ((31, 61), whole),
        ((7, 5), whole),
        ((1, 1), whole),
        ((113, 70), whole),
        ((33, 27), (10.3, 4.7, 70.5, 46.6)),
        ((24, 24), (30, 11, 71, 52)),
        ((40, 40), (80, 40, 97, 61)),
        ((120, 40), whole),
        ((90, 30), (10.3, 4.7, 70.5, 46.6)),
    ]
):
    file = save(photo.resize(size, Image.BICUBIC, box=box), f"resize-{number}.png")
    manifest["resize"].append({"file": file, "box": box, "size": size})

# Evaluation: resize, centre crop; or warping.
portrait = scene(75, 118)
save(portrait, "portrait.png")
tall = scene(40, 130)
save(tall, "tall.png")
for source, image, sizes in [
    ("photo.png", photo, [(48, 0.875), (31, 0.875), (40, None)]),
    ("portrait.png", portrait, [(48, 0.875), (31, 0.875), (40, None)]),
    ("tall.png", tall, [(24, 0.875), (40, 0.8)]),
]:
    for size, crop in sizes:
        if crop is None:
            steps = [transforms.Resize((size, size), transforms.InterpolationMode.BICUBIC)]
        else:
            short = int(size / crop)
            steps = [transforms.Resize(short, transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(size)]
        file = save(transforms.Compose(steps)(image), f"evaluation-{len(manifest['evaluation'])}.png")
        manifest["evaluation"].append({"file": file, "source": source, "image_size": size, "crop": crop})


# Decoding: a file, what Pillow reads, and how far a decoder may be from it. Equal images share a file.
known = {}


def decode(name, tolerance, expected=None, orientation="honour"):
    expected = expected or ImageOps.exif_transpose(Image.open(name)).convert("RGB")
    key = (expected.size, expected.tobytes())
    if key not in known:
        known[key] = save(expected, f"{name.replace('.', '-')}.{orientation}.png")
    manifest["decode"].append(
        {"file": name, "expected": known[key], "tolerance": tolerance, "orientation": orientation}
    )


def png16(name, pixels, colour_type):
    """Pillow writes no PNG of 16 bit colours."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    with open(name, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header))
        file.write(chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b""))


small = scene(41, 29)
alpha = Image.fromarray(np.tile(np.linspace(0, 255, 41).astype(np.uint8), (29, 1)))

small.save("rgb.jpg", quality=90)
decode("rgb.jpg", 0)
small.save("rgb-444.jpg", quality=90, subsampling=0)
decode("rgb-444.jpg", 0)
small.save("progressive.jpg", quality=90, progressive=True)
decode("progressive.jpg", 0)
small.convert("L").save("gray.jpg", quality=90)
decode("gray.jpg", 0)

ink = np.stack([np.asarray(small)[:, :, 0], np.asarray(small)[:, :, 2], np.asarray(alpha), np.asarray(alpha)[:, ::-1] // 2], axis=2)
cmyk = Image.fromarray(ink, mode="CMYK")
cmyk.save("cmyk.jpg", quality=90, subsampling=0)
decode("cmyk.jpg", 0)
cmyk.save("cmyk.tif", compression="tiff_lzw")
decode("cmyk.tif", 1)

for orientation in range(2, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    small.crop((0, 0, 24, 17)).save(f"exif-{orientation}.jpg", quality=90, subsampling=0, exif=exif)
    decode(f"exif-{orientation}.jpg", 0)
    decode(f"exif-{orientation}.jpg", 0, Image.open(f"exif-{orientation}.jpg"), orientation="ignore")

palette = small.quantize(16)
palette.save("palette.png")
decode("palette.png", 0)
palette.save("palette-transparent.png", transparency=3)
decode("palette-transparent.png", 0)
small.convert("1").save("bilevel.png")
decode("bilevel.png", 0)
small.convert("L").save("gray.png")
decode("gray.png", 0)
Image.merge("LA", [small.convert("L"), alpha]).save("gray-alpha.png")
decode("gray-alpha.png", 0)
rgba = small.copy()
rgba.putalpha(alpha)
rgba.save("rgba.png")
decode("rgba.png", 0)

# 16 bit: our rule, which differs from Pillow's, is rounding value / 257.
y, x = np.mgrid[0:29, 0:41]
deep = (x * 1571 + y * 97).astype(np.uint16)
levels = np.round(deep / 257).astype(np.uint8)
png16("gray16.png", deep, 0)
decode("gray16.png", 0, Image.fromarray(levels).convert("RGB"))
png16("rgb16.png", np.stack([deep, deep[::-1], deep[:, ::-1]], axis=2), 2)
decode("rgb16.png", 0, Image.fromarray(np.stack([levels, levels[::-1], levels[:, ::-1]], axis=2)))

small.save("lossless.webp", lossless=True)
decode("lossless.webp", 0)
small.save("lossy.webp", quality=80)
decode("lossy.webp", 4)
rgba.save("alpha.webp", lossless=True, exact=True)
decode("alpha.webp", 0)
small.save("rgb.bmp")
decode("rgb.bmp", 0)
palette.save("palette.bmp")
decode("palette.bmp", 0)
small.save("rgb.tif", compression="tiff_lzw")
decode("rgb.tif", 0)
small.convert("L").save("gray.tif", compression="tiff_adobe_deflate")
decode("gray.tif", 0)

with open("manifest.json", "w") as file:
    json.dump(manifest, file, indent=1)
    file.write("\n")

# Greyscale: what Pillow makes of colours, alpha left out.
for name in ["photo", "rgba"]:
    save(Image.open(f"{name}.png").convert("L"), f"{name}-grey.png")
