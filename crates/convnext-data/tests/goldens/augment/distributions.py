"""Makes `distributions.json` and `levels.json`: what timm and torchvision draw.

Run in this folder with timm 1.0, torchvision 0.29 and Pillow 13.0; it takes about a minute and writes the same
files again. `distributions.json` holds of many quantities the count, the mean, the standard deviation, and that of
the squared distance from the mean; `levels.json` the arguments of RandAugment's operations at some levels, with both signs.
"""

import json
import math
import random

import numpy as np
import torch
from PIL import Image
from timm.data import auto_augment, mixup
from timm.data.random_erasing import RandomErasing
from timm.data.transforms import RandomResizedCropAndInterpolation
from torchvision.transforms import ColorJitter

random.seed(1)
np.random.seed(2)
torch.manual_seed(3)

distributions = {}


class Quantities:
    """Collects values by name."""

    def __init__(self, name):
        self.values = {}
        distributions[name] = self.values

    def add(self, name, value):
        self.values.setdefault(name, []).append(float(value))


def spot(start, free):
    return start / free if free > 0 else 0.5


# Random resized crops, the area and the ratio included where nothing fits.
crop = RandomResizedCropAndInterpolation(224, scale=(0.08, 1.0), ratio=(3 / 4, 4 / 3), interpolation="bicubic")
for width, height in [(500, 375), (40, 31), (200, 30)]:
    quantities = Quantities(f"crop {width}x{height}")
    image = Image.new("RGB", (width, height))
    for _ in range(200_000):
        top, left, h, w = crop.get_params(image, crop.scale, crop.ratio)
        quantities.add("area", h * w / (height * width))
        quantities.add("log ratio", math.log(w / h))
        quantities.add("top", spot(top, height - h))
        quantities.add("left", spot(left, width - w))


class Recorder:
    """Stands for an image and keeps the slice that erasing writes to."""

    rectangle = None

    def __setitem__(self, where, _):
        self.rectangle = where[1:]


for height, width in [(224, 224), (32, 32), (20, 50)]:
    quantities = Quantities(f"erasing {height}x{width}")
    erasing = RandomErasing(1.0, mode="const", device="cpu")
    for _ in range(200_000):
        image = Recorder()
        erasing._erase(image, 3, height, width, torch.float32)
        quantities.add("fits", image.rectangle is not None)
        if image.rectangle is None:
            continue
        rows, columns = image.rectangle
        h, w = rows.stop - rows.start, columns.stop - columns.start
        quantities.add("area", h * w / (height * width))
        quantities.add("log ratio", math.log(h / w))
        quantities.add("top", rows.start / (height - h))
        quantities.add("left", columns.start / (width - w))

# RandAugment: which operations are carried out on an image, and their arguments.
settings = {"translate_const": 100, "img_mean": (124, 116, 104), "interpolation": Image.Resampling.BICUBIC}
rand_augment = auto_augment.rand_augment_transform("rand-m9-mstd0.5-inc1", settings)
NAMES = [op.name.removesuffix("Increasing").removesuffix("Rel") for op in rand_augment.ops]
# What an argument is at level 1.
SCALES = {"Rotate": 3.0, "ShearX": 0.03, "ShearY": 0.03, "TranslateX": 0.045, "TranslateY": 0.045}
FACTORS = ["Color", "Contrast", "Brightness", "Sharpness"]
quantities = Quantities("rand_augment")
done = []
for op, name in zip(rand_augment.ops, NAMES):
    op.aug_fn = lambda image, *arguments, name=name, **_: done.append((name, arguments))
for _ in range(200_000):
    done.clear()
    rand_augment(None)
    quantities.add("carried out", len(done))
    for name in NAMES:
        quantities.add(name, sum(name == other for other, _ in done))
    for name, arguments in done:
        for argument in arguments:
            quantities.add(f"{name} argument", argument)
            if name in SCALES:
                quantities.add("level", abs(argument) / SCALES[name])
                quantities.add("positive", argument > 0)
            if name in FACTORS:
                quantities.add("positive", argument > 1)

levels = []
draw = random.random
for op, name in zip(rand_augment.ops, NAMES):
    for level in [0.0, 0.1, 1.0, 2.5, 3.3, 5.0, 7.5, 7.7, 8.5, 9.0, 9.5, 9.99, 10.0]:
        for sign in [1, -1]:
            random.random = lambda: 0.0 if sign == 1 else 0.9
            arguments = op.level_fn(level, op.hparams) if op.level_fn else ()
            levels.append([name, level, sign, arguments[0] if arguments else None])
random.random = draw

# Colour jitter: factors, and at which position of three each property is changed.
quantities = Quantities("color_jitter")
jitter = ColorJitter(0.4, 0.2, 1.5)
PROPERTIES = ["brightness", "contrast", "saturation"]
for _ in range(60_000):
    order, *factors, _ = jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, None)
    order = [int(index) for index in order if index < 3]
    for index, (name, factor) in enumerate(zip(PROPERTIES, factors)):
        quantities.add(f"{name} factor", factor)
        for position in range(3):
            quantities.add(f"{name} at {position}", order.index(index) == position)


def rand_bbox(shape, lam, margin=0.0, count=None):
    """The box of timm 0.3.2; since then odd boxes are a pixel larger."""
    ratio = np.sqrt(1 - lam)
    height, width = shape[-2:]
    cut_h, cut_w = int(height * ratio), int(width * ratio)
    y, x = np.random.randint(0, height), np.random.randint(0, width)
    return (
        np.clip(y - cut_h // 2, 0, height),
        np.clip(y + cut_h // 2, 0, height),
        np.clip(x - cut_w // 2, 0, width),
        np.clip(x + cut_w // 2, 0, width),
    )


mixup.rand_bbox = rand_bbox
for mixup_alpha, cutmix_alpha, prob, switch_prob, height, width in [
    (0.8, 1.0, 0.7, 0.5, 224, 224),
    (0.3, 0.3, 1.0, 0.2, 32, 20),
    (0.5, 0.0, 1.0, 0.5, 8, 8),
    (0.0, 0.5, 1.0, 0.5, 8, 8),
]:
    quantities = Quantities(f"mixing {mixup_alpha} {cutmix_alpha} {prob} {switch_prob} {height}x{width}")
    mixing = mixup.Mixup(mixup_alpha, cutmix_alpha, None, prob, switch_prob)
    for _ in range(200_000):
        weight, cut = mixing._params_per_batch()
        mixed = weight != 1.0
        quantities.add("mixed", mixed)
        if not mixed:
            continue
        quantities.add("cut", cut)
        if not cut:
            quantities.add("mixup weight", weight)
            continue
        (top, bottom, left, right), weight = mixup.cutmix_bbox_and_lam((height, width), weight)
        quantities.add("cutmix weight", weight)
        quantities.add("box height", bottom - top)
        quantities.add("box width", right - left)
        quantities.add("box top", top)
        quantities.add("box left", left)


def summary(values):
    values = np.array(values)
    mean = values.mean()
    numbers = [mean, values.std(), ((values - mean) ** 2).std()]
    return [len(values)] + [float(f"{number:.9g}") for number in numbers]


lines = [
    json.dumps(name) + ": {\n" + ",\n".join(f"  {json.dumps(key)}: {json.dumps(summary(values))}"
    for key, values in quantities.items()) + "\n}"
    for name, quantities in distributions.items()
]
with open("distributions.json", "w") as file:
    file.write("{\n" + ",\n".join(lines) + "\n}\n")
with open("levels.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(row) for row in levels) + "\n]\n")
