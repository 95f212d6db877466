"""Holds `convnext classify` and `convnext convert` to timm, transformers and torchvision, for every size and origin.

    python check.py PROGRAM [--sizes atto,femto,...]

For a random-weight checkpoint of each size from timm, transformers and the official code (timm's weights under the
official names, in a .pt file as that code saves it), the logits of `classify --json` are compared with the package's
own, from a PNG and a JPEG. Then each is converted to all three and loaded there strictly.
Each is also saved in the ways of training programs (WAYS): under their keys and prefixes, beside other weights, as a
stream, in shards. V1 of torchvision is compared as well.
Made with torch 2.15.0, timm 1.0.31, torchvision 0.29.2, transformers 5.24.0, Pillow 12. Downloads nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import timm
import torch
import torchvision
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_data_config

sys.path.insert(0, str(Path(__file__).parents[3] / "convnext-io/tests/fixtures"))
from make_fixtures import official_names  # noqa: E402

SIZES = ["atto", "femto", "pico", "nano", "tiny", "base"]
V1 = ["atto", "tiny"]
MOST = {"png": 1e-3, "jpg": 1e-2}


def images(folder):
    """Smooth shapes and noise, not square, so that resizing and cropping count."""
    y, x = numpy.mgrid[0:300, 0:411]
    noise = numpy.random.default_rng(0).integers(0, 60, (300, 411, 3))
    waves = numpy.stack([numpy.sin(x / 17) + numpy.cos(y / 29), numpy.sin((x + y) / 23), numpy.cos(x * y / 4000)], -1)
    image = Image.fromarray((numpy.clip(90 + 55 * waves, 0, 195) + noise).astype(numpy.uint8))
    image.save(folder / "image.png")
    image.save(folder / "image.jpg", quality=92)
    return [folder / "image.png", folder / "image.jpg"]


def randomise(model):
    """Weights at which every layer matters: logits of a fresh model are nearly constant."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        fan = parameter[0].numel() if parameter.ndim > 1 else 1
        drawn = torch.randn(parameter.shape, generator=generator)
        is_norm = "norm" in name and name.endswith("weight")
        is_scale = name.endswith("gamma") or "layer_scale" in name
        with torch.no_grad():
            parameter.copy_(1 + 0.2 * drawn if is_norm else 0.3 * drawn if is_scale or "grn" in name else drawn * fan**-0.5)
    return model.eval()


def of_timm(name):
    model = randomise(timm.create_model(name, num_classes=1000))
    # The transform of the checkpoint's own resolution, as the released 224 models are evaluated.
    transform = create_transform(**resolve_data_config({"input_size": (3, 224, 224), "crop_pct": 0.875}, model=model))
    return model, lambda path: model(transform(Image.open(path).convert("RGB"))[None])[0]


def of_transformers(name, version):
    sizes = timm.create_model(name, num_classes=1000)
    depths, widths = [len(stage.blocks) for stage in sizes.stages], [info["num_chs"] for info in sizes.feature_info]
    config = getattr(transformers, f"ConvNext{version}Config")(depths=depths, hidden_sizes=widths, num_labels=1000)
    model = randomise(getattr(transformers, f"ConvNext{version}ForImageClassification")(config))
    imagenet = dict(image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225])
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 224}, crop_pct=0.875, **imagenet)
    return model, lambda path: model(**processor(Image.open(path).convert("RGB"), return_tensors="pt")).logits[0]


def logits_of(program, path, weights):
    call = [program, "classify", path, "--weights", weights, "--top-k", "1000", "--json", "-q"]
    answer = json.loads(subprocess.run(call, check=True, capture_output=True).stdout)
    found = torch.empty(1000)
    for prediction in answer[0]["predictions"]:
        found[prediction["index"]] = prediction["logit"]
    return found


def difference(found, expected):
    return ((found - expected).abs().max() / (expected.max() - expected.min())).item()


def prefixed(prefix, state):
    return {prefix + name: value for name, value in state.items()}


def doubled(state):
    """Other weights of the same names."""
    return {name: value * 2 for name, value in state.items()}


