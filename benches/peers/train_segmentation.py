"""A training of transformers' UperNet on ConvNeXt V2 Atto in PyTorch, from scratch, by the recipe of ours.

    python -m venv peers && peers/bin/pip install torch transformers pillow numpy
    peers/bin/python benches/peers/train_segmentation.py --data CAMVID-HALF --steps 1200 --batch-size 8 --lr 1e-3

CAMVID-HALF holds images/PART/*.png and annotations/PART/*.png (PART is train or val), masks of 11 classes in which 11
is ignored. The counterpart is `convnext finetune --task segment --model atto --init none --ignore-index 11
--image-size 128`. transformers has the network and the loss; dropout in front of the classifiers, initial values,
augmentation, schedule and mIoU are written here after mmsegmentation. Prints a line of JSON for each epoch: its number
from 0, mean loss and seconds, and after every third epoch and the last step mIoU of the validation images.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from training import optimizer_of, run, take_step, train_epochs
from transformers import ConvNextV2Config, UperNetConfig, UperNetForSemanticSegmentation

CLASSES = IGNORED = 11
DEPTHS, WIDTHS = [2, 2, 6, 2], [40, 80, 160, 320]
HEAD_WIDTH, AUXILIARY_WIDTH = 128, 256
HEAD_DROPOUT = 0.1
CROP = 128
RESIZE_RATIO = (0.5, 2.0)
CAT_MAX_RATIO, TRIES = 0.75, 10
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def initialise(model):
    """Weights of the backbone as in the paper, of the heads as in mmsegmentation; biases are 0, norms the identity."""
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.Linear)):
            continue
        if name.endswith("classifier"):
            nn.init.normal_(module.weight, std=0.01)
        elif name.startswith("backbone."):
            nn.init.normal_(module.weight, std=0.02)
        else:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def network():
    backbone = ConvNextV2Config(
        depths=DEPTHS, hidden_sizes=WIDTHS, out_features=["stage1", "stage2", "stage3", "stage4"], drop_path_rate=0.0
    )
    model = UperNetForSemanticSegmentation(
        UperNetConfig(
            backbone_config=backbone,
            hidden_size=HEAD_WIDTH,
            auxiliary_channels=AUXILIARY_WIDTH,
            auxiliary_loss_weight=0.4,
            num_labels=CLASSES,
            loss_ignore_index=IGNORED,
        )
    )
    initialise(model)
    for head in (model.decode_head, model.auxiliary_head):
        head.classifier = nn.Sequential(nn.Dropout2d(HEAD_DROPOUT), head.classifier)
    return model


def samples(data, part):
    """Image `[height, width, 3]` and label map `[height, width]` of every file, in the order of their names."""
    paths = sorted((data / "images" / part).glob("*.png"))
    masks = [data / "annotations" / part / path.name for path in paths]
    return [(np.array(Image.open(path).convert("RGB")), np.array(Image.open(mask))) for path, mask in zip(paths, masks)]


def levels(values):
    """8 bit, rounded down."""
    return np.clip(values, 0, 255).astype(np.uint8)


def resized(image, labels, ratio):
    """Both at another size, as OpenCV does it: bilinear without antialiasing, and the nearest labels."""
    size = [max(int(side * ratio + 0.5), 1) for side in labels.shape]
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    pixels = F.interpolate(pixels, size=size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0)
    along = lambda new, old: np.minimum((np.arange(new) * (1 / (new / old))).astype(int), old - 1)
    return levels(pixels.numpy() + 0.5), labels[np.ix_(*map(along, size, labels.shape))]


def part_of(size, rng):
    """Rows and columns of a random crop."""
    sides = [min(side, CROP) for side in size]
    starts = [int(rng.integers(whole - side + 1)) for whole, side in zip(size, sides)]
    return tuple(slice(start, start + side) for start, side in zip(starts, sides))


def is_varied(labels):
    """There is more than one class, and none has too large a share of the labelled pixels."""
    counts = np.bincount(labels.ravel(), minlength=CLASSES + 1)[:CLASSES]
    return counts.max() < CAT_MAX_RATIO * counts.sum()


def to_hsv(image):
    """Hue of 180 steps, saturation and value of 255, by OpenCV's tables of 12 fractional bits."""
    red, green, blue = np.moveaxis(image.astype(np.float64), -1, 0)
    value = image.max(-1).astype(np.float64)
    spread = value - image.min(-1)
    of_red, of_green, of_blue = green - blue, blue - red + 2 * spread, red - green + 4 * spread
    sector = np.where(value == red, of_red, np.where(value == green, of_green, of_blue))
    hue, saturation = (
        np.floor(number * np.round(4096 * scale / np.maximum(divisor, 1)) / 4096 + 0.5)
        for number, scale, divisor in [(sector, 30, spread), (spread, 255, value)]
    )
    return hue % 180, saturation, value


