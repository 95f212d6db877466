"""Images a second of torchvision's Mask R-CNN on timm's ConvNeXt V2, of one class: whole training steps, or from an image
to the masks of its objects, in PyTorch, f32.

    python -m venv peers && peers/bin/pip install torch torchvision timm
    peers/bin/python benches/peers/detect.py --mode detect-train --model atto --batch-size 2 --image-size 512 --regions 64
    peers/bin/python benches/peers/detect.py --mode detect-infer --model atto --batch-size 1 --image-size 512

Widths, proposals, objects and sampled regions are those of `convnext bench` in these modes. A step is forward, backward and
AdamW on random images with 25 objects each. Prints the median over steps after a warm-up; one line of JSON.
"""

import argparse
import collections
import json

import timm
import torch
from timm.layers import LayerNorm2d
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool
from timing import add_time_argument, timed

OBJECTS, ROW = 25, 5


class Backbone(nn.Module):
    """ConvNeXt with a norm on each stage, and a feature pyramid."""

    def __init__(self, model, width):
        super().__init__()
        self.body = timm.create_model(f"convnextv2_{model}", pretrained=False, features_only=True)
        channels = self.body.feature_info.channels()
        self.norms = nn.ModuleList(LayerNorm2d(count, eps=1e-6) for count in channels)
        self.fpn = FeaturePyramidNetwork(channels, width, extra_blocks=LastLevelMaxPool())
        self.out_channels = width

    def forward(self, images):
        stages = zip(self.norms, self.body(images))
        return self.fpn(collections.OrderedDict((str(i), norm(maps)) for i, (norm, maps) in enumerate(stages)))


def network(arguments):
    width, hidden, size = arguments.head_width, arguments.box_width, arguments.image_size
    return MaskRCNN(
        Backbone(arguments.model, width),
        num_classes=None,
        box_head=TwoMLPHead(width * 49, hidden),
        box_predictor=FastRCNNPredictor(hidden, 2),
        mask_head=MaskRCNNHeads(width, (width,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(width, width, 2),
        min_size=size,
        max_size=size,
        box_batch_size_per_image=arguments.regions,
        rpn_post_nms_top_n_train=1000,
        rpn_post_nms_top_n_test=1000,
    )


def objects(size):
    boxes, masks = [], torch.zeros(OBJECTS, size, size, dtype=torch.uint8)
    for index in range(OBJECTS):
        left, top = ((at + 0.1) * size / ROW for at in (index % ROW, index // ROW))
        right, bottom = left + size / (10 + index / 10), top + size / 11
        boxes.append([left, top, right, bottom])
        masks[index, round(top) : round(bottom), round(left) : round(right)] = 1
    return {"boxes": torch.tensor(boxes), "labels": torch.ones(OBJECTS, dtype=torch.long), "masks": masks}


def training(model, images):
    """A function that makes one step."""
    model.train()
    targets = [objects(images[0].shape[-1]) for _ in images]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def step():
        optimizer.zero_grad(set_to_none=True)
        sum(model(images, targets).values()).backward()
        optimizer.step()

    return step


def inference(model, images):
    """A function that finds the objects of one image after the other."""
    model.eval()

    def call():
        with torch.inference_mode():
            for image in images:
                model([image])

    return call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=["detect-train", "detect-infer"], required=True)
    parser.add_argument("--model", default="atto", help="a size of ConvNeXt V2")
    parser.add_argument("--head-width", type=int, default=64)
    parser.add_argument("--box-width", type=int, default=256)
    parser.add_argument("--regions", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=2)
    parser.add_argument("--image-size", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2)
    add_time_argument(parser, 5.0)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    size = arguments.image_size
    images = [torch.rand(3, size, size) for _ in range(arguments.batch_size)]
    step = (training if arguments.mode == "detect-train" else inference)(network(arguments), images)
    print(json.dumps({"peer": "torchvision", **timed(step, arguments, warm_up=2)}))


if __name__ == "__main__":
    main()