def save_shards(state, folder):
    """As transformers does, by hand, so that all names can be saved so."""
    names = sorted(state)
    places = {name: f"model-{1 + index * 3 // len(names):05}-of-00003.safetensors" for index, name in enumerate(names)}
    for file in set(places.values()):
        save_file({name: state[name].contiguous() for name in names if places[name] == file}, folder / file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def saved(contents, path, **options):
    torch.save(contents, path, **options)
    return path


# How programs save a state dict; each is given it and a path without ending, and returns what to load.
WAYS = {
    "ema of two": lambda state, path: saved({"epoch": 1, "state_dict": doubled(state), "state_dict_ema": state}, f"{path}.pth.tar"),
    "parallel": lambda state, path: saved({"state_dict": prefixed("module.", state), "best": numpy.float32(1)}, f"{path}.pth"),
    "compiled": lambda state, path: saved(prefixed("_orig_mod.module.", state), f"{path}.pt"),
    "lightning": lambda state, path: saved({"state_dict": prefixed("model.", state), "callbacks": {torch.nn.GELU: None}}, f"{path}.ckpt"),
    "stream": lambda state, path: saved({"model": state}, f"{path}.pth", _use_new_zipfile_serialization=False),
    "two in safetensors": lambda state, path: save_file({**prefixed("ema.", state), **prefixed("model.", doubled(state))}, f"{path}.safetensors") or f"{path}.safetensors",
    "shards": lambda state, path: (path.mkdir(), save_shards(state, path))[1],
}


def of_torchvision(size):
    model = randomise(getattr(torchvision.models, f"convnext_{size}")(num_classes=1000))
    # Not the transform of its own weights, which is bilinear: a file does not say.
    transform = create_transform((3, 224, 224), interpolation="bicubic", crop_pct=0.875)
    return model, lambda path: model(transform(Image.open(path).convert("RGB"))[None])[0]


def check_ways(program, state, expected, png, folder, name):
    """The logits of a model, however its state dict was saved, are its own."""
    for number, (way, save) in enumerate(WAYS.items()):
        weights = save({name: value.clone() for name, value in state.items()}, folder / f"way-{name}-{number}")
        apart = difference(logits_of(program, png, weights), expected)
        assert apart < MOST["png"], (name, way, apart)
    print(f"{name:32} the same in {len(WAYS)} ways: {', '.join(WAYS)}", flush=True)


def convert(program, weights, out, to):
    subprocess.run([program, "convert", weights, out, "--to", to, "--overwrite"], check=True, capture_output=True)
    return out


def load_converted(program, weights, folder, to):
    """The converted model in its package, loaded strictly."""
    out = convert(program, weights, folder / f"to-{to}" if to != "official" else folder / "to-official.pt", to)
    if to == "timm":
        model = timm.create_model(f"local-dir:{out}")
        model.load_state_dict(load_file(out / "model.safetensors"), strict=True)
        return model.eval()
    if to == "hf":
        model, report = transformers.AutoModelForImageClassification.from_pretrained(out, output_loading_info=True)
        assert not any(report.values()), report
        return model.eval()
    return torch.load(out, weights_only=True)["model"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--sizes", default=",".join(SIZES))
    arguments = parser.parse_args()
    program, sizes = arguments.program.resolve(), arguments.sizes.split(",")
    worst = 0.0
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        folder = Path(folder)
        shown = images(folder)
        names = [(f"convnextv2_{size}", "V2") for size in sizes] + [(f"convnext_{size}", "") for size in V1 if size in sizes]
        for name, version in names:
            for origin in ["timm", "transformers", "official"]:
                model, logits = of_transformers(name, version) if origin == "transformers" else of_timm(name)
                state = model.state_dict()
                weights = folder / ("weights.pt" if origin == "official" else "weights.safetensors")
                if origin == "official":
                    torch.save({"model": official_names({n: t.flatten(1) if "mlp.fc" in n and t.ndim == 4 else t for n, t in state.items()})}, weights)
                else:
                    save_file(state, weights)
                if name in ("convnextv2_atto", "convnext_atto"):
                    official = torch.load(weights, weights_only=True)["model"] if origin == "official" else state
                    check_ways(program, official, logits(shown[0]), shown[0], folder, f"{name}-{origin}")
                differences = {path.suffix[1:]: difference(logits_of(program, path, weights), logits(path)) for path in shown}
                for kind, value in differences.items():
                    assert value < MOST[kind], (name, origin, kind, value)
                tensor = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
                own = model(tensor)
                own = own.logits if origin == "transformers" else own
                apart = []
                for to in ["timm", "hf", "official"]:
                    loaded = load_converted(program, weights, folder, to)
                    if to == "official":
                        expected = official_names(state) if origin != "transformers" else None
                        if expected:
                            assert loaded.keys() == expected.keys()
                            assert all(torch.equal(loaded[n].flatten(), expected[n].flatten()) for n in expected)
                        continue
                    found = loaded(tensor)
                    apart.append(difference(found.logits if to == "hf" else found, own))
                assert max(apart) < 1e-5, (name, origin, apart)
                print(f"{name:18} {origin:13} png {differences['png']:.1e}  jpg {differences['jpg']:.1e}  converted {max(apart):.1e}", flush=True)
                worst = max(worst, differences["png"])
        if "tiny" in sizes:
            model, logits = of_torchvision("tiny")
            check_ways(program, model.state_dict(), logits(shown[0]), shown[0], folder, "convnext_tiny-torchvision")
    print(f"all within the bounds; the largest difference from a PNG is {worst:.1e} of the logits' range")


if __name__ == "__main__":
    main()
