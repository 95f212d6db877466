"""Golden loss curves: twenty steps of pre-training and of fine-tuning in PyTorch. See README.md."""

import json
import math
import pathlib
import re
import sys

import torch
import torch.nn.functional as F

FOLDER = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parents[2] / "convnext-nn" / "tests" / "goldens"))

import make_fcmae  # noqa: E402
import rule  # noqa: E402
from make_classifier import MICRO, deterministic, model_config  # noqa: E402

DEPTHS = (1, 1, 2, 1)
SIDE = 32
STEPS = 20
ACCUMULATE = 2
WATCHED_PRETRAINING = ["encoder.stages.2.1.pwconv1.weight", "encoder.stages.0.0.grn.gamma", "mask_token", "pred.weight"]
WATCHED_FINETUNING = ["stages.2.1.pwconv1.weight", "stages.0.0.grn.gamma", "downsample_layers.0.0.weight", "head.weight"]


def images(step, batch, count):
    """The images of a batch, by the rule."""
    values = 1.5 * rule.uniform(f"images.{step}.{batch}", count * 3 * SIDE * SIDE)
    return torch.from_numpy(values.astype("float32").reshape(count, 3, SIDE, SIDE))


def learning_rate(step, settings):
    """Linear warm-up, then half a cosine (facts C1)."""
    peak, minimum, warmup = settings["learning_rate"], settings["minimum_learning_rate"], settings["warmup_steps"]
    if step < warmup:
        return peak * step / warmup
    progress = (step - warmup) / (STEPS - warmup)
    return minimum + (peak - minimum) * 0.5 * (1 + math.cos(math.pi * progress))


def layer_scale(name, rate):
    """Layer-wise decay, every block a layer (facts D2)."""
    layers = sum(DEPTHS)
    downsampling = re.match(r"downsample_layers\.(\d)\.", name)
    block = re.match(r"stages\.(\d)\.(\d+)\.", name)
    if downsampling:
        layer = sum(DEPTHS[: int(downsampling[1])]) + 1
    elif block:
        layer = sum(DEPTHS[: int(block[1])]) + int(block[2]) + 1
    else:
        layer = layers + 1
    return rate ** (layers + 1 - layer)


def decays(name, parameter):
    """Weight decay: matrices only, neither GRN nor the mask token."""
    return parameter.ndim > 1 and not name.endswith(".bias") and ".grn." not in name and name != "mask_token"


def run(parameters, settings, loss_of, dtype):
    """The loss of every step, the last parameters and their moving average."""
    scale = {name: layer_scale(name, settings["layer_decay"]) for name in parameters}
    groups = [
        {"params": [p], "weight_decay": settings["weight_decay"] if decays(name, p) else 0.0, "scale": scale[name]}
        for name, p in parameters.items()
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=tuple(settings["betas"]), eps=1e-8)
    average = {name: p.detach().clone() for name, p in parameters.items()}
    curve = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, settings) * group["scale"]
        optimizer.zero_grad()
        total = 0.0
        for batch in range(ACCUMULATE):
            loss = loss_of(parameters, step, batch, dtype) / ACCUMULATE
            loss.backward()
            total += loss.item()
        if settings["clip_norm"]:
            torch.nn.utils.clip_grad_norm_(parameters.values(), settings["clip_norm"])
        optimizer.step()
        with torch.no_grad():
            for name, p in parameters.items():
                average[name].mul_(settings["ema"]).add_(p, alpha=1 - settings["ema"])
        curve.append(total)
    return curve, parameters, average


