"""Makes `operations.json` and the images beside it: what Pillow makes of a few images.

Run in this folder with Pillow 13.0, timm 1.0 and numpy; it writes the same files again. Each PNG is a column
of images of one size: the source, then the result of each case of `operations.json`, in order.
"""

import json

import numpy as np
from PIL import Image
from timm.data import auto_augment

FILL = {"fillcolor": (124, 116, 104), "resample": Image.Resampling.BICUBIC}


def scene(width, height):
    """Smooth colours, sharp edges and a little noise."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:height, 0:width]
    red = 128 + 120 * np.sin(x / 3.0) * np.cos(y / 5.0)
    green = 255.0 * ((x // 5 + y // 4) % 2)
    blue = 255.0 * x / width
    pixels = np.stack([red, green, blue], axis=2)
    pixels[height // 2 :, : width // 3] += rng.normal(0, 25, (height - height // 2, width // 3, 3))
    return pixels.clip(0, 255).astype(np.uint8)


def narrow(width, height):
    """Noise with few values, one value, and a ramp that leaves out both ends."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([rng.integers(60, 121, x.shape), 0 * x + 77, 30 + 4 * x + 3 * y], axis=2).astype(np.uint8)


def posterize(image, bits):
    # Pillow 13 refuses 0 bits, which earlier versions turned into black, as this mask does.
    return image.point([i & ~(2 ** (8 - bits) - 1) for i in range(256)] * 3)


OPERATIONS = {
    "auto-contrast": (auto_augment.auto_contrast, [None]),
    "equalize": (auto_augment.equalize, [None]),
    "invert": (auto_augment.invert, [None]),
    "rotate": (auto_augment.rotate, [27.0, -26.3, 3.1, 0.0, 90.0, 180.0, -141.7]),
    "posterize": (auto_augment.posterize, [1, 2, 4, 8]),
    "black": (posterize, [0]),
    "solarize": (auto_augment.solarize, [0, 26, 128, 256]),
    "solarize-add": (auto_augment.solarize_add, [0, 99, 110]),
    "color": (auto_augment.color, [0.0, 0.1, 0.19, 1.0, 1.81, 1.9]),
    "contrast": (auto_augment.contrast, [0.0, 0.1, 0.19, 1.0, 1.81, 1.9]),
    "brightness": (auto_augment.brightness, [0.0, 0.1, 0.19, 1.0, 1.81, 1.9]),
    "sharpness": (auto_augment.sharpness, [0.0, 0.1, 0.19, 1.0, 1.81, 1.9]),
    "shear-x": (auto_augment.shear_x, [0.27, -0.2541, 0.0]),
    "shear-y": (auto_augment.shear_y, [0.27, -0.2541, 0.0]),
    "translate-x": (auto_augment.translate_x_rel, [0.405, -0.3811, 0.0]),
    "translate-y": (auto_augment.translate_y_rel, [0.405, -0.3811, 0.0]),
}

cases = [[name, argument] for name, (_, arguments) in OPERATIONS.items() for argument in arguments]
files = []
for name, pixels in [
    ("scene", scene(41, 27)),
    ("narrow", narrow(21, 19)),
    ("two", scene(2, 2)),
    ("line", scene(1, 7)),
    ("dot", scene(1, 1)),
]:
    image = Image.fromarray(pixels)
    column = [pixels]
    for operation, argument in cases:
        arguments = [] if argument is None else [argument]
        column.append(np.asarray(OPERATIONS[operation][0](image, *arguments, **FILL) if operation != "black"
                                 else posterize(image, 0)))
    files.append({"file": f"{name}.png", "height": pixels.shape[0]})
    Image.fromarray(np.concatenate(column)).save(f"{name}.png", optimize=True)

with open("operations.json", "w") as file:
    json.dump({"files": files, "cases": cases}, file, indent=1)
    file.write("\n")
