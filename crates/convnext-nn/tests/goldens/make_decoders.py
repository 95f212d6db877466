"""Golden values of FCMAE's other decoders and encoders (paper Table 1), computed with PyTorch. See README.md.

Written from the paper and our facts (section C5). Maps are [N, C, H, W]; `kept` is 1 at kept sites and 0 at removed ones,
[N, 1, H, W]. A UNet is our reading of SparK's decoder: a step is a transposed convolution 4x4 of stride 2, a 3x3 convolution
with batch norm and ReLU6, and a 3x3 convolution with batch norm.
"""

import math
from functools import partial

import torch
import torch.nn.functional as F
from timm.models.vision_transformer import Block
from torch import nn

import rule
from make_classifier import MICRO, V1, deterministic, model_config
from make_fcmae import block, decoder_config, encode, kept_map, layer_norm, reconstruction_loss, upsample

# Of each ReLU6 in training: the distances of the nearest values from 0 and 6, and how many are above 6.
CUTS = []
BN = ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var")


def decoder(kind, depth, width, heads=None, grn=False):
    return {"kind": kind, "heads": heads, **decoder_config(depth, width, grn)}


def encoder(depths, **options):
    return model_config(depths, MICRO, classes=0, **options)


# name, encoder, its kind, decoder, normalised target, mask ratio, batch, height, width
CASES = [
    ("transformer", encoder((1, 1, 1, 1), stem_stride=1), "sparse", decoder("transformer", 2, 32, 4), True, 0.6, 2, 24, 32),
    ("transformer-v1-plain", encoder((1, 1, 1, 1), stem_stride=2, **V1), "sparse", decoder("transformer", 1, 24, 3), False, 0.4, 3, 48, 32),
    ("unet-stem1", encoder((1, 1, 1, 1), stem_stride=1), "sparse", decoder("unet", 1, 16), True, 0.6, 2, 24, 32),
    ("unet-stem2", encoder((1, 1, 1, 1), stem_stride=2), "sparse", decoder("unet", 1, 32), True, 0.4, 3, 32, 48),
    ("unet-gray-stem4", encoder((1, 1, 2, 1), input_channels=1), "sparse", decoder("unet", 1, 64), True, 0.6, 2, 64, 96),
    ("unet-no-skip-stem4", encoder((1, 1, 1, 1)), "sparse", decoder("unet-no-skip", 1, 64), True, 0.5, 2, 64, 96),
    ("tokens", encoder((1, 1, 2, 1), stem_stride=1), "tokens", decoder("convnext", 1, 32, grn=True), True, 0.6, 2, 32, 24),
    ("tokens-unet", encoder((1, 1, 1, 1), stem_stride=1), "tokens", decoder("unet", 1, 16), True, 0.6, 2, 24, 32),
    ("tokens-transformer", encoder((1, 1, 1, 1), stem_stride=1), "tokens", decoder("transformer", 1, 16, 2), True, 0.6, 2, 24, 24),
    ("leaky", encoder((1, 1, 2, 1), stem_stride=1), "leaky", decoder("convnext", 1, 32, grn=True), True, 0.6, 2, 32, 24),
]


# Names and shapes ------------------------------------------------------------------------------


def conv_norm_shapes(name, outputs, inputs):
    return {f"{name}.conv.weight": (outputs, inputs, 3, 3)} | {f"{name}.{leaf}": (outputs,) for leaf in BN}


def unet_shapes(config, kind, width):
    shapes = {}
    steps = int(math.log2(8 * config["stem_stride"]))
    for step in range(steps):
        inputs, outputs = width >> step, width >> (step + 1)
        name = f"decoder.steps.{step}"
        shapes |= {f"{name}.up.weight": (inputs, inputs, 4, 4), f"{name}.up.bias": (inputs,)}
        shapes |= conv_norm_shapes(f"{name}.conv1", inputs, inputs)
        shapes |= conv_norm_shapes(f"{name}.conv2", outputs, inputs)
    for skip in range(min(3, steps - 1) if kind == "unet" else 0):
        name, outputs = f"decoder.skips.{skip}", width >> (skip + 1)
        shapes |= {f"{name}.proj.weight": (outputs, config["widths"][2 - skip], 1, 1), f"{name}.proj.bias": (outputs,)}
        shapes[f"{name}.mask_token"] = (1, outputs, 1, 1)
    return shapes, width >> steps


