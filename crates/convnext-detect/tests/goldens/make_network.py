"""Golden values of Mask R-CNN's network, computed with PyTorch in float64. See README.md."""

import json
import math
import pathlib
import sys
from collections import OrderedDict

import torch
from torch import nn
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops import FeaturePyramidNetwork, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from transformers import ConvNextBackbone, ConvNextConfig, ConvNextV2Backbone, ConvNextV2Config

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.append(str(FOLDER / "../../../convnext-nn/tests/goldens"))
import rule  # noqa: E402

STRIDES = (4, 8, 16, 32, 64)
ANCHORS = 3
# Pixels along the side of a square region that is cut out of the second level.
FINEST_SCALE = 56

SMALL = {
    "depths": [1, 1, 2, 1],
    "widths": [8, 12, 16, 20],
    "grn": True,
    "classes": 5,
    "head_width": 12,
    "box_width": 22,
    "masks": True,
}
V1 = SMALL | {"grn": False, "classes": 3, "head_width": 10, "box_width": 16, "masks": False}

# Image, left, top, right, bottom; exact in float32, so that no sampling grid depends on rounding.
# On all four levels, across the border, beyond it, with fractions, at a border between levels, flat, and without size.
BOXES = [
    (0, 8.0, 4.0, 40.0, 60.0),
    (1, -12.5, 20.25, 99.75, 132.25),
    (1, 3.25, 7.5, 30.125, 90.625),
    (0, -100.0, -50.0, 300.0, 200.0),
    (1, -400.0, -300.0, 420.0, 380.0),
    (0, 100.0, 16.0, 150.0, 16.5),
    (0, 20.5, 30.5, 20.5, 30.5),
    (1, 150.0, 80.0, 160.0, 96.0),
    (0, 200.0, 120.0, 240.0, 150.0),
]
MASKS = [1, 2, 3, 5, 7]

# name, configuration, batch, height, width; of P5 the first has odd sides, the second is no multiple of 32
CASES = [("network-96x160", SMALL, 2, 96, 160), ("network-v1-100x75", V1, 2, 100, 75)]


# Names and shapes -----------------------------------------------------------------------------


def shapes(config):
    """Every tensor by its name in MMDetection without `backbone.`, which for the backbone is the official one."""
    widths, width, hidden, classes = (config[key] for key in ("widths", "head_width", "box_width", "classes"))
    found = rule.encoder_shapes(config | {"input_channels": 3, "stem_stride": 4, "layer_scale": not config["grn"]})
    layers = {f"norm{stage}": (channels,) for stage, channels in enumerate(widths)}
    layers |= {f"neck.lateral_convs.{i}.conv": (width, channels, 1, 1) for i, channels in enumerate(widths)}
    layers |= {f"neck.fpn_convs.{i}.conv": (width, width, 3, 3) for i in range(4)}
    layers["rpn_head.rpn_conv"] = (width, width, 3, 3)
    layers["rpn_head.rpn_cls"] = (ANCHORS, width, 1, 1)
    layers["rpn_head.rpn_reg"] = (4 * ANCHORS, width, 1, 1)
    layers["roi_head.bbox_head.shared_fcs.0"] = (hidden, 49 * width)
    layers["roi_head.bbox_head.shared_fcs.1"] = (hidden, hidden)
    layers["roi_head.bbox_head.fc_cls"] = (classes + 1, hidden)
    layers["roi_head.bbox_head.fc_reg"] = (4 * classes, hidden)
    if config["masks"]:
        layers |= {f"roi_head.mask_head.convs.{i}.conv": (width, width, 3, 3) for i in range(4)}
        layers["roi_head.mask_head.upsample"] = (width, width, 2, 2)
        layers["roi_head.mask_head.conv_logits"] = (classes, width, 1, 1)
    for name, shape in layers.items():
        found |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return found


def backbone_name(name):
    """The name of a tensor in transformers' backbone; None for one of the rest of the network."""
    parts = name.split(".")
    if parts[0] == "downsample_layers":
        if parts[1] == "0":
            return f"embeddings.{('patch_embeddings', 'layernorm')[int(parts[2])]}.{parts[3]}"
        return f"encoder.stages.{parts[1]}.downsampling_layer.{parts[2]}.{parts[3]}"
    if parts[0] == "stages":
        rest = ".".join(parts[3:])
        for official, other in (("norm.", "layernorm."), ("grn.gamma", "grn.weight"), ("grn.beta", "grn.bias")):
            rest = rest.replace(official, other)
        rest = "layer_scale_parameter" if rest == "gamma" else rest
        return f"encoder.stages.{parts[1]}.layers.{parts[2]}.{rest}"
    if parts[0].startswith("norm"):
        return f"hidden_states_norms.stage{int(parts[0][4:]) + 1}.{parts[1]}"
    return None


