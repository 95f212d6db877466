"""Golden values of classifiers, computed with timm. See README.md."""

import re

import torch
from timm.models.convnext import ConvNeXt, checkpoint_filter_fn

import rule

MICRO = (16, 32, 64, 128)
ATTO = (40, 80, 160, 320)
ATTO_DEPTHS = (2, 2, 6, 2)


def model_config(depths, widths=MICRO, grn=True, layer_scale=False, classes=10, input_channels=3, stem_stride=4):
    return {
        "depths": list(depths),
        "widths": list(widths),
        "grn": grn,
        "layer_scale": layer_scale,
        "classes": classes,
        "input_channels": input_channels,
        "stem_stride": stem_stride,
    }


V1 = {"grn": False, "layer_scale": True}

# name, configuration, batch, height, width
CASES = [
    ("micro-v2-64x64", model_config((1, 1, 2, 1)), 2, 64, 64),
    ("micro-v1-75x97", model_config((2, 1, 3, 1), **V1), 2, 75, 97),
    ("micro-v2-45x38", model_config((1, 2, 1, 2)), 2, 45, 38),
    ("micro-v2-stem2-50x37", model_config((1, 1, 2, 1), stem_stride=2), 3, 50, 37),
    ("micro-v2-stem1-gray-33x32", model_config((1, 1, 1, 2), stem_stride=1, input_channels=1), 2, 33, 32),
    ("micro-v2-layerscale-rgba-64x40", model_config((1, 2, 1, 1), layer_scale=True, input_channels=4), 2, 64, 40),
    ("micro-v1-stem2-32x47", model_config((1, 1, 1, 1), stem_stride=2, classes=7, **V1), 2, 32, 47),
    ("atto-v2-224", model_config(ATTO_DEPTHS, ATTO, classes=1000), 2, 224, 224),
    ("atto-v1-224", model_config(ATTO_DEPTHS, ATTO, classes=1000, **V1), 1, 224, 224),
]


def deterministic():
    """One thread, and float32 that is float32."""
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("highest")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False


def timm_name(name):
    """The timm name of an official parameter."""
    name = re.sub(r"^downsample_layers\.0\.", "stem.", name)
    name = re.sub(r"^downsample_layers\.(\d)\.", r"stages.\1.downsample.", name)
    name = re.sub(r"^stages\.(\d)\.(\d+)\.", r"stages.\1.blocks.\2.", name)
    name = re.sub(r"^head\.", "head.fc.", name)
    name = re.sub(r"^norm\.", "head.norm.", name)
    for official, timm in (
        ("dwconv", "conv_dw"),
        ("pwconv", "mlp.fc"),
        ("grn.gamma", "mlp.grn.weight"),
        ("grn.beta", "mlp.grn.bias"),
    ):
        name = name.replace(f".{official}", f".{timm}")
    return name


def timm_model(config):
    """timm's model of a configuration, without our weights.

    timm halves the map in stage 0 too when its patch_size is 2. Ours does not (a smaller stem only
    makes all maps larger), so the model is built with the stem of 4 and the stem then exchanged.
    """
    model = ConvNeXt(
        in_chans=config["input_channels"],
        num_classes=config["classes"],
        depths=config["depths"],
        dims=config["widths"],
        use_grn=config["grn"],
        ls_init_value=1.0 if config["layer_scale"] else None,
        patch_size=4,
    )
    stem = config["stem_stride"]
    model.stem[0] = torch.nn.Conv2d(config["input_channels"], config["widths"][0], stem, stride=stem)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.LayerNorm)]
    assert norms and all(norm.eps == 1e-6 for norm in norms)
    return model.eval()


def load(model, official):
    """Loads official weights; our names and timm's own filter must agree, and nothing may be left over."""
    filtered = checkpoint_filter_fn(dict(official), model)
    assert sorted(filtered) == sorted(map(timm_name, official))
    for name, value in official.items():
        assert torch.equal(filtered[timm_name(name)].flatten(), value.flatten()), name
    return model.load_state_dict(filtered, strict="head.weight" in official)


def run(config, shape, dtype):
    """Logits, stage outputs, gradient of the images and of every parameter (in its official shape)."""
    shapes = rule.classifier_shapes(config)
    model = timm_model(config)
    load(model, {name: torch.from_numpy(rule.parameter(name, shape)) for name, shape in shapes.items()})
    model = model.to(dtype)
    images = torch.from_numpy(rule.images(shape)).to(dtype).requires_grad_()
    features = []
    hooks = [stage.register_forward_hook(lambda _m, _i, out: features.append(out)) for stage in model.stages]
    logits = model(images)
    for hook in hooks:
        hook.remove()
    (logits * torch.from_numpy(rule.cotangent(logits.shape)).to(dtype)).sum().backward()
    parameters = dict(model.named_parameters())
    assert len(parameters) == len(shapes)
    gradients = {name: parameters[timm_name(name)].grad.reshape(shape) for name, shape in shapes.items()}
    return logits.detach(), features, images.grad, gradients


def main():
    deterministic()
    for name, config, batch, height, width in CASES:
        shape = (batch, config["input_channels"], height, width)
        logits, features, input_gradient, gradients = run(config, shape, torch.float64)
        logits32, features32, input_gradient32, gradients32 = run(config, shape, torch.float32)
        golden = {
            "name": name,
            "config": config,
            "batch": batch,
            "height": height,
            "width": width,
            "logits": logits.tolist(),
            "logits_float32_error": rule.relative_error(logits32.double().numpy(), logits.numpy()),
            "features": [rule.sketch(*pair) for pair in zip(features, features32, strict=True)],
            "input_gradient": rule.sketch(input_gradient, input_gradient32),
            "gradients": {key: rule.sketch(value, gradients32[key]) for key, value in gradients.items()},
        }
        rule.write("classifier", golden)
        print(
            f"  logits {golden['logits_float32_error']:.1e}, "
            f"features {max(row['float32_error'] for row in golden['features']):.1e}, "
            f"images {golden['input_gradient']['float32_error']:.1e}"
        )


if __name__ == "__main__":
    main()