def write(name, golden, shapes, watched, loss_of):
    """Runs in float64 and in float32, and writes one file."""
    results = {}
    for dtype in (torch.float64, torch.float32):
        parameters = {
            key: torch.from_numpy(rule.parameter(key, shape)).to(dtype).requires_grad_()
            for key, shape in shapes.items()
        }
        results[dtype] = run(parameters, golden["settings"], loss_of, dtype)
    (curve, last, average), (curve32, last32, average32) = results[torch.float64], results[torch.float32]
    golden |= {
        "learning_rates": [learning_rate(step, golden["settings"]) for step in range(STEPS)],
        "losses": curve,
        "parameters": {key: rule.sketch(last[key], last32[key]) for key in watched},
        "averages": {key: rule.sketch(average[key], average32[key]) for key in watched},
    }
    lines = [f" {json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in golden.items()]
    (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    worst = max(abs(a - b) / a for a, b in zip(curve, curve32))
    print(f"{name}: loss {curve[0]:.4f} to {curve[-1]:.4f}, float32 differs by {worst:.1e} at most")


def pretraining():
    count, patch, kept_share = 4, 8, 0.6
    config = model_config(DEPTHS, MICRO, classes=0, stem_stride=1)
    decoder = make_fcmae.decoder_config(1, 128)
    patches = (SIDE // patch) ** 2
    number = lambda step, batch, image: (step * ACCUMULATE + batch) * count + image
    kept = [
        [[rule.kept_patches(number(step, batch, image), patches, kept_share) for image in range(count)] for batch in range(ACCUMULATE)]
        for step in range(STEPS)
    ]
    settings = {
        "learning_rate": 1e-3, "minimum_learning_rate": 0.0, "warmup_steps": 5, "weight_decay": 0.05,
        "betas": [0.9, 0.95], "clip_norm": 1.0, "ema": 0.9, "layer_decay": 1.0,
    }

    def loss_of(p, step, batch, dtype):
        x = images(step, batch, count).to(dtype)
        kept_sites = make_fcmae.kept_map(kept[step][batch], SIDE // patch, SIDE // patch, dtype)
        prediction = make_fcmae.decode(p, decoder, make_fcmae.encode(p, config, x, kept_sites), kept_sites)
        return make_fcmae.reconstruction_loss(prediction, x, kept_sites, patch, True)[0]

    shapes = rule.fcmae_shapes(config, decoder)
    write("pretraining", {"settings": settings, "kept": kept}, shapes, WATCHED_PRETRAINING, loss_of)


def classify(p, config, x, scales):
    """Logits; `scales[block][image]` multiplies the branch of a block."""
    p = {f"encoder.{name}": value for name, value in p.items()}
    everywhere = torch.ones(len(x), 1, 1, 1, dtype=x.dtype)
    stem = "encoder.downsample_layers.0"
    x = F.conv2d(x, p[f"{stem}.0.weight"], p[f"{stem}.0.bias"], stride=config["stem_stride"])
    x = make_fcmae.layer_norm(x, p[f"{stem}.1.weight"], p[f"{stem}.1.bias"])
    scales = iter(scales)
    for stage, depth in enumerate(config["depths"]):
        if stage > 0:
            down = f"encoder.downsample_layers.{stage}"
            x = make_fcmae.layer_norm(x, p[f"{down}.0.weight"], p[f"{down}.0.bias"])
            x = F.conv2d(x, p[f"{down}.1.weight"], p[f"{down}.1.bias"], stride=2)
        for number in range(depth):
            branch = make_fcmae.block(p, f"encoder.stages.{stage}.{number}", x, everywhere) - x
            x = x + branch * torch.tensor(next(scales), dtype=x.dtype).reshape(-1, 1, 1, 1)
    x = F.layer_norm(x.mean((2, 3)), x.shape[1:2], p["encoder.norm.weight"], p["encoder.norm.bias"], 1e-6)
    return F.linear(x, p["encoder.head.weight"], p["encoder.head.bias"])


def finetuning():
    count, classes, smoothing = 6, 5, 0.1
    config = model_config(DEPTHS, MICRO, classes=classes, stem_stride=1)
    blocks = sum(DEPTHS)
    rates = [0.2 * block / (blocks - 1) for block in range(blocks)]
    labels, scales = [], []
    for step in range(STEPS):
        labels.append([[int(v) % classes for v in rule.bits(f"labels.{step}.{batch}", count)] for batch in range(ACCUMULATE)])
        draws = [(rule.uniform(f"drop.{step}.{batch}", blocks * count) + 1) / 2 for batch in range(ACCUMULATE)]
        scales.append([
            [[1 / (1 - rate) if draw[block * count + image] >= rate else 0.0 for image in range(count)] for block, rate in enumerate(rates)]
            for draw in draws
        ])
    settings = {
        "learning_rate": 2e-3, "minimum_learning_rate": 1e-6, "warmup_steps": 4, "weight_decay": 0.05,
        "betas": [0.9, 0.999], "clip_norm": None, "ema": 0.9, "layer_decay": 0.8,
    }

    def loss_of(p, step, batch, dtype):
        logits = classify(p, config, images(step, batch, count).to(dtype), scales[step][batch])
        return F.cross_entropy(logits, torch.tensor(labels[step][batch]), label_smoothing=smoothing)

    golden = {"settings": settings, "smoothing": smoothing, "labels": labels, "drop_path": scales}
    write("finetuning", golden, rule.classifier_shapes(config), WATCHED_FINETUNING, loss_of)


if __name__ == "__main__":
    deterministic()
    pretraining()
    finetuning()