def transformer_shapes(depth, width):
    shapes = {"decoder.norm.weight": (width,), "decoder.norm.bias": (width,)}
    for number in range(depth):
        name = f"decoder.blocks.{number}"
        for norm in ("norm1", "norm2"):
            shapes |= {f"{name}.{norm}.weight": (width,), f"{name}.{norm}.bias": (width,)}
        for layer, outputs, inputs in (
            ("attn.qkv", 3 * width, width), ("attn.proj", width, width), ("mlp.fc1", 4 * width, width), ("mlp.fc2", width, 4 * width),
        ):
            shapes |= {f"{name}.{layer}.weight": (outputs, inputs), f"{name}.{layer}.bias": (outputs,)}
    return shapes


def shapes_of(config, encoder_kind, decoder):
    """Every tensor, running statistics included."""
    kind, width = decoder["kind"], decoder["width"]
    plain = rule.fcmae_shapes(config, decoder | {"depth": decoder["depth"] if kind == "convnext" else 0})
    if kind.startswith("unet"):
        shapes, last = unet_shapes(config, kind, width)
        channels = config["input_channels"]
        plain |= shapes | {"pred.weight": (channels, last, 1, 1), "pred.bias": (channels,)}
    elif kind == "transformer":
        plain |= transformer_shapes(decoder["depth"], width)
    if encoder_kind == "tokens":
        plain = {name: shape for name, shape in plain.items() if not name.endswith("mask_token")}
        plain["encoder_token"] = (1, config["widths"][0], 1, 1)
    return plain


# The encoders ----------------------------------------------------------------------------------


def encode_stages(p, config, encoder_kind, images, kept):
    """The maps of all stages, [N, C_i, H_i, W_i]."""
    inside = upsample(kept, 8)
    whole = torch.ones_like(kept) if encoder_kind in ("tokens", "leaky") else kept
    x = F.conv2d(images, p["encoder.downsample_layers.0.0.weight"], p["encoder.downsample_layers.0.0.bias"], stride=config["stem_stride"])
    x = layer_norm(x, p["encoder.downsample_layers.0.1.weight"], p["encoder.downsample_layers.0.1.bias"])
    x = torch.where(inside.bool(), x, p["encoder_token"]) if encoder_kind == "tokens" else x * inside
    maps = []
    for stage, depth in enumerate(config["depths"]):
        if stage > 0:
            down = f"encoder.downsample_layers.{stage}"
            x = layer_norm(x, p[f"{down}.0.weight"], p[f"{down}.0.bias"])
            x = F.conv2d(x, p[f"{down}.1.weight"], p[f"{down}.1.bias"], stride=2)
        for number in range(depth):
            x = block(p, f"encoder.stages.{stage}.{number}", x, upsample(whole, 8 >> stage))
        maps.append(x)
    return maps


# The decoders ----------------------------------------------------------------------------------


