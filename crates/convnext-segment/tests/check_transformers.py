"""Holds segmentation networks to transformers: their ONNX in ONNX Runtime, and `convnext convert --to hf`.

    python -m venv peers && peers/bin/pip install torch torchvision transformers onnx onnxruntime safetensors
    cargo build --release
    peers/bin/python crates/convnext-segment/tests/check_transformers.py

For each case: UperNet on a ConvNeXt V2 with random weights and statistics is saved as transformers does. `convnext export`
writes it as ONNX, which passes ONNX's checker, shape inference included, and whose logits are within 1e-4 of the range of
transformers' own. `convnext convert` writes it anew for transformers, which loads it without a remark on its names, gives
the same logits and prepares images in the same way. Not part of the tests, which run small files in a runtime of Rust; run
it when what is exported or converted changes. Made with torch 2.15.0, transformers 5.24.0, onnxruntime 1.32.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from transformers import (
    AutoImageProcessor,
    AutoModelForSemanticSegmentation,
    ConvNextV2Config,
    SegformerImageProcessor,
    UperNetConfig,
    UperNetForSemanticSegmentation,
)

TOLERANCE = 1e-4

# Depths, widths, channels of the head, classes, auxiliary head; sizes of images, batch (None: any).
ATTO = ([2, 2, 6, 2], [40, 80, 160, 320])
CASES = [
    (*ATTO, 128, 150, True, [(512, 512), (130, 171)], None),
    (*ATTO, 64, 19, False, [(97, 321), (64, 33)], 1),
    ([3, 3, 9, 3], [96, 192, 384, 768], 512, 150, True, [(192, 256)], 1),
]


def build(depths, widths, head, classes, auxiliary):
    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = ConvNextV2Config(hidden_sizes=widths, depths=depths, out_features=stages)
    names = {index: f"class {index}" for index in range(classes)}
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=head,
        use_auxiliary_head=auxiliary,
        id2label=names,
        label2id={name: index for index, name in names.items()},
    )
    model = UperNetForSemanticSegmentation(config)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.1, generator=generator)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5, generator=generator)
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1 or "grn" in name:
                parameter.add_(0.2 * noise)
            else:
                parameter.copy_(noise * parameter[0].numel() ** -0.5)
    return model.eval()


def distance(found, expected):
    """Largest difference as a share of the range."""
    return float(np.abs(found - expected).max() / (expected.max() - expected.min()))


def check_onnx(program, model, folder, size, batch):
    path = folder / "model.onnx"
    height, width = size
    command = [program, "export", "--weights", folder / "hf", "--out", path, "--image-size", f"{height}x{width}"]
    command += ["--batch", "dynamic" if batch is None else str(batch)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    onnx.checker.check_model(str(path), full_check=True)
    properties = {entry.key: entry.value for entry in onnx.load(str(path), load_external_data=False).metadata_props}
    assert len(json.loads(properties["class_names"])) == model.config.num_labels, properties
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in [1, 3] if batch is None else [batch]:
        images = torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            expected = model(images).logits.numpy()
        (found,) = session.run(["logits"], {"images": images.numpy()})
        assert found.shape == expected.shape, (found.shape, expected.shape)
        worst = max(worst, distance(found, expected))
    return worst


def check_conversion(program, model, folder, size):
    out = folder / "converted"
    subprocess.run([program, "convert", folder / "hf", out, "--to", "hf", "-q"], check=True, stdout=subprocess.DEVNULL)
    again, report = AutoModelForSemanticSegmentation.from_pretrained(out, output_loading_info=True)
    assert not any(report.values()), report
    assert again.config.id2label == model.config.id2label
    images = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(2))
    found, expected = again.eval().state_dict(), model.state_dict()
    assert found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)
    with torch.inference_mode():
        # Not bit by bit: PyTorch's convolutions round by where their inputs lie in memory.
        assert distance(again(images).logits.numpy(), model(images).logits.numpy()) < 1e-5
    pixels = np.random.default_rng(0).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    prepared = [AutoImageProcessor.from_pretrained(path)(pixels, return_tensors="pt") for path in [folder / "hf", out]]
    assert torch.equal(prepared[0].pixel_values, prepared[1].pixel_values)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/convnext")
    program = parser.parse_args().program
    failed = False
    for depths, widths, head, classes, auxiliary, sizes, batch in CASES:
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            model = build(depths, widths, head, classes, auxiliary)
            model.save_pretrained(folder / "hf")
            SegformerImageProcessor(size={"height": 96, "width": 128}).save_pretrained(folder / "hf")
            check_conversion(program, model, folder, sizes[0])
            for size in sizes:
                worst = check_onnx(program, model, folder, size, batch)
                failed |= not worst < TOLERANCE
                print(f"widths {widths}, head {head}, {size}, batch {batch or 'dynamic'}: {worst:.1e}", flush=True)
    sys.exit("outputs differ" if failed else 0)


if __name__ == "__main__":
    main()
