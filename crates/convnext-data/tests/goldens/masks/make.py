"""Makes the reference files of masks: polygons.json and strings.json by pycocotools, distortions.json and resized.json
by OpenCV. Run it in this folder with numpy, pycocotools 2.0.11 and opencv-python-headless 4.10.

Polygons and strings are those of the COCO API; colours and sizes are what mmsegmentation 1.2.2 has from mmcv, which calls
OpenCV.
"""

import json

import cv2
import numpy as np
from pycocotools import mask as coco

random = np.random.default_rng(0)


def counts(encoded):
    """Run lengths of a mask, outside first, down the columns."""
    pixels = coco.decode(encoded).flatten(order="F")
    changes = np.flatnonzero(np.diff(pixels)) + 1
    ends = np.concatenate([[0], changes, [pixels.size]])
    lengths = np.diff(ends).tolist()
    return lengths if pixels[0] == 0 else [0] + lengths


polygons = []
for case in range(120):
    height, width = (int(side) for side in random.integers(1, 40, 2))
    corners = int(random.integers(3, 9))
    low, high = (-5, 45) if case % 3 == 0 else (0, 40)
    ring = random.uniform(low, high, 2 * corners)
    # Whole and half pixels, where rounding decides.
    ring = np.round(ring) if case % 4 == 0 else np.round(ring * 2) / 2 if case % 4 == 1 else np.round(ring, 2)
    ring = ring.astype(np.float32)
    encoded = coco.frPyObjects([ring.astype(float).tolist()], height, width)[0]
    found = counts(encoded)
    polygons.append({"height": height, "width": width, "ring": [float(x) for x in ring], "counts": found})

# The string of a mask holds lengths that may be 0 in the middle; noise has none, and long ones.
strings = []
for case in range(40):
    height, width = (int(side) for side in random.integers(1, 300, 2))
    pixels = np.asfortranarray(random.uniform(size=(height, width)) < random.choice([0.02, 0.5, 0.99])).astype(np.uint8)
    if height * width > 3000:
        pixels[:] = 0
        pixels[: height // 2, : width // 2] = 1
    encoded = coco.encode(np.asfortranarray(pixels))
    strings.append({"text": encoded["counts"].decode(), "counts": counts(encoded)})

json.dump(polygons, open("polygons.json", "w"), separators=(",", ":"))
json.dump(strings, open("strings.json", "w"), separators=(",", ":"))


def convert(pixels, alpha=1.0, beta=0.0):
    """`PhotoMetricDistortion.convert` of mmsegmentation."""
    return np.clip(pixels.astype(np.float32) * alpha + beta, 0, 255).astype(np.uint8)


# A multiple of every vector: the rest of a row, which OpenCV does one by one, it rounds to the nearest level and not down.
colours = random.integers(0, 256, (1, 640, 3), dtype=np.uint8)
distorted = {"rgb": colours.flatten().tolist(), "changes": []}
bgr = colours[..., ::-1].copy()
for factor in [0.5, 0.77, 1.31, 1.5]:
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
    hsv[..., 1] = convert(hsv[..., 1], alpha=np.float32(factor))
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[..., ::-1]
    distorted["changes"].append({"saturation": factor, "rgb": rgb.flatten().tolist()})
for step in [-18, -7, 5, 17]:
    hsv = cv2.cvtColor(bgr, cv2.COLOR_BGR2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + step) % 180
    rgb = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[..., ::-1]
    distorted["changes"].append({"hue": step, "rgb": rgb.flatten().tolist()})
for alpha, beta in [(1.0, -31.5), (1.0, 20.25), (0.5, 0.0), (1.37, 0.0)]:
    changed = convert(colours, np.float32(alpha), np.float32(beta))
    key = {"contrast": alpha} if beta == 0 else {"brightness": beta}
    distorted["changes"].append({**key, "rgb": changed.flatten().tolist()})
json.dump(distorted, open("distortions.json", "w"), separators=(",", ":"))

resized = []
for height, width, new_height, new_width in [(9, 13, 18, 26), (9, 13, 5, 7), (16, 12, 8, 6), (11, 7, 30, 5), (20, 20, 7, 33)]:
    image = random.integers(0, 256, (height, width), dtype=np.uint8)
    resized.append(
        {
            "size": [height, width],
            "pixels": image.flatten().tolist(),
            "resized": [new_height, new_width],
            "bilinear": cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_LINEAR).flatten().tolist(),
            "nearest": cv2.resize(image, (new_width, new_height), interpolation=cv2.INTER_NEAREST).flatten().tolist(),
        }
    )
json.dump(resized, open("resized.json", "w"), separators=(",", ":"))
