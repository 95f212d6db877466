"""Makes the reference file of shapes, shapes.json, by pycocotools 2.0.11. Run it in this folder.

5,000 pairs of shapes in images of the same size are drawn by a generator of whole numbers, which `tests/shapes.rs`
repeats in Rust. Of each pair there is one line of text: both strings of run lengths, areas and boxes, and the bits of
their overlaps. The file holds the first lines and a checksum over all of them.
"""

import json
import struct

import numpy as np
from pycocotools import mask as coco

PAIRS = 5000
SHOWN = 150


class Numbers:
    """A linear congruential generator (Knuth's MMIX), of which the upper bits are taken."""

    def __init__(self, state):
        self.state = state

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


def corner(numbers, kind, height, width):
    """x and y of a corner."""
    if kind == 1:  # Beyond the image.
        return [(numbers.below(100 * (side + 80)) - 4000) / 100 for side in (width, height)]
    if kind == 2:  # Tenths, where rounding decides.
        return [numbers.below(10 * side + 1) / 10 for side in (width, height)]
    if kind == 3:  # Few places, so that corners repeat and edges lie on each other; some beyond the image.
        return [(numbers.below(4) * side - side // 2) / 2 for side in (width, height)]
    if kind == 4:  # Tiny.
        return [side / 2 + numbers.below(300) / 100 for side in (width, height)]
    if kind == 5:  # Far away.
        return [(numbers.below(4000) - 2000) / 100 * side for side in (width, height)]
    return [numbers.below(100 * side + 1) / 100 for side in (width, height)]


def ring(numbers, kind, height, width):
    corners = 3 + numbers.below(30 if kind == 7 else 7)
    return [x for _ in range(corners) for x in corner(numbers, kind, height, width)]


def bitmap(numbers, height, width):
    """Noise of a density in a rectangle, which may be the whole image."""
    density = [3, 50, 97, 100][numbers.below(4)]
    top, left = numbers.below(height), numbers.below(width)
    bottom, right = top + 1 + numbers.below(height - top), left + 1 + numbers.below(width - left)
    pixels = np.zeros((height, width), np.uint8)
    for y in range(top, bottom):
        for x in range(left, right):
            pixels[y, x] = numbers.below(100) < density
    return pixels


def shape(numbers, height, width):
    kind = numbers.below(9)
    if kind == 8:
        return coco.encode(np.asfortranarray(bitmap(numbers, height, width)))
    rings = [ring(numbers, kind, height, width) for _ in range(2 + numbers.below(3) if kind == 6 else 1)]
    return coco.merge(coco.frPyObjects(rings, height, width))


def bits(value):
    return struct.pack(">d", value).hex()


def line(numbers):
    most = [12, 40, 40, 400][numbers.below(4)]
    height, width = 1 + numbers.below(most), 1 + numbers.below(most)
    if most == 400 and numbers.below(2) == 0:
        width = 1 + numbers.below(30)
    pair = [shape(numbers, height, width) for _ in range(2)]
    parts = [f"{height} {width}"]
    for one in pair:
        box = " ".join(str(int(side)) for side in coco.toBbox(one))
        parts.append(f"{one['counts'].decode()} {coco.area(one)} {box}")
    parts += [bits(coco.iou(pair[:1], pair[1:], [crowd])[0, 0]) for crowd in (0, 1)]
    return " | ".join(parts)


def checksum(text):
    """FNV-1a of 64 bits."""
    found = 0xCBF29CE484222325
    for byte in text.encode():
        found = (found ^ byte) * 0x100000001B3 % 2**64
    return f"{found:016x}"


numbers = Numbers(24)
lines = [line(numbers) for _ in range(PAIRS)]
golden = {"pairs": PAIRS, "checksum": checksum("\n".join(lines)), "lines": lines[:SHOWN]}
json.dump(golden, open("shapes.json", "w"), indent=0)