TORCHVISION = {
    "neck.lateral_convs.{}.conv": "fpn.inner_blocks.{}.0",
    "neck.fpn_convs.{}.conv": "fpn.layer_blocks.{}.0",
    "rpn_head.rpn_conv": "rpn.conv.0.0",
    "rpn_head.rpn_cls": "rpn.cls_logits",
    "rpn_head.rpn_reg": "rpn.bbox_pred",
    "roi_head.bbox_head.shared_fcs.0": "box_head.fc6",
    "roi_head.bbox_head.shared_fcs.1": "box_head.fc7",
    "roi_head.bbox_head.fc_cls": "box_predictor.cls_score",
    "roi_head.bbox_head.fc_reg": "box_predictor.bbox_pred",
    "roi_head.mask_head.convs.{}.conv": "mask_head.{}.0",
    "roi_head.mask_head.upsample": "mask_predictor.conv5_mask",
    "roi_head.mask_head.conv_logits": "mask_predictor.mask_fcn_logits",
}


def torchvision_name(name):
    """The name of a tensor of the rest of the network among torchvision's modules."""
    stem, leaf = name.rsplit(".", 1)
    parts = stem.split(".")
    index = next((part for part in parts[1:] if part.isdigit()), None)
    pattern = ".".join("{}" if part == index else part for part in parts)
    if stem in TORCHVISION:
        return f"{TORCHVISION[stem]}.{leaf}"
    return f"{TORCHVISION[pattern].format(index)}.{leaf}"


def background_first(name, tensor):
    """Our rows of classes in torchvision's order: the background is its first class everywhere, and ours the last of `fc_cls`
    alone. Torchvision's outputs of the background's box and mask stay 0."""
    if ".fc_cls." in name:
        return torch.cat([tensor[-1:], tensor[:-1]])
    if ".fc_reg." in name:
        return torch.cat([torch.zeros_like(tensor[:4]), tensor])
    if ".conv_logits." in name:
        return torch.cat([torch.zeros_like(tensor[:1]), tensor])
    return tensor


def background_last(name, tensor):
    """The inverse of `background_first`."""
    if ".fc_cls." in name:
        return torch.cat([tensor[1:], tensor[:1]])
    if ".fc_reg." in name:
        return tensor[4:]
    if ".conv_logits." in name:
        return tensor[1:]
    return tensor


# Network --------------------------------------------------------------------------------------


class Network(nn.Module):
    """Transformers' backbone with its norms of the stages, and torchvision's pyramid and heads."""

    def __init__(self, config):
        super().__init__()
        kind, backbone = (
            (ConvNextV2Config, ConvNextV2Backbone) if config["grn"] else (ConvNextConfig, ConvNextBackbone)
        )
        self.backbone = backbone(
            kind(
                depths=config["depths"],
                hidden_sizes=config["widths"],
                out_features=["stage1", "stage2", "stage3", "stage4"],
                **({} if config["grn"] else {"layer_scale_init_value": 1.0}),
            )
        )
        width, hidden, classes = config["head_width"], config["box_width"], config["classes"] + 1
        self.heads = nn.ModuleDict(
            {
                "fpn": FeaturePyramidNetwork(config["widths"], width, LastLevelMaxPool()),
                "rpn": RPNHead(width, ANCHORS),
                "box_head": TwoMLPHead(49 * width, hidden),
                "box_predictor": FastRCNNPredictor(hidden, classes),
            }
        )
        if config["masks"]:
            self.heads["mask_head"] = MaskRCNNHeads(width, (width,) * 4, 1)
            self.heads["mask_predictor"] = MaskRCNNPredictor(width, width, classes)

    def forward(self, pixels, boxes, masked):
        """Every output by name, in MMDetection's layout."""
        stages = self.backbone(pixels).feature_maps
        pyramid = list(self.heads["fpn"](OrderedDict(enumerate(stages))).values())
        objectness, deltas = self.heads["rpn"](pyramid)
        found = {f"p{level + 2}": maps for level, maps in enumerate(pyramid)}
        found |= {f"objectness.p{level + 2}": maps for level, maps in enumerate(objectness)}
        found |= {f"deltas.p{level + 2}": maps for level, maps in enumerate(deltas)}
        features = self.heads["box_head"](extract(pyramid, boxes, 7))
        scores, coded = self.heads["box_predictor"](features)
        found["scores"] = torch.cat([scores[:, 1:], scores[:, :1]], 1)
        found["box_deltas"] = coded[:, 4:]
        if "mask_head" in self.heads:
            logits = self.heads["mask_predictor"](self.heads["mask_head"](extract(pyramid, boxes[masked], 14)))
            found["mask_logits"] = logits[:, 1:]
        return found


