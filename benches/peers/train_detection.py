"""A training of torchvision's Mask R-CNN on timm's ConvNeXt V2 Atto in PyTorch, from scratch, with the recipe of ours.

    python -m venv peers && peers/bin/pip install torch torchvision timm pycocotools
    peers/bin/python benches/peers/train_detection.py --data NUCLEI --steps 750 --batch-size 4 --lr 1e-3

NUCLEI holds PART/*.png and annotations/instances_PART.json (PART is train or val) of one class. The counterpart is
`convnext finetune --task detect --model atto --init none --image-size 256`. torchvision has the network and the losses,
which are not mmdetection's in all things (smooth L1, RoIAlign without half a pixel's shift); augmentation and schedule are
written here. Prints a line of JSON for each epoch: its number from 0, mean loss and seconds, and after every third epoch
and the last step AP of boxes and masks on the validation images by pycocotools.
"""

import argparse
import contextlib
import io
from pathlib import Path

import numpy as np
import torch
from detect import network
from PIL import Image
from pycocotools import mask as run_lengths
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch.nn import functional as F
from training import optimizer_of, run, take_step, train_epochs

JITTER = (0.5, 2.0)
CLIP_NORM = 10.0


def annotations(data, part):
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(data / "annotations" / f"instances_{part}.json")


def samples(data, part):
    """Of each image its number, `[3, height, width]` of 8 bit and the masks of its objects, `[objects, height, width]`."""
    coco = annotations(data, part)
    found = []
    for number, image in sorted(coco.imgs.items()):
        pixels = np.array(Image.open(data / part / image["file_name"]).convert("RGB"))
        masks = [coco.annToMask(one) for one in coco.imgToAnns[number]]
        masks = np.stack(masks) if masks else np.zeros((0, *pixels.shape[:2]), np.uint8)
        found.append((number, torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(masks)))
    return found


def augmented(pixels, masks, size, rng):
    """Large-scale jittering, a crop and a mirror image; values in 0 to 1, and torchvision's targets of the objects left."""
    height, width = pixels.shape[1:]
    ratio = rng.uniform(*JITTER) * size / max(height, width)
    sides = [max(int(side * ratio + 0.5), 1) for side in (height, width)]
    image = F.interpolate(pixels[None].float(), size=sides, mode="bilinear", align_corners=False)[0] / 255
    rows, columns = (torch.arange(new) * old // new for new, old in zip(sides, (height, width)))
    masks = masks[:, rows][:, :, columns]
    starts = [int(rng.integers(max(side - size, 0) + 1)) for side in sides]
    part = (slice(None), *(slice(start, start + size) for start in starts))
    image, masks = image[part], masks[part]
    if rng.random() < 0.5:
        image, masks = image.flip(-1), masks.flip(-1)
    below, right = (size - side for side in image.shape[1:])
    image, masks = F.pad(image, (0, right, 0, below)), F.pad(masks, (0, right, 0, below))
    masks = masks[masks.flatten(1).any(1).bool()]
    return image, {"boxes": boxes_of(masks), "labels": torch.ones(len(masks), dtype=torch.long), "masks": masks}


def boxes_of(masks):
    edges = []
    for mask in masks:
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        edges.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return torch.tensor(edges, dtype=torch.float32).reshape(-1, 4)


@torch.inference_mode()
def average_precision(model, validation, coco):
    """AP of boxes and of masks."""
    model.eval()
    results = []
    for number, pixels, _ in validation:
        found = model([pixels / 255])[0]
        masks = (found["masks"][:, 0] > 0.5).numpy().astype(np.uint8)
        for (left, top, right, bottom), score, mask in zip(found["boxes"].tolist(), found["scores"].tolist(), masks):
            encoded = run_lengths.encode(np.asfortranarray(mask))
            encoded["counts"] = encoded["counts"].decode()
            box = [left, top, right - left, bottom - top]
            results.append({"image_id": number, "category_id": 1, "bbox": box, "score": score, "segmentation": encoded})
    if not results:
        return {"box": 0.0, "mask": 0.0}
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = coco.loadRes(results)
        return {kind: precision(coco, loaded, of) for kind, of in (("box", "bbox"), ("mask", "segm"))}


def precision(coco, results, of):
    evaluation = COCOeval(coco, results, of)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return round(float(evaluation.stats[0]), 5)


def train(arguments):
    rng = np.random.default_rng(arguments.seed)
    training, validation = (samples(arguments.data, part) for part in ("train", "val"))
    coco = annotations(arguments.data, "val")
    model = network(arguments)
    optimizer = optimizer_of(model)

    def step(chosen, rate):
        model.train()
        batch = [augmented(pixels, masks, arguments.image_size, rng) for _, pixels, masks in chosen]
        return take_step(optimizer, rate, lambda: sum(model(*map(list, zip(*batch))).values()), CLIP_NORM)

    train_epochs(training, rng, arguments, step, lambda: average_precision(model, validation, coco))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="atto", help="a size of ConvNeXt V2")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--head-width", type=int, default=64)
    parser.add_argument("--box-width", type=int, default=256)
    parser.add_argument("--regions", type=int, default=64)
    run(parser, train, steps=750, batch_size=4)


if __name__ == "__main__":
    main()
