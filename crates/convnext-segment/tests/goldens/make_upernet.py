"""Golden values of UperNet, computed with transformers in float64. See README.md."""

import json
import math
import pathlib
import sys

import numpy as np
import torch
from transformers import ConvNextConfig, ConvNextV2Config, UperNetConfig, UperNetForSemanticSegmentation

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.append(str(FOLDER / "../../../convnext-nn/tests/goldens"))
import rule  # noqa: E402

POOL_SCALES = (1, 2, 3, 6)
IGNORED = 255
AUXILIARY_WEIGHT = 0.4
DROPOUT = 0.1


def model_config(depths, widths, head_width, auxiliary_width, classes, grn=True):
    return {
        "depths": list(depths),
        "widths": list(widths),
        "grn": grn,
        "classes": classes,
        "head_width": head_width,
        "auxiliary_width": auxiliary_width,
    }


SMALL = model_config((1, 1, 2, 1), (12, 20, 28, 36), 24, 16, 7)
V1 = model_config((1, 2, 1, 1), (8, 12, 20, 24), 10, None, 3, grn=False)

# name, configuration, batch, height, width: not divisible by 32, or barely larger than the last stage's stride
LOGITS = [
    ("logits-64x96", SMALL, 2, 64, 96),
    ("logits-65x131", SMALL, 2, 65, 131),
    ("logits-39x50", SMALL, 1, 39, 50),
    ("logits-v1-197x33", V1, 2, 197, 33),
]
TRAINING = ("training-64x107", SMALL, 3, 64, 107)


# Names and shapes -----------------------------------------------------------------------------


def shapes(config):
    """Every tensor by its name in mmsegmentation, which for the backbone is the official one."""
    widths, width, classes = config["widths"], config["head_width"], config["classes"]
    found = rule.encoder_shapes(config | {"input_channels": 3, "stem_stride": 4, "layer_scale": not config["grn"]})
    for stage, channels in enumerate(widths):
        found |= {f"norm{stage}.weight": (channels,), f"norm{stage}.bias": (channels,)}
    layers = {f"decode_head.psp_modules.{i}.1": (width, widths[3], 1, 1) for i in range(4)}
    layers["decode_head.bottleneck"] = (width, widths[3] + 4 * width, 3, 3)
    layers |= {f"decode_head.lateral_convs.{i}": (width, widths[i], 1, 1) for i in range(3)}
    layers |= {f"decode_head.fpn_convs.{i}": (width, width, 3, 3) for i in range(3)}
    layers["decode_head.fpn_bottleneck"] = (width, 4 * width, 3, 3)
    heads = {"decode_head": width}
    if config["auxiliary_width"]:
        layers["auxiliary_head.convs.0"] = (config["auxiliary_width"], widths[2], 3, 3)
        heads["auxiliary_head"] = config["auxiliary_width"]
    for name, shape in layers.items():
        found[f"{name}.conv.weight"] = shape
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.bn.{leaf}"] = shape[:1]
    for name, channels in heads.items():
        found |= {f"{name}.conv_seg.weight": (classes, channels, 1, 1), f"{name}.conv_seg.bias": (classes,)}
    return found


def transformers_name(name):
    """The name of a tensor in transformers."""
    parts = name.split(".")
    if parts[0] == "downsample_layers":
        if parts[1] == "0":
            return f"backbone.embeddings.{('patch_embeddings', 'layernorm')[int(parts[2])]}.{parts[3]}"
        return f"backbone.encoder.stages.{parts[1]}.downsampling_layer.{parts[2]}.{parts[3]}"
    if parts[0] == "stages":
        rest = ".".join(parts[3:])
        for official, other in (
            ("norm.", "layernorm."),
            ("grn.gamma", "grn.weight"),
            ("grn.beta", "grn.bias"),
        ):
            rest = rest.replace(official, other)
        rest = "layer_scale_parameter" if rest == "gamma" else rest
        return f"backbone.encoder.stages.{parts[1]}.layers.{parts[2]}.{rest}"
    if parts[0].startswith("norm"):
        return f"backbone.hidden_states_norms.stage{int(parts[0][4:]) + 1}.{parts[1]}"
    return name.replace(".bn.", ".batch_norm.").replace(".conv_seg.", ".classifier.")


# By rule --------------------------------------------------------------------------------------


def value(name, shape):
    """A tensor by its name; running statistics are none of a freshly initialised network."""
    if name.endswith(".running_mean"):
        return (0.3 * rule.uniform(name, math.prod(shape))).astype(np.float32).reshape(shape)
    return rule.parameter(name, shape)


def images(shape):
    """Images of different contrast, so that batch norm of their means has a variance."""
    contrast = np.linspace(0.5, 1.5, shape[0]).astype(np.float32).reshape(-1, 1, 1, 1)
    return rule.images(shape) * contrast


def labels(shape, classes):
    """Labels with about one ignored pixel for each class."""
    drawn = ((rule.uniform("labels", math.prod(shape)) + 1) / 2 * (classes + 1)).astype(np.int64)
    drawn[drawn == classes] = IGNORED
    return drawn.reshape(shape)


def dropout_factors(name, count, channels):
    """Factors of the channels of each image in front of a classifier."""
    keep = rule.uniform(name, count * channels) >= 2 * DROPOUT - 1
    return np.where(keep, 1 / (1 - DROPOUT), 0.0).astype(np.float32).reshape(count, channels, 1, 1)


