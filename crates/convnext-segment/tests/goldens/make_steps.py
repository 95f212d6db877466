"""Twenty training steps of UperNet with PyTorch's AdamW, in float64. See README.md."""

import json
import math

import numpy as np
import torch

import make_upernet
from make_upernet import AUXILIARY_WEIGHT, FOLDER, SMALL, cross_entropy, rule, shapes, transformers_name, upernet

STEPS, BATCH, HEIGHT, WIDTH = 20, 4, 64, 107
RATE, DECAY, BETAS = 1e-3, 0.05, (0.9, 0.999)


def images(step):
    """Images of different contrast, so that batch norm of their means has a variance."""
    shape = (BATCH, 3, HEIGHT, WIDTH)
    contrast = np.linspace(0.5, 1.5, BATCH).reshape(-1, 1, 1, 1)
    return (1.5 * rule.uniform(f"images.{step}", math.prod(shape)).reshape(shape) * contrast).astype(np.float32)


def labels(step):
    """Labels with about one ignored pixel for each class."""
    shape, classes = (BATCH, HEIGHT, WIDTH), SMALL["classes"]
    drawn = ((rule.uniform(f"labels.{step}", math.prod(shape)) + 1) / 2 * (classes + 1)).astype(np.int64)
    drawn[drawn == classes] = make_upernet.IGNORED
    return drawn.reshape(shape)


def is_decayed(name, shape):
    return len(shape) > 1 and "grn" not in name


def steps(dtype):
    model = upernet(SMALL, dtype)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.train()
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    learned = {name: shape for name, shape in shapes(SMALL).items() if "running" not in name}
    of = lambda wanted: [tensors[transformers_name(n)] for n, s in learned.items() if is_decayed(n, s) == wanted]
    groups = [{"params": of(True), "weight_decay": DECAY}, {"params": of(False), "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=1e-8)
    losses = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        target = torch.from_numpy(labels(step))
        features = model.backbone(torch.from_numpy(images(step)).to(dtype)).feature_maps
        decode, _ = cross_entropy(model.decode_head(features), target)
        auxiliary, _ = cross_entropy(model.auxiliary_head(features), target)
        loss = decode + AUXILIARY_WEIGHT * auxiliary
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    kept = ("decode_head.fpn_bottleneck.", "decode_head.conv_seg.weight", "stages.2.1.pwconv1.weight", "norm1.weight")
    last = {name: tensors[transformers_name(name)] for name in shapes(SMALL) if name.startswith(kept)}
    return losses, {name: tensor.detach().reshape(shapes(SMALL)[name]) for name, tensor in last.items()}


def main():
    torch.set_num_threads(1)
    losses, last = steps(torch.float64)
    losses32, last32 = steps(torch.float32)
    golden = {
        "losses": losses,
        "learning_rate": RATE,
        "weight_decay": DECAY,
        "betas": BETAS,
        "parameters": {name: rule.sketch(tensor, last32[name]) for name, tensor in last.items()},
    }
    path = FOLDER / "steps.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")
    print(path.stat().st_size, "bytes;", losses[0], "to", losses[-1])
    print("float32:", max(abs(a - b) / a for a, b in zip(losses, losses32)))
    print({name: sketch["float32_error"] for name, sketch in golden["parameters"].items()})


if __name__ == "__main__":
    main()