def extract(pyramid, boxes, side):
    """MMDetection's SingleRoIExtractor: each region from its level, aligned, with as many samples as it needs."""
    sides = boxes[:, 3:] - boxes[:, 1:3]
    levels = torch.floor(torch.log2(torch.sqrt(sides.prod(1)) / FINEST_SCALE + 1e-6)).clamp(0, 3).long()
    found = boxes.new_zeros(len(boxes), pyramid[0].shape[1], side, side)
    for level in range(4):
        chosen = levels == level
        maps = roi_align(
            pyramid[level], boxes[chosen], (side, side), 1 / STRIDES[level], sampling_ratio=0, aligned=True
        )
        found[chosen] = maps
    return found


def network(config, dtype):
    model = Network(config)
    tensors = {}
    for name, shape in shapes(config).items():
        tensor = torch.from_numpy(rule.parameter(name, shape))
        of_backbone = backbone_name(name)
        if of_backbone:
            tensors[f"backbone.{of_backbone}"] = tensor
        else:
            tensors[f"heads.{torchvision_name(name)}"] = background_first(name, tensor)
    model.load_state_dict(tensors)
    return model.to(dtype).eval()


def run(config, batch, height, width, dtype):
    """Every output, the loss and every gradient: the loss is the sum of all outputs by factors of their names."""
    model = network(config, dtype)
    pixels = torch.from_numpy(rule.images((batch, 3, height, width))).to(dtype).requires_grad_()
    outputs = model(pixels, torch.tensor(BOXES, dtype=dtype), MASKS)
    loss = 0
    for name, output in outputs.items():
        factors = rule.uniform(f"factors.{name}", output.numel()).astype("float32")
        loss = loss + (output * torch.from_numpy(factors).to(dtype).reshape(output.shape)).sum()
    loss.backward()
    parameters, gradients = dict(model.named_parameters()), {}
    for name, shape in shapes(config).items():
        of_backbone = backbone_name(name)
        key = f"backbone.{of_backbone}" if of_backbone else f"heads.{torchvision_name(name)}"
        gradients[name] = background_last(name, parameters[key].grad).reshape(shape)
    return outputs, loss.item(), pixels.grad, gradients


# Files ----------------------------------------------------------------------------------------


def write(name, golden):
    def compact(value):
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    lines = []
    for key, value in golden.items():
        if key in ("outputs", "gradients"):
            rows = ",\n".join(f"  {compact(row)}:{compact(sketch)}" for row, sketch in value.items())
            lines.append(f"{compact(key)}:{{\n{rows}\n }}")
        else:
            lines.append(f"{compact(key)}:{compact(value)}")
    path = FOLDER / f"{name}.json"
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


def main():
    torch.set_num_threads(1)
    for name, config, batch, height, width in CASES:
        outputs, loss, pixels, gradients = run(config, batch, height, width, torch.float64)
        outputs32, _, pixels32, gradients32 = run(config, batch, height, width, torch.float32)
        golden = {
            "config": config,
            "batch": batch,
            "height": height,
            "width": width,
            "boxes": BOXES,
            "masks": MASKS,
            "loss": loss,
            "input_gradient": rule.sketch(pixels, pixels32),
            "outputs": {key: rule.sketch(value, outputs32[key]) for key, value in outputs.items()},
            "gradients": {key: rule.sketch(value, gradients32[key]) for key, value in gradients.items()},
        }
        write(name, golden)
        for part in ("outputs", "gradients"):
            errors = [row["float32_error"] for row in golden[part].values()]
            smallest = min(row["norm"] for row in golden[part].values())
            print(f"  {part}: largest float32 error {max(errors):.1e}, smallest norm {smallest:.1e}")


if __name__ == "__main__":
    main()
