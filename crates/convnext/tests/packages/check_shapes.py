"""Holds `convnext convert` and `export` to timm, transformers and ONNX Runtime, for shapes that no released model has.

    python check_shapes.py PROGRAM

Every stem, number of channels and of classes, both families, ablations and autoencoders: what was converted is loaded
strictly by the package and must have our logits (those of the exported ONNX file); what is refused must really have no
model there. Then every way to a square, through the packages' own transforms and `classify`.
Made with torch 2.15.0, timm 1.0.31, transformers 5.24.0, ONNX Runtime 1.32.0, Pillow 13. Downloads nothing.
"""

import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import onnxruntime
import timm
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_data_config

DEPTHS, WIDTHS = [1, 1, 2, 1], [8, 16, 24, 32]
# transformers pools and normalises with an epsilon of its own in a model without head.
MOST = 2e-5


def official_state(stem, channels, classes, grn, scale):
    """Random weights under the names of the official code."""
    generator = torch.Generator().manual_seed(stem + 10 * channels + 100 * classes)

    def draw(*shape):
        return torch.randn(shape, generator=generator) * max(1, int(numpy.prod(shape[1:]))) ** -0.5

    state = {}

    def layer(name, *shape):
        state[f"{name}.weight"], state[f"{name}.bias"] = draw(*shape), 0.1 * draw(shape[0])

    def norm(name, width):
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + 0.1 * draw(width), 0.1 * draw(width)

    layer("downsample_layers.0.0", WIDTHS[0], channels, stem, stem)
    norm("downsample_layers.0.1", WIDTHS[0])
    for stage, (depth, width) in enumerate(zip(DEPTHS, WIDTHS)):
        if stage:
            norm(f"downsample_layers.{stage}.0", WIDTHS[stage - 1])
            layer(f"downsample_layers.{stage}.1", width, WIDTHS[stage - 1], 2, 2)
        for block in range(depth):
            name = f"stages.{stage}.{block}"
            layer(f"{name}.dwconv", width, 1, 7, 7)
            norm(f"{name}.norm", width)
            layer(f"{name}.pwconv1", 4 * width, width)
            layer(f"{name}.pwconv2", width, 4 * width)
            if grn:
                state[f"{name}.grn.gamma"], state[f"{name}.grn.beta"] = draw(1, 1, 1, 4 * width) * width, 0.1 * draw(1, 1, 1, 4 * width)
            if scale:
                state[f"{name}.gamma"] = 0.3 * draw(width)
    if classes:
        norm("norm", WIDTHS[-1])
        layer("head", classes, WIDTHS[-1])
    return state


def run(program, *arguments):
    return subprocess.run([program, *map(str, arguments), "-q"], capture_output=True, text=True)


def ours(program, weights, folder, images, classes):
    """Logits, or without classes the mean over the last map, from the exported file."""
    out = folder / "own.onnx"
    out.unlink(missing_ok=True)
    side = images.shape[-1]
    result = run(program, "export", "--weights", weights, "--out", out, "--image-size", side, *([] if classes else ["--features"]))
    assert result.returncode == 0, result.stderr
    session = onnxruntime.InferenceSession(str(out))
    outputs = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    return torch.tensor(outputs[0] if classes else outputs[-1].mean((2, 3)))


def load_timm(out):
    model = timm.create_model(f"local-dir:{out}").eval()
    model.load_state_dict(load_file(out / "model.safetensors"), strict=True)
    return model


def of_timm(out, images, classes):
    model = load_timm(out)
    return model(images) if classes else model.forward_features(images).mean((2, 3))


def of_transformers(out, images, classes):
    kind = transformers.AutoModelForImageClassification if classes else transformers.AutoModel
    model, report = kind.from_pretrained(out, output_loading_info=True)
    assert not any(report.values()), report
    answer = model.eval()(pixel_values=images)
    return answer.logits if classes else answer.last_hidden_state.mean((2, 3))


def timm_has(state, stem, channels, classes, grn, scale):
    depths = [len({name.split(".")[2] for name in state if name.startswith(f"stages.{stage}.")}) for stage in range(4)]
    model = timm.create_model(
        "convnextv2_atto", depths=depths, patch_size=stem, in_chans=channels, num_classes=classes,
        use_grn=grn, ls_init_value=1.0 if scale else None,
    )
    # Each layer but the norm of a model without head has its weights.
    names = {name for name in model.state_dict() if classes or not name.startswith("head.norm")}
    return len(names) == len(state)