def to_rgb(hue, saturation, value):
    places = [(offset + hue / 30) % 6 for offset in (5, 3, 1)]
    shares = [np.clip(np.minimum(place, 4 - place), 0, 1) for place in places]
    return levels(np.stack([value * (1 - saturation / 255 * share) for share in shares], -1))


def distorted(image, rng):
    """mmsegmentation's `PhotoMetricDistortion`."""
    is_drawn = lambda: rng.random() < 0.5
    if is_drawn():
        image = levels(image + rng.uniform(-32, 32))
    contrast_is_second = is_drawn()
    if contrast_is_second and is_drawn():
        image = levels(image * rng.uniform(0.5, 1.5))
    if is_drawn():
        hue, saturation, value = to_hsv(image)
        image = to_rgb(hue, levels(saturation * rng.uniform(0.5, 1.5)), value)
    if is_drawn():
        hue, saturation, value = to_hsv(image)
        image = to_rgb((hue + rng.integers(-18, 18)) % 180, saturation, value)
    if not contrast_is_second and is_drawn():
        image = levels(image * rng.uniform(0.5, 1.5))
    return image


def normalised(image):
    return (image.astype(np.float32) / 255 - MEAN) / STD


def augmented(image, labels, rng):
    """The values `[CROP, CROP, 3]` and labels `[CROP, CROP]` that one look at an image gives."""
    image, labels = resized(image, labels, rng.uniform(*RESIZE_RATIO))
    part = part_of(labels.shape, rng)
    for _ in range(TRIES):
        if is_varied(labels[part]):
            break
        part = part_of(labels.shape, rng)
    image, labels = image[part], labels[part]
    if rng.random() < 0.5:
        image, labels = image[:, ::-1], labels[:, ::-1]
    below, right = (CROP - side for side in labels.shape)
    values = np.pad(normalised(distorted(image, rng)), [(0, below), (0, right), (0, 0)])
    return values, np.pad(labels, [(0, below), (0, right)], constant_values=IGNORED)


def batch_of(chosen, rng):
    values, labels = zip(*(augmented(image, labels, rng) for image, labels in chosen))
    images = torch.from_numpy(np.stack(values)).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(np.stack(labels)).long()


@torch.inference_mode()
def mean_iou(model, validation):
    """mIoU of whole images of their own size; classes that are in no label and in no prediction do not count."""
    model.eval()
    counts = np.zeros((CLASSES, CLASSES))
    for image, labels in validation:
        values = torch.from_numpy(normalised(image)).permute(2, 0, 1)[None].contiguous()
        predicted = model(values).logits[0].argmax(0).numpy()
        labelled = labels != IGNORED
        np.add.at(counts, (labels[labelled], predicted[labelled]), 1)
    right = counts.diagonal()
    union = counts.sum(0) + counts.sum(1) - right
    return (right[union > 0] / union[union > 0]).mean()


def train(arguments):
    rng = np.random.default_rng(arguments.seed)
    training, validation = (samples(arguments.data, part) for part in ("train", "val"))
    model = network()
    optimizer = optimizer_of(model)

    def step(chosen, rate):
        model.train()
        images, labels = batch_of(chosen, rng)
        return take_step(optimizer, rate, lambda: model(images, labels=labels).loss)

    train_epochs(training, rng, arguments, step, lambda: {"miou": round(mean_iou(model, validation), 5)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    run(parser, train, steps=1200, batch_size=8)


if __name__ == "__main__":
    main()
