"""Makes `sizes.json` and `sizes-*.png` beside it: images that become other shapes than squares.

Run in this folder after `make.py` with Pillow 13.0, timm 1.0.31 and numpy; it writes the same files again. Centre crops and
warps are timm's evaluation transform for a rectangle. Fitting is mmdet's: the size is that of mmcv's `rescale_size`, the
padding that of its data preprocessor; the pixels are Pillow's.
"""

import json

import numpy as np
from PIL import Image
from timm.data.transforms_factory import transforms_imagenet_eval

cases = []


def case(file, source, geometry, padded):
    cases.append({"file": file, "source": source, "geometry": geometry, "padded": padded})


def save(image, source, geometry, padded):
    file = f"sizes-{len(cases)}.png"
    image.save(file, optimize=True)
    case(file, source, geometry, padded)


def rescale_size(width, height, long, short):
    """mmcv/image/geometric.py, `rescale_size` with a pair as scale."""
    scale = min(long / max(height, width), short / min(height, width))
    return int(width * float(scale) + 0.5), int(height * float(scale) + 0.5)


def padded(image, pad):
    """`stack_batch` of mmdet's `DetDataPreprocessor` for a batch of one image."""
    return [int(np.ceil(side / pad)) * pad for side in (image.height, image.width)]


for source in ["photo.png", "portrait.png", "tall.png"]:
    image = Image.open(source).convert("RGB")
    for size, crop in [((32, 48), 0.875), ((48, 32), 0.875), ((30, 47), 0.9), ((21, 64), 1.0), ((64, 21), 1.0)]:
        transform = transforms_imagenet_eval(size, crop, "center", interpolation="bicubic", normalize=False)
        pixels = transform(image).permute(1, 2, 0).numpy()
        save(Image.fromarray(pixels), source, {"image_size": size, "crop": crop}, size)
    for size in [(32, 48), (48, 32)]:
        transform = transforms_imagenet_eval(size, 1.0, "squash", interpolation="bicubic", normalize=False)
        pixels = transform(image).permute(1, 2, 0).numpy()
        save(Image.fromarray(pixels), source, {"image_size": size, "crop": None}, size)
    for long, short, pad in [(133, 80, 32), (60, 47, 8), (64, 64, 1)]:
        fitted = image.resize(rescale_size(*image.size, long, short), Image.BICUBIC)
        save(fitted, source, {"fit": {"long": long, "short": short, "pad": pad}}, padded(fitted, pad))
    case(source, source, {"none": {"pad": 32}}, padded(image, 32))

with open("sizes.json", "w") as file:
    json.dump(cases, file, indent=1)
    file.write("\n")
