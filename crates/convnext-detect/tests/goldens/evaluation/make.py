"""Makes the reference file of COCO's measures, evaluation.json, by pycocotools 2.0.11. Run it in this folder.

200 sets of images with objects and detections are drawn by a generator of whole numbers, which
`src/evaluation/tests.rs` repeats in Rust. The file holds the twelve numbers of each set by boxes and by masks, and the
average precision of each class for the first sets. Coordinates are quarters of a pixel, so that both ways to say a box
have the same areas.
"""

import contextlib
import io
import json

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SETS = 200
WITH_CLASSES = 30
SIZE = 160


class Numbers:
    """A linear congruential generator (Knuth's MMIX), of which the upper bits are taken."""

    def __init__(self, state):
        self.state = state

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


def box(numbers):
    """Left, top, width and height."""
    sides = []
    for _ in range(2):
        kind = numbers.below(6)
        sides.append([8.0, 32.0, 96.0][kind] if kind < 3 else (1 + numbers.below(400)) / 4)
    if numbers.below(3) == 0:
        sides[1] = sides[0]
    return [numbers.below(100) / 4, numbers.below(100) / 4, *sides]


def rle(kind, sides):
    """The pixels of a rectangle or of the diamond in it."""
    x, y, w, h = sides
    if kind == 0:
        ring = [x, y, x + w, y, x + w, y + h, x, y + h]
    else:
        ring = [x + w / 2, y, x + w, y + h / 2, x + w / 2, y + h, x, y + h / 2]
    return coco_mask.frPyObjects([ring], SIZE, SIZE)[0]


def jittered(numbers, sides):
    """A box near another one, or half of it, of which an overlap of exactly one half is left."""
    x, y, w, h = sides
    kind = numbers.below(5)
    if kind == 0:
        return [x, y, w / 2, h]
    if kind == 1:
        return [x, y, w, h]
    moved = [(numbers.below(33) - 16) / 4 for _ in range(2)]
    grown = [numbers.below(17) / 4 for _ in range(2)]
    return [x + moved[0], y + moved[1], w + grown[0], h + grown[1]]


def make_set(number):
    numbers = Numbers(1000 + number)
    classes = 1 + numbers.below(4)
    images = 1 + numbers.below(6)
    objects, detections = [], []
    # Of some sets the last class is never an object.
    object_classes = classes - 1 if classes > 1 and numbers.below(3) == 0 else classes
    for image in range(images):
        of_image = []
        for _ in range(numbers.below(8)):
            sides = box(numbers)
            kind = numbers.below(2)
            one = dict(class_=numbers.below(object_classes), sides=sides, kind=kind)
            one["crowd"] = int(numbers.below(7) == 0)
            # The area of an annotation is its own.
            one["area"] = sides[2] * sides[3] + [0, 0, 1, -1][numbers.below(4)]
            of_image.append(one)
        found = 0 if number % 20 == 7 else 130 if number % 20 == 3 and image == 0 else numbers.below(14)
        for _ in range(found):
            near = of_image[numbers.below(len(of_image))] if of_image and numbers.below(5) > 0 else None
            sides = jittered(numbers, near["sides"]) if near else box(numbers)
            class_ = near["class_"] if near and numbers.below(6) > 0 else numbers.below(classes)
            kind = near["kind"] if near and numbers.below(4) > 0 else numbers.below(2)
            score = numbers.below(11) / 10 if number % 2 == 0 else numbers.below(1000) / 1000
            if number % 20 == 3 and image == 0:
                class_ = 0
            detections.append(dict(image=image, class_=class_, sides=sides, kind=kind, score=score))
        objects += [dict(one, image=image) for one in of_image]
    return classes, images, objects, detections


def evaluate(kind, classes, images, objects, detections):
    truth, found = COCO(), COCO()
    pictures = [dict(id=image + 1, height=SIZE, width=SIZE) for image in range(images)]
    categories = [dict(id=class_ + 1, name=str(class_)) for class_ in range(classes)]
    annotations = [
        dict(
            id=number + 1,
            image_id=one["image"] + 1,
            category_id=one["class_"] + 1,
            bbox=one["sides"],
            area=one["area"],
            iscrowd=one["crowd"],
            segmentation=rle(one["kind"], one["sides"]),
        )
        for number, one in enumerate(objects)
    ]
    truth.dataset = dict(images=pictures, categories=categories, annotations=annotations)
    truth.createIndex()
    results = []
    for one in detections:
        result = dict(image_id=one["image"] + 1, category_id=one["class_"] + 1, score=one["score"])
        # A result with a box would have the area of the box.
        result |= dict(bbox=one["sides"]) if kind == "bbox" else dict(segmentation=rle(one["kind"], one["sides"]))
        results.append(result)
    if results:
        found = truth.loadRes(results)
    else:
        found.dataset = dict(images=pictures, categories=categories, annotations=[])
        found.createIndex()
    evaluation = COCOeval(truth, found, kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    precision = evaluation.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))
    return [[float(f"{value:.12g}") for value in values] for values in (evaluation.stats, precision)]


sets = []
for number in range(SETS):
    one = make_set(number)
    with contextlib.redirect_stdout(io.StringIO()):
        (boxes, of_boxes), (masks, of_masks) = [evaluate(kind, *one) for kind in ("bbox", "segm")]
    golden = {"box": boxes, "mask": masks}
    if number < WITH_CLASSES:
        golden |= {"box_classes": of_boxes, "mask_classes": of_masks}
    sets.append(golden)
open("evaluation.json", "w").write("[\n" + ",\n".join(json.dumps(one) for one in sets) + "\n]\n")
