"""Holds exported detectors in ONNX Runtime to `convnext detect`.

    python -m venv peers && peers/bin/pip install numpy onnx onnxruntime pillow pycocotools safetensors
    cargo build --release
    peers/bin/python crates/convnext-detect/tests/check_onnx.py
    peers/bin/python crates/convnext-detect/tests/check_onnx.py --weights runs/nuclei --images nuclei/val

For each case: weights drawn at random go into a weight file; the exported file passes ONNX's checker, shape inference
included, and finds in images of its size the same objects: boxes within 1e-3 pixels, scores within 1e-4, and the same
pixels, but for those whose probability is within 1e-4 of a half. With --weights and --images the same for a trained
detector and photographs, which keep their size. Not part of the tests, which run the parts of the file that a runtime of
Rust knows; run it when what is exported changes. Made with onnx 1.23.2, onnxruntime 1.32.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image
from pycocotools import mask as coco
from safetensors.numpy import save_file

BOX_TOLERANCE, SCORE_TOLERANCE, MASK_TOLERANCE = 1e-3, 1e-4, 1e-4

# Classes, masks, GRN (V2), height and width, score, objects at most.
CASES = [
    (3, True, True, (192, 256), 0.05, 100),
    (3, False, True, (75, 103), 0.05, 100),
    (1, True, False, (97, 38), 0.3, 20),
    (80, True, True, (512, 600), 0.02, 300),
    (2, True, True, (33, 40), 0.05, 100),
    # Nothing is found.
    (80, True, True, (64, 96), 0.999, 100),
]

DEPTHS, WIDTHS = [1, 1, 2, 1], [16, 32, 64, 128]
WIDTH, BOX_WIDTH = 16, 32


def shapes(classes, masks, grn):
    """Name and shape of each tensor; a convolution or linear layer has a bias."""
    layers, other = {}, {}
    for stage, (depth, width) in enumerate(zip(DEPTHS, WIDTHS)):
        before = WIDTHS[stage - 1] if stage else 3
        convolution, norm = (0, 1) if stage == 0 else (1, 0)
        side = 4 if stage == 0 else 2
        layers[f"downsample_layers.{stage}.{convolution}"] = (width, before, side, side)
        layers[f"downsample_layers.{stage}.{norm}"] = (width if stage == 0 else before,)
        layers[f"norm{stage}"] = (width,)
        layers[f"neck.lateral_convs.{stage}.conv"] = (WIDTH, width, 1, 1)
        layers[f"neck.fpn_convs.{stage}.conv"] = (WIDTH, WIDTH, 3, 3)
        for index in range(depth):
            block = f"stages.{stage}.{index}"
            layers[f"{block}.dwconv"] = (width, 1, 7, 7)
            layers[f"{block}.norm"] = (width,)
            layers[f"{block}.pwconv1"] = (4 * width, width)
            layers[f"{block}.pwconv2"] = (width, 4 * width)
            if grn:
                other[f"{block}.grn.gamma"] = other[f"{block}.grn.beta"] = (1, 1, 1, 4 * width)
            else:
                other[f"{block}.gamma"] = (width,)
    layers["rpn_head.rpn_conv"] = (WIDTH, WIDTH, 3, 3)
    layers["rpn_head.rpn_cls"] = (3, WIDTH, 1, 1)
    layers["rpn_head.rpn_reg"] = (12, WIDTH, 1, 1)
    for name, shape in [
        ("shared_fcs.0", (BOX_WIDTH, 49 * WIDTH)),
        ("shared_fcs.1", (BOX_WIDTH, BOX_WIDTH)),
        ("fc_cls", (classes + 1, BOX_WIDTH)),
        ("fc_reg", (4 * classes, BOX_WIDTH)),
    ]:
        layers[f"roi_head.bbox_head.{name}"] = shape
    if masks:
        for index in range(4):
            layers[f"roi_head.mask_head.convs.{index}.conv"] = (WIDTH, WIDTH, 3, 3)
        layers["roi_head.mask_head.upsample"] = (WIDTH, WIDTH, 2, 2)
        layers["roi_head.mask_head.conv_logits"] = (classes, WIDTH, 1, 1)
    return layers, other


def write_weights(path, classes, masks, grn, generator):
    """A detector whose every parameter is of a size at which it matters."""
    layers, other = shapes(classes, masks, grn)
    tensors = {}
    for name, shape in layers.items():
        noise = generator.standard_normal(shape)
        if len(shape) == 1:
            tensors[f"{name}.weight"] = 1 + 0.2 * noise
        else:
            # The logits of classes are far apart, so that some scores are high; boxes move by less than their sides.
            factors = dict(fc_cls=6, rpn_cls=2, rpn_reg=0.5, fc_reg=0.5)
            factor = factors.get(name.split(".")[-1], 1)
            tensors[f"{name}.weight"] = factor * noise / math.sqrt(noise[0].size)
        tensors[f"{name}.bias"] = 0.1 * generator.standard_normal(shape[0])
    tensors |= {name: 0.3 * generator.standard_normal(shape) for name, shape in other.items()}
    backbone = dict(kind="convnext", name="micro", classes=classes, depths=DEPTHS, widths=WIDTHS, grn=grn)
    backbone |= dict(layer_scale=not grn, input_channels=3, stem_stride=4)
    head = dict(head_width=WIDTH, box_width=BOX_WIDTH, masks=masks)
    fit = dict(long=1333, short=800, pad=32)
    metadata = dict(
        backbone=backbone,
        task=dict(kind="detection", classes=[f"class {index}" for index in range(classes)], head=head),
        preprocessing=dict(fit=fit, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225], interpolation="bilinear"),
        recipe="",
    )
    tensors = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in tensors.items()}
    save_file(tensors, path, metadata=dict(convnext=json.dumps(metadata), format="pt"))


def export(program, weights, path, size, score, at_most):
    command = [program, "export", "--weights", weights, "--out", path, "--image-size", f"{size[0]}x{size[1]}"]
    command += ["--nms", "hard", "--score", str(score), "--max", str(at_most)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def find(session, image):
    """By name, what the exported file finds in an image of its size."""
    properties = session.get_modelmeta().custom_metadata_map
    mean, std = (np.array(json.loads(properties[name]), dtype=np.float32) for name in ("mean", "std"))
    pixels = np.asarray(image.convert("RGB"), dtype=np.float32) / 255
    images = ((pixels - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
    names = [output.name for output in session.get_outputs()]
    found = dict(zip(names, session.run(None, {"images": images})))
    assert all(len(values) == len(found["scores"]) for values in found.values()), found
    assert np.all(np.diff(found["scores"]) <= 0), found["scores"]
    return found


def paste(mask, box, size):
    """Probabilities at the middles of the pixels, with zeros around the mask."""
    if box[0] >= box[2] or box[1] >= box[3]:
        return np.zeros(size)
    sides = []
    for low, high, length in [(box[1], box[3], size[0]), (box[0], box[2], size[1])]:
        places = (np.arange(length) + 0.5 - low) / (high - low) * 28 - 0.5
        cells = np.arange(28)
        sides.append(np.maximum(0, 1 - np.abs(places[:, None] - cells)))
    return sides[0] @ mask.astype(np.float64) @ sides[1].T


def compare(found, expected, size):
    """Largest distances of boxes and of scores, and the pixels that differ although they are not near a half."""
    assert len(found["scores"]) == len(expected), (len(found["scores"]), len(expected))
    left, worst_box, worst_score, pixels = set(range(len(expected))), 0.0, 0.0, 0
    for object_ in expected:
        x, y, width, height = object_["bbox"]
        box = np.array([x, y, x + width, y + height])
        near = [at for at in left if found["labels"][at] == object_["category_id"] - 1]
        # Equal scores may stand in another order.
        at = min(near, key=lambda at: np.abs(found["boxes"][at] - box).max() + abs(found["scores"][at] - object_["score"]))
        left.remove(at)
        worst_box = max(worst_box, float(np.abs(found["boxes"][at] - box).max()))
        worst_score = max(worst_score, abs(float(found["scores"][at]) - object_["score"]))
        if "masks" in found:
            segmentation = object_["segmentation"]
            if isinstance(segmentation["counts"], list):
                segmentation = coco.frPyObjects(segmentation, *size)
            sampled = paste(found["masks"][at], box, size)
            differs = coco.decode(segmentation).astype(bool) != (sampled >= 0.5)
            pixels += int(np.sum(differs & (np.abs(sampled - 0.5) > MASK_TOLERANCE)))
    return worst_box, worst_score, pixels


def check(program, weights, images, score, at_most, folder):
    """Compares the files for the sizes of these images, and prints a line."""
    command = [program, "detect", *images, "--weights", weights, "--out", folder / "found", "--resize", "none"]
    command += ["--nms", "hard", "--score", str(score), "--max", str(at_most), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = json.loads((folder / "found" / "results.json").read_text())
    sessions, worst, count, masks = {}, np.zeros(3), 0, False
    for number, path in enumerate(images, start=1):
        image = Image.open(path)
        size = (image.height, image.width)
        if size not in sessions:
            sessions[size] = export(program, weights, folder / "model.onnx", size, score, at_most)
        found = find(sessions[size], image)
        masks |= "masks" in found
        expected = [object_ for object_ in results if object_["image_id"] == number]
        worst = np.maximum(worst, compare(found, expected, size))
        count += len(expected)
    print(f"{len(images)} images, {len(sessions)} sizes, {count} objects: boxes {worst[0]:.1e} px, scores {worst[1]:.1e}"
          + (f", pixels {int(worst[2])}" if masks else ""), flush=True)
    return worst[0] < BOX_TOLERANCE and worst[1] < SCORE_TOLERANCE and worst[2] == 0


def draw_image(size, generator):
    """Coloured rectangles on noise."""
    pixels = generator.integers(0, 80, (*size, 3))
    for _ in range(6):
        top, left = (int(generator.integers(0, side)) for side in size)
        height, width = (int(generator.integers(1, side + 1)) for side in size)
        pixels[top : top + height, left : left + width] += generator.integers(0, 120, 3)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/convnext")
    parser.add_argument("--weights", help="a trained detector in place of the cases")
    parser.add_argument("--images", type=Path, help="a folder of images for it")
    parser.add_argument("--score", type=float, default=0.05)
    arguments = parser.parse_args()
    fits = True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        if arguments.weights:
            images = sorted(path for path in arguments.images.iterdir() if path.suffix in (".png", ".jpg"))
            fits = check(arguments.program, arguments.weights, images, arguments.score, 100, folder)
        else:
            for case, (classes, masks, grn, size, score, at_most) in enumerate(CASES):
                generator = np.random.default_rng(case)
                part = folder / str(case)
                part.mkdir()
                write_weights(part / "weights.safetensors", classes, masks, grn, generator)
                images = [part / f"{number}.png" for number in range(3)]
                for path in images:
                    draw_image(size, generator).save(path)
                print(f"{classes} classes, {size[0]}x{size[1]}, score {score}: ", end="", flush=True)
                fits &= check(arguments.program, part / "weights.safetensors", images, score, at_most, part)
    sys.exit(None if fits else "the files find something else")


if __name__ == "__main__":
    main()
