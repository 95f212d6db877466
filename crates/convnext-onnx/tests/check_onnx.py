"""Exports models with `convnext export` and compares ONNX Runtime on the files with timm on the same weights.

    python -m venv peers && peers/bin/pip install torch timm onnx onnxruntime safetensors
    cargo build --release
    peers/bin/python crates/convnext-onnx/tests/check_onnx.py

For each case: weights drawn at random go under the official names into a weight file; the exported file passes
ONNX's checker, shape inference included; outputs are within 1e-4 of timm's largest. Not part of the tests, which run
the files in a runtime of Rust; run it when what is exported changes.
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
import timm
import torch
from safetensors.torch import save_file

TOLERANCE = 1e-4

# Model, image size, fixed batch (None: any), feature maps.
CASES = [
    ("atto", 224, None, False),
    ("atto", 224, None, True),
    ("atto", 250, 2, False),
    ("femto", 224, None, False),
    ("pico", 224, None, False),
    ("nano", 224, None, False),
    ("tiny", 224, None, False),
    ("base", 224, None, False),
    ("v1-tiny", 224, None, False),
    ("v1-tiny", 192, 1, True),
]

# What the official code calls otherwise (facts B4).
RENAMED = [
    ("stem.", "downsample_layers.0."),
    (".blocks.", "."),
    ("conv_dw", "dwconv"),
    ("mlp.fc", "pwconv"),
    ("mlp.grn.weight", "grn.gamma"),
    ("mlp.grn.bias", "grn.beta"),
    ("head.norm.", "norm."),
    ("head.fc.", "head."),
]


def official(name, tensor):
    """Name and tensor as in the official PyTorch code."""
    if ".downsample." in name:
        _, stage, _, rest = name.split(".", 3)
        name = f"downsample_layers.{stage}.{rest}"
    for ours, theirs in RENAMED:
        name = name.replace(ours, theirs)
    if ".grn." in name:
        tensor = tensor.reshape(1, 1, 1, -1)
    if "pwconv" in name and name.endswith("weight"):
        tensor = tensor.flatten(1)
    return name, tensor.contiguous()


def build(name, generator):
    """timm's model, with every parameter of a size at which it matters."""
    family, size = ("convnext", name[3:]) if name.startswith("v1-") else ("convnextv2", name)
    model = timm.create_model(f"{family}_{size}").eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if key.endswith("bias"):
                parameter.copy_(0.1 * noise)
            elif key.endswith("grn.weight"):
                parameter.copy_(0.3 * noise)
            elif key.endswith("gamma"):
                parameter.copy_(0.3 + 0.1 * noise)
            elif parameter.ndim == 1:
                parameter.copy_(1 + 0.2 * noise)
            else:
                parameter.copy_(noise / math.sqrt(parameter[0].numel()))
    return model


def outputs(model, images, features):
    """By name, as the exported file has them."""
    maps = {}
    for index, stage in enumerate(model.stages, start=1):
        stage.register_forward_hook(lambda _module, _inputs, output, name=f"stage{index}": maps.update({name: output}))
    with torch.inference_mode():
        logits = model(torch.from_numpy(images))
    return {name: map_.numpy() for name, map_ in (maps if features else {"logits": logits}).items()}


def check(program, name, image_size, batch, features, folder):
    generator = torch.Generator().manual_seed(0)
    model = build(name, generator)
    weights, path = folder / "weights.safetensors", folder / "model.onnx"
    save_file(dict(official(*item) for item in model.state_dict().items()), weights)
    command = [program, "export", "--weights", weights, "--out", path, "--image-size", str(image_size)]
    command += ["--batch", "dynamic" if batch is None else str(batch)] + ["--features"] * features
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    # By path: beside it may lie a second file.
    onnx.checker.check_model(str(path), full_check=True)
    properties = {entry.key: entry.value for entry in onnx.load(str(path), load_external_data=False).metadata_props}
    assert int(properties["image_size"]) == image_size, properties
    assert np.allclose(json.loads(properties["mean"]), [0.485, 0.456, 0.406]), properties
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in [1, 3] if batch is None else [batch]:
        images = torch.randn(count, 3, image_size, image_size, generator=generator).numpy()
        expected = outputs(model, images, features)
        names = [output.name for output in session.get_outputs()]
        assert names == list(expected), names
        for key, found in zip(names, session.run(None, {"images": images})):
            assert found.shape == expected[key].shape, (key, found.shape, expected[key].shape)
            worst = max(worst, float(np.abs(found - expected[key]).max() / np.abs(expected[key]).max()))
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/convnext")
    parser.add_argument("--models", nargs="*", help="only these; others than in the table get its first settings")
    arguments = parser.parse_args()
    cases = CASES
    if arguments.models:
        known = {case[0] for case in CASES}
        cases = [case for case in CASES if case[0] in arguments.models]
        cases += [(name, 224, None, False) for name in arguments.models if name not in known]
    failed = False
    for name, image_size, batch, features in cases:
        with tempfile.TemporaryDirectory() as folder:
            worst = check(arguments.program, name, image_size, batch, features, Path(folder))
        failed |= not worst < TOLERANCE
        what = "feature maps" if features else "logits"
        print(f"{name:8} {image_size} pixels, batch {batch or 'dynamic'}, {what}: largest difference {worst:.1e}", flush=True)
    sys.exit("outputs differ" if failed else 0)


if __name__ == "__main__":
    main()