# Models ---------------------------------------------------------------------------------------


def upernet(config, dtype):
    kind = ConvNextV2Config if config["grn"] else ConvNextConfig
    backbone = kind(
        depths=config["depths"],
        hidden_sizes=config["widths"],
        out_features=["stage1", "stage2", "stage3", "stage4"],
        **({} if config["grn"] else {"layer_scale_init_value": 1.0}),
    )
    model = UperNetForSemanticSegmentation(
        UperNetConfig(
            backbone_config=backbone,
            hidden_size=config["head_width"],
            pool_scales=list(POOL_SCALES),
            num_labels=config["classes"],
            use_auxiliary_head=config["auxiliary_width"] is not None,
            auxiliary_channels=config["auxiliary_width"] or 256,
        )
    )
    tensors = {
        transformers_name(name): torch.from_numpy(value(name, shape)) for name, shape in shapes(config).items()
    }
    counters = {name for name in model.state_dict() if name.endswith("num_batches_tracked")}
    assert sorted(set(model.state_dict()) - counters) == sorted(tensors), "every tensor has a rule"
    model.load_state_dict(tensors, strict=False)
    return model.to(dtype).eval()


def batch_of(batch, height, width, dtype):
    return torch.from_numpy(images((batch, 3, height, width))).to(dtype)


def logits(config, batch, height, width, dtype):
    """Logits at the size of the first stage, and as transformers resizes them to the images."""
    model = upernet(config, dtype)
    with torch.no_grad():
        pixels = batch_of(batch, height, width, dtype)
        return model.decode_head(model.backbone(pixels).feature_maps), model(pixels).logits


def cross_entropy(scores, target):
    """mmsegmentation's: resized to the labels, the mean over all pixels, ignored ones included; and over the others."""
    scores = torch.nn.functional.interpolate(scores, target.shape[1:], mode="bilinear", align_corners=False)
    total = torch.nn.functional.cross_entropy(scores, target, ignore_index=IGNORED, reduction="sum")
    return total / target.numel(), total / (target != IGNORED).sum()


def training(config, batch, height, width, dtype):
    """Losses, every gradient and every running statistic after one batch."""
    model = upernet(config, dtype)
    # Batch norm only: drop path is off, and transformers has no dropout in its heads.
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    for head, channels in ((model.decode_head, "head_width"), (model.auxiliary_head, "auxiliary_width")):
        name = "dropout.decode" if channels == "head_width" else "dropout.auxiliary"
        factors = torch.from_numpy(dropout_factors(name, batch, config[channels])).to(dtype)
        head.classifier.register_forward_pre_hook(lambda _m, args, factors=factors: (args[0] * factors,))
    pixels = batch_of(batch, height, width, dtype).requires_grad_()
    target = torch.from_numpy(labels((batch, height, width), config["classes"]))
    features = model.backbone(pixels).feature_maps
    decode, decode_labelled = cross_entropy(model.decode_head(features), target)
    auxiliary, auxiliary_labelled = cross_entropy(model.auxiliary_head(features), target)
    (decode + AUXILIARY_WEIGHT * auxiliary).backward()
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    gradients, statistics = {}, {}
    for name, shape in shapes(config).items():
        tensor = tensors[transformers_name(name)]
        if "running" in name:
            statistics[name] = tensor.clone()
        else:
            gradients[name] = tensor.grad.reshape(shape)
    losses = [decode, auxiliary, decode_labelled, auxiliary_labelled]
    return [loss.item() for loss in losses], pixels.grad, gradients, statistics


# Files ----------------------------------------------------------------------------------------


def write(name, golden):
    def compact(value):
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    lines = []
    for key, value in golden.items():
        if key in ("gradients", "statistics"):
            rows = ",\n".join(f"  {compact(row)}:{compact(sketch)}" for row, sketch in value.items())
            lines.append(f"{compact(key)}:{{\n{rows}\n }}")
        else:
            lines.append(f"{compact(key)}:{compact(value)}")
    path = FOLDER / f"{name}.json"
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


def main():
    torch.set_num_threads(1)
    for name, config, batch, height, width in LOGITS:
        low, full = logits(config, batch, height, width, torch.float64)
        low32, full32 = logits(config, batch, height, width, torch.float32)
        case = {"config": config, "batch": batch, "height": height, "width": width}
        sketches = {"logits": rule.sketch(low, low32), "resized": rule.sketch(full, full32)}
        write(name, case | sketches)
        print("  float32 error", sketches["logits"]["float32_error"], "norm", sketches["logits"]["norm"])
    name, config, batch, height, width = TRAINING
    losses, pixels, gradients, statistics = training(config, batch, height, width, torch.float64)
    losses32, pixels32, gradients32, statistics32 = training(config, batch, height, width, torch.float32)
    golden = {
        "config": config,
        "batch": batch,
        "height": height,
        "width": width,
        "losses": losses,
        "input_gradient": rule.sketch(pixels, pixels32),
        "gradients": {key: rule.sketch(value, gradients32[key]) for key, value in gradients.items()},
        "statistics": {key: rule.sketch(value, statistics32[key]) for key, value in statistics.items()},
    }
    write(name, golden)
    print("  losses", losses, losses32)
    for key, row in sorted(golden["gradients"].items(), key=lambda item: -item[1]["float32_error"])[:12]:
        print(f"  {key}: float32 error {row['float32_error']:.1e}, norm {row['norm']:.1e}")


if __name__ == "__main__":
    main()