def sincos(places, channels):
    """[places, channels]: sines, then cosines."""
    frequencies = 1 / 10000 ** (torch.arange(channels // 2, dtype=torch.float64) / (channels / 2))
    angles = places.double()[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def position_embedding(rows, columns, channels):
    """MAE's: the column is embedded first. [rows * columns, channels]"""
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    return torch.cat([sincos(x.flatten(), channels // 2), sincos(y.flatten(), channels // 2)], 1)


def transformer_block(p, name, x, heads):
    """x is [N, P, D]."""
    linear = lambda x, layer: F.linear(x, p[f"{name}.{layer}.weight"], p[f"{name}.{layer}.bias"])
    norm = lambda x, layer: F.layer_norm(x, x.shape[-1:], p[f"{name}.{layer}.weight"], p[f"{name}.{layer}.bias"], 1e-6)
    n, patches, width = x.shape
    q, k, v = linear(norm(x, "norm1"), "attn.qkv").reshape(n, patches, 3, heads, -1).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1)
    x = x + linear((weights @ v).transpose(1, 2).reshape(n, patches, width), "attn.proj")
    return x + linear(F.gelu(linear(norm(x, "norm2"), "mlp.fc1")), "mlp.fc2")


def transformer(p, decoder, x):
    n, width, rows, columns = x.shape
    places = position_embedding(rows, columns, width).to(torch.float32).to(x.dtype)
    x = x.flatten(2).transpose(1, 2) + places
    for number in range(decoder["depth"]):
        x = transformer_block(p, f"decoder.blocks.{number}", x, decoder["heads"])
    x = F.layer_norm(x, (width,), p["decoder.norm.weight"], p["decoder.norm.bias"], 1e-6)
    return x.transpose(1, 2).reshape(n, width, rows, columns)


def conv_norm(p, name, x, statistics):
    """By the batch, whose statistics are told, or by the running ones if `statistics` is None."""
    x = F.conv2d(x, p[f"{name}.conv.weight"], padding=1)
    weight, bias, mean, variance = (p[f"{name}.{leaf}"] for leaf in BN)
    if statistics is None:
        return F.batch_norm(x, mean, variance, weight, bias, eps=1e-5)
    statistics[f"{name}.bn"] = [x.mean((0, 2, 3)).detach(), x.var((0, 2, 3), unbiased=True).detach()]
    return F.batch_norm(x, None, None, weight, bias, training=True, eps=1e-5)


def unet_step(p, name, x, statistics):
    x = F.conv_transpose2d(x, p[f"{name}.up.weight"], p[f"{name}.up.bias"], stride=2, padding=1)
    x = conv_norm(p, f"{name}.conv1", x, statistics)
    if statistics:
        CUTS.append([x.abs().min().item(), (x - 6).abs().min().item(), (x > 6).sum().item()])
    return conv_norm(p, f"{name}.conv2", F.relu6(x), statistics)


def fill(p, name, x, kept):
    """Mask tokens at removed patches, unless the encoder fills them."""
    return torch.where(upsample(kept, x.shape[2] // kept.shape[2]).bool(), x, p[name]) if name in p else x


def unet(p, config, decoder, x, maps, kept, statistics):
    for step in range(int(math.log2(8 * config["stem_stride"]))):
        x = unet_step(p, f"decoder.steps.{step}", x, statistics)
        name = f"decoder.skips.{step}"
        if f"{name}.proj.weight" in p:
            joined = F.conv2d(maps[2 - step], p[f"{name}.proj.weight"], p[f"{name}.proj.bias"])
            x = x + fill(p, f"{name}.mask_token", joined, kept)
    return x


def decode(p, config, decoder, maps, kept, statistics):
    """The prediction of every patch, [N, patches, values]."""
    x = fill(p, "mask_token", F.conv2d(maps[-1], p["proj.weight"], p["proj.bias"]), kept)
    if decoder["kind"] == "convnext":
        for number in range(decoder["depth"]):
            x = block(p, f"decoder.{number}", x, torch.ones_like(kept))
    elif decoder["kind"] == "transformer":
        x = transformer(p, decoder, x)
    else:
        x = unet(p, config, decoder, x, maps, kept, statistics)
    x = F.conv2d(x, p["pred.weight"], p["pred.bias"])
    if decoder["kind"].startswith("unet"):
        patch = 8 * config["stem_stride"]
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // patch, patch, w // patch, patch).permute(0, 2, 4, 3, 5, 1)
        return x.reshape(n, -1, patch * patch * c)
    return x.flatten(2).transpose(1, 2)


# One case --------------------------------------------------------------------------------------


def run(config, encoder_kind, decoder, normalize_target, kept_lists, shape, dtype):
    """Loss, prediction, gradients, statistics of batch norms, and the prediction by running statistics."""
    patch = 8 * config["stem_stride"]
    p = {
        name: torch.from_numpy(rule.parameter(name, shape)).to(dtype).requires_grad_("running" not in name)
        for name, shape in shapes_of(config, encoder_kind, decoder).items()
    }
    images = torch.from_numpy(rule.images(shape)).to(dtype)
    kept = kept_map(kept_lists, shape[2] // patch, shape[3] // patch, dtype)
    maps = encode_stages(p, config, encoder_kind, images, kept)
    statistics = {}
    prediction = decode(p, config, decoder, maps, kept, statistics)
    loss, predicted = reconstruction_loss(prediction, images, kept, patch, normalize_target)
    loss.backward()
    running = decode(p, config, decoder, maps, kept, None)[kept.flatten(1) == 0].detach()
    gradients = {name: value.grad for name, value in p.items() if value.requires_grad}
    return loss.detach(), predicted.detach(), gradients, statistics, running


# Is the model right? ---------------------------------------------------------------------------


def ruled(shapes):
    return {name: torch.from_numpy(rule.parameter(name, shape)).double() for name, shape in shapes.items()}


@torch.no_grad()
def check_transformer():
    """A block is timm's, of which MAE's decoder is made."""
    p = ruled(transformer_shapes(1, 24))
    official = Block(24, 3, qkv_bias=True, norm_layer=partial(nn.LayerNorm, eps=1e-6)).double()
    name = "decoder.blocks.0."
    official.load_state_dict({key.removeprefix(name): value for key, value in p.items() if key.startswith(name)})
    x = torch.from_numpy(rule.uniform("rows", 2 * 6 * 24)).reshape(2, 6, 24)
    torch.testing.assert_close(transformer_block(p, "decoder.blocks.0", x, 3), official(x))


@torch.no_grad()
def check_unet_step():
    """A step is made of PyTorch's modules, in training and in inference."""
    config = encoder((1, 1, 1, 1), stem_stride=1)
    p = ruled(unet_shapes(config, "unet-no-skip", 8)[0])
    modules = nn.Sequential(
        nn.ConvTranspose2d(8, 8, 4, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU6(),
        nn.Conv2d(8, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4),
    ).double()
    names = ["up.", "conv1.conv.", "conv1.bn.", None, "conv2.conv.", "conv2.bn."]
    for module, name in zip(modules, names):
        for leaf, value in list(module.named_parameters()) + list(module.named_buffers()):
            if leaf != "num_batches_tracked":
                value.copy_(p[f"decoder.steps.0.{name}{leaf}"])
    x = torch.from_numpy(rule.uniform("rows", 2 * 8 * 3 * 2)).reshape(2, 8, 3, 2) * 3
    torch.testing.assert_close(unet_step(p, "decoder.steps.0", x, None), modules.eval()(x))
    torch.testing.assert_close(unet_step(p, "decoder.steps.0", x, {}), modules.train()(x))


@torch.no_grad()
def check_encoders(config, encoder_kind, kept_lists, shape):
    """The sparse encoder is that of `make_fcmae.py`; in a dense one removed patches see kept ones."""
    patch = 8 * config["stem_stride"]
    p = ruled(shapes_of(config, encoder_kind, decoder("convnext", 1, 8)))
    images = torch.from_numpy(rule.images(shape)).double()
    kept = kept_map(kept_lists, shape[2] // patch, shape[3] // patch, torch.float64)
    last = encode_stages(p, config, encoder_kind, images, kept)[-1]
    if encoder_kind == "sparse":
        torch.testing.assert_close(last * kept, encode(p, config, images, kept) * kept)
    # The pixels of removed patches do not matter to any encoder.
    other = encode_stages(p, config, encoder_kind, images * upsample(kept, patch), kept)[-1]
    torch.testing.assert_close(last * kept, other * kept)


def main():
    deterministic()
    check_transformer()
    check_unet_step()
    above_six = 0
    for name, config, encoder_kind, of_decoder, normalize_target, ratio, batch, height, width in CASES:
        kept, shape = rule.masked_images(name, config, ratio, batch, height, width)
        check_encoders(config, encoder_kind, kept, shape)
        case = (config, encoder_kind, of_decoder, normalize_target, kept, shape)
        CUTS.clear()
        exact = run(*case, torch.float64)
        # The gradient jumps where a value is cut off, so that rounding may take none across.
        assert all(near > 5e-6 for at_zero, at_six, _ in CUTS for near in (at_zero, at_six)), f"{name}: {CUTS}"
        above_six += sum(above for _, _, above in CUTS)
        single = run(*case, torch.float32)
        golden = {
            "name": name,
            "config": config,
            "encoder_kind": encoder_kind,
            "decoder": {key: value for key, value in of_decoder.items() if value is not None},
            "normalize_target": normalize_target,
            "mask_ratio": ratio,
            "batch": batch,
            "height": height,
            "width": width,
            "kept": kept,
            **rule.training_results(exact[:3], single[:3]),
            "statistics": {
                key: [rule.sketch(*pair) for pair in zip(value, single[3][key])] for key, value in exact[3].items()
            },
            "running_prediction": rule.sketch(exact[4], single[4]),
        }
        rule.write("decoders", golden)
        print(f"  kept {len(kept[0])} patches, loss {golden['loss']:.6f}, float32 error {golden['loss_float32_error']:.1e}")
    assert above_six > 0, "no value is cut off at 6"
    print(f"{above_six} values are cut off at 6")


if __name__ == "__main__":
    main()