def check_shape(program, folder, name, weights, state, shape):
    stem, channels, classes, grn, scale = shape
    images = torch.randn(2, channels, 64, 64, generator=torch.Generator().manual_seed(1))
    expected, said = None, []
    for to, of_package in [("timm", of_timm), ("hf", of_transformers), ("official", None)]:
        out = folder / f"{name}-{to}{'' if of_package else '.pt'}"
        result = run(program, "convert", weights, out, "--to", to)
        if result.returncode:
            assert not out.exists() and "error:" in result.stderr, result
            if to == "timm":
                assert not timm_has(state, *shape), "refused although timm has it"
            elif to == "hf":
                assert grn and scale, "refused although transformers has it"
            else:
                assert stem != 4 or (grn and scale), "refused although the official code has it"
            said.append(f"{to} refused")
            continue
        if expected is None:
            expected = ours(program, weights, folder, images, classes)
        if of_package is None:
            loaded = torch.load(out, weights_only=True)["model"]
            assert stem == 4 and {n: t.shape for n, t in loaded.items()} == {n: t.shape for n, t in state.items()}
            said.append("official")
            continue
        apart = (of_package(out, images, classes) - expected).abs().max() / expected.abs().max()
        assert apart < MOST, (name, to, apart)
        said.append(f"{to} {apart:.0e}")
    print(f"{name:34} {', '.join(said)}", flush=True)


def check_shapes(program, folder):
    variants = [("V2", True, False), ("V1", False, True), ("both", True, True), ("neither", False, False)]
    for (family, grn, scale), stem, channels, classes in itertools.product(variants, [4, 2, 1], [1, 3, 5], [0, 1, 2, 10]):
        state = official_state(stem, channels, classes, grn, scale)
        weights = folder / "weights.safetensors"
        save_file(state, weights)
        name = f"{family}-stem{stem}-{channels}channels-{classes}classes"
        check_shape(program, folder, name, weights, state, (stem, channels, classes, grn, scale))


def check_autoencoders(program, folder):
    for number in range(8):
        pixels = numpy.random.default_rng(number).integers(0, 255, (64, 64, 3)).astype(numpy.uint8)
        (folder / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / f"photos/{number}.png")
    for model, stem, channels in itertools.product(["micro", "v1-micro", "atto"], [4, 2, 1], [1, 3]):
        name = f"fcmae-{model}-stem{stem}-{channels}channels"
        size = ["--image-size", "64", "--stem-stride", stem, "--channels", channels, "--batch-size", 4, "--steps", 1]
        made = run(program, "pretrain", "--data", folder / "photos", "--model", model, *size, "--out", folder / name)
        assert made.returncode == 0, made.stderr
        weights = folder / name / "weights.safetensors"
        state = {n.removeprefix("encoder."): t for n, t in load_file(weights).items() if n.startswith("encoder.")}
        shape = (stem, channels, 0, model != "v1-micro", model == "v1-micro")
        check_shape(program, folder, f"{name}-encoder", weights, state, shape)


def check_squares(program, folder):
    """Ways to a square through the packages' transforms, from an image that is none."""
    y, x = numpy.mgrid[0:150, 0:230]
    waves = numpy.stack([numpy.sin(x / 17) + numpy.cos(y / 29), numpy.sin((x + y) / 23), numpy.cos(x * y / 4000)], -1)
    noise = numpy.random.default_rng(0).integers(0, 60, waves.shape)
    image = folder / "image.png"
    Image.fromarray((numpy.clip(90 + 55 * waves, 0, 195) + noise).astype(numpy.uint8)).save(image)
    source = folder / "squares"
    source.mkdir()
    weights = source / "model.safetensors"
    save_file(official_state(4, 3, 10, True, False), weights)
    filters = ["nearest", "bilinear", "bicubic", "box", "hamming", "lanczos"]
    # Shares at which a border is no odd number of pixels, whose halves transformers rounds in its own way.
    for (size, crop), interpolation in itertools.product([(64, None), (64, 0.8), (448, None), (448, 0.875)], filters):
        mode = {"crop_pct": 1.0, "crop_mode": "squash"} if crop is None else {"crop_pct": crop, "crop_mode": "center"}
        stated = {"input_size": [3, size, size], "interpolation": interpolation, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25], **mode}
        (source / "config.json").write_text(json.dumps({"num_classes": 10, "pretrained_cfg": stated}))
        said = json.loads(run(program, "classify", image, "--weights", weights, "--top-k", 10, "--json").stdout)
        own = torch.zeros(10)
        for prediction in said[0]["predictions"]:
            own[prediction["index"]] = prediction["logit"]
        image, apart = Image.open(image).convert("RGB"), []
        for to in ["timm", "hf"]:
            out = folder / f"square-{size}-{crop}-{interpolation}-{to}"
            assert run(program, "convert", weights, out, "--to", to).returncode == 0
            if to == "timm":
                model = load_timm(out)
                found = model(create_transform(**resolve_data_config({}, model=model))(image)[None])[0]
            else:
                processor = transformers.AutoImageProcessor.from_pretrained(out, backend="pil")
                found = of_transformers(out, processor(image, return_tensors="pt")["pixel_values"], 10)[0]
            apart.append(((found - own).abs().max() / (own.max() - own.min())).item())
        print(f"{size} px, crop {crop}, {interpolation:9} timm {apart[0]:.1e}  hf {apart[1]:.1e}", flush=True)
        # Filters are within a level or two of Pillow; a border moved by one pixel gives 0.1.
        assert max(apart) < 5e-3, "images are prepared in another way"


def main():
    program = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        folder = Path(folder)
        check_shapes(program, folder)
        check_autoencoders(program, folder)
        check_squares(program, folder)
    print("every shape is converted or rightly refused")


if __name__ == "__main__":
    main()
