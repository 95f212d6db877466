"""Golden values of FCMAE, computed with a plain dense masked model in PyTorch. See README.md.

Written from the paper and our facts (sections A2, A3, C2 to C4), for reading rather than for speed.
Maps are [N, C, H, W]. `kept` is 1 at kept sites and 0 at removed ones, [N, 1, H, W].
"""

import torch
import torch.nn.functional as F

import rule
from make_classifier import ATTO, ATTO_DEPTHS, MICRO, V1, deterministic, load, model_config, timm_model


def decoder_config(depth, width, grn=True, layer_scale=False):
    return {"depth": depth, "width": width, "grn": grn, "layer_scale": layer_scale}


def encoder_config(depths, widths=MICRO, **options):
    return model_config(depths, widths, classes=0, **options)


# name, encoder, decoder, normalised target, mask ratio, batch, height, width
CASES = [
    (
        "micro-v2-stem1-32x32",
        encoder_config((1, 1, 2, 1), stem_stride=1),
        decoder_config(1, 32), True, 0.6, 2, 32, 32,
    ),
    (
        "micro-v1-stem1-32x32",
        encoder_config((1, 2, 1, 1), stem_stride=1, **V1),
        decoder_config(2, 48, **V1), True, 0.3, 3, 32, 32,
    ),
    (
        "micro-v2-stem2-48x32",
        encoder_config((1, 1, 1, 2), stem_stride=2),
        decoder_config(2, 48), True, 0.3, 3, 48, 32,
    ),
    (
        "micro-v1-stem2-plain-64x48",
        encoder_config((2, 1, 1, 1), stem_stride=2, **V1),
        decoder_config(1, 32, **V1), False, 0.75, 2, 64, 48,
    ),
    (
        "micro-v2-stem4-96x64",
        encoder_config((1, 1, 2, 1)),
        decoder_config(1, 32), True, 0.3, 2, 96, 64,
    ),
    (
        "micro-v2-stem4-64x64",
        encoder_config((1, 2, 1, 1)),
        decoder_config(2, 32), True, 0.75, 3, 64, 64,
    ),
    (
        "micro-mixed-gray-32x32",
        encoder_config((1, 1, 1, 1), stem_stride=1, input_channels=1, layer_scale=True),
        decoder_config(1, 48, **V1), True, 0.75, 3, 32, 32,
    ),
    (
        "atto-v2-224",
        encoder_config(ATTO_DEPTHS, ATTO),
        decoder_config(1, 512), True, 0.6, 2, 224, 224,
    ),
]


# The model ------------------------------------------------------------------------------------


def layer_norm(x, weight, bias):
    """Over the channels of each site of a map."""
    x = x.permute(0, 2, 3, 1)
    return F.layer_norm(x, weight.shape, weight, bias, 1e-6).permute(0, 3, 1, 2)


def pointwise(x, weight, bias):
    """A linear layer at each site; the weight is [out, in]."""
    return F.conv2d(x, weight[:, :, None, None], bias)


def grn(x, gamma, beta, kept):
    """Global Response Normalization over the kept sites of each image.

    The norm has gradient 0 where it is 0, which is what `vector_norm` does.
    """
    norm = torch.linalg.vector_norm(x * kept, dim=(2, 3), keepdim=True)
    relative = norm / (norm.mean(dim=1, keepdim=True) + 1e-6)
    gamma, beta = gamma.reshape(1, -1, 1, 1), beta.reshape(1, -1, 1, 1)
    return gamma * x * relative + beta + x


def block(p, name, x, kept):
    """One V1 or V2 block; removed sites hold values nobody reads."""
    y = F.conv2d(x * kept, p[f"{name}.dwconv.weight"], p[f"{name}.dwconv.bias"], padding=3, groups=x.shape[1])
    y = layer_norm(y * kept, p[f"{name}.norm.weight"], p[f"{name}.norm.bias"])
    y = F.gelu(pointwise(y, p[f"{name}.pwconv1.weight"], p[f"{name}.pwconv1.bias"]))
    if f"{name}.grn.gamma" in p:
        y = grn(y, p[f"{name}.grn.gamma"], p[f"{name}.grn.beta"], kept)
    y = pointwise(y, p[f"{name}.pwconv2.weight"], p[f"{name}.pwconv2.bias"])
    if f"{name}.gamma" in p:
        y = y * p[f"{name}.gamma"].reshape(1, -1, 1, 1)
    return x + y


def upsample(kept, scale):
    return kept.repeat_interleave(scale, 2).repeat_interleave(scale, 3)


def encode(p, config, images, kept):
    """The last stage's map, [N, C3, rows, columns]; `kept` has one site per patch."""
    stem = "encoder.downsample_layers.0"
    x = F.conv2d(images, p[f"{stem}.0.weight"], p[f"{stem}.0.bias"], stride=config["stem_stride"])
    x = layer_norm(x, p[f"{stem}.1.weight"], p[f"{stem}.1.bias"]) * upsample(kept, 8)
    for stage, depth in enumerate(config["depths"]):
        if stage > 0:
            down = f"encoder.downsample_layers.{stage}"
            x = layer_norm(x, p[f"{down}.0.weight"], p[f"{down}.0.bias"])
            x = F.conv2d(x, p[f"{down}.1.weight"], p[f"{down}.1.bias"], stride=2)
        for number in range(depth):
            x = block(p, f"encoder.stages.{stage}.{number}", x, upsample(kept, 8 >> stage))
    return x


def decode(p, decoder, encoded, kept):
    """The prediction of every patch, [N, patches, values]."""
    x = F.conv2d(encoded, p["proj.weight"], p["proj.bias"])
    x = torch.where(kept.bool(), x, p["mask_token"])
    for number in range(decoder["depth"]):
        x = block(p, f"decoder.{number}", x, torch.ones_like(kept))
    return F.conv2d(x, p["pred.weight"], p["pred.bias"]).flatten(2).transpose(1, 2)


def patchify(images, patch):
    """[N, patches, values]: patches row by row; in a patch (row, column, channel), channel fastest."""
    n, c, h, w = images.shape
    x = images.reshape(n, c, h // patch, patch, w // patch, patch)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(n, -1, patch * patch * c)


def reconstruction_loss(prediction, images, kept, patch, normalize_target):
    """Mean squared error over the values of the removed patches, and the prediction there."""
    target = patchify(images, patch)
    if normalize_target:
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True, unbiased=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    removed = kept.flatten(1) == 0
    predicted = prediction[removed]
    return (predicted - target[removed]).square().mean(), predicted


# One case -------------------------------------------------------------------------------------


def parameters(config, decoder, dtype):
    shapes = rule.fcmae_shapes(config, decoder)
    return {
        name: torch.from_numpy(rule.parameter(name, shape)).to(dtype).requires_grad_()
        for name, shape in shapes.items()
    }


def kept_map(kept_lists, rows, columns, dtype):
    kept = torch.zeros(len(kept_lists), rows * columns, dtype=dtype)
    for row, patches in zip(kept, kept_lists):
        row[patches] = 1
    return kept.reshape(-1, 1, rows, columns)


def run(config, decoder, normalize_target, kept_lists, shape, dtype):
    """Loss, prediction at removed patches, and the gradient of every parameter."""
    patch = 8 * config["stem_stride"]
    p = parameters(config, decoder, dtype)
    images = torch.from_numpy(rule.images(shape)).to(dtype)
    kept = kept_map(kept_lists, shape[2] // patch, shape[3] // patch, dtype)
    prediction = decode(p, decoder, encode(p, config, images, kept), kept)
    loss, predicted = reconstruction_loss(prediction, images, kept, patch, normalize_target)
    loss.backward()
    return loss.detach(), predicted.detach(), {name: value.grad for name, value in p.items()}


# Is the model right? ----------------------------------------------------------------------------


@torch.no_grad()
def check_encoder(config, kept_lists, shape):
    patch = 8 * config["stem_stride"]
    p = parameters(config, decoder_config(1, 8), torch.float64)
    images = torch.from_numpy(rule.images(shape)).double()
    kept = kept_map(kept_lists, shape[2] // patch, shape[3] // patch, torch.float64)
    visible = kept.bool().expand(-1, config["widths"][-1], -1, -1)

    # Removed pixels have no influence on kept sites, not even a rounding error.
    encoded = encode(p, config, images, kept)
    noise = torch.from_numpy(rule.uniform("noise", images.numel())).reshape(shape)
    other = encode(p, config, images + 9 * noise * (1 - upsample(kept, patch)), kept)
    assert torch.equal(encoded[visible], other[visible])
    changed = encode(p, config, images + 9 * noise * upsample(kept, patch), kept)
    assert not torch.allclose(encoded[visible], changed[visible])

    # An image does not see the others.
    alone = encode(p, config, images[:1], kept[:1])
    torch.testing.assert_close(alone[visible[:1]], encoded[:1][visible[:1]], rtol=1e-12, atol=1e-12)

    # With nothing removed it is timm's ConvNeXt, from the same weights.
    model = timm_model(config)
    official = {name.removeprefix("encoder."): p[name].float() for name in p if name.startswith("encoder.")}
    report = load(model, official)
    assert sorted(report.missing_keys) == ["head.norm.bias", "head.norm.weight"] and not report.unexpected_keys
    expected = model.double().forward_features(images)
    torch.testing.assert_close(encode(p, config, images, torch.ones_like(kept)), expected, rtol=1e-11, atol=1e-11)


def check_grn():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 4, 3, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    gamma = torch.randn(1, 1, 1, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    beta = torch.randn(1, 1, 1, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    kept = torch.tensor([[1, 0, 0, 1, 1, 0], [0, 1, 0, 0, 0, 1]], dtype=torch.float64).reshape(2, 1, 3, 2)
    assert torch.autograd.gradcheck(lambda x, gamma, beta: grn(x, gamma, beta, kept), (x, gamma, beta))

    # The norm is taken over kept sites only, per image; a channel of zeros has a finite gradient.
    whole = grn(x[1:, :, [0, 2]][:, :, :, 1:], gamma, beta, torch.ones(1, 1, 2, 1))
    torch.testing.assert_close(grn(x, gamma, beta, kept)[1:, :, [0, 2]][:, :, :, 1:], whole)
    zero = torch.zeros_like(x).requires_grad_()
    grn(zero, gamma, beta, kept).sum().backward()
    assert torch.equal(zero.grad, torch.ones_like(zero))


def check_patchify():
    images = torch.arange(2 * 3 * 4 * 6).reshape(2, 3, 4, 6)
    patches = patchify(images, 2)
    for n, row, column, y, x, c in ((0, 0, 0, 0, 0, 0), (1, 1, 2, 0, 1, 2), (0, 1, 0, 1, 0, 1)):
        assert patches[n, row * 3 + column, (y * 2 + x) * 3 + c] == images[n, c, row * 2 + y, column * 2 + x]


def main():
    deterministic()
    check_grn()
    check_patchify()
    for name, config, decoder, normalize_target, ratio, batch, height, width in CASES:
        kept, shape = rule.masked_images(name, config, ratio, batch, height, width)
        check_encoder(config, kept, shape)
        case = (config, decoder, normalize_target, kept, shape)
        golden = {
            "name": name,
            "config": config,
            "decoder": decoder,
            "normalize_target": normalize_target,
            "mask_ratio": ratio,
            "batch": batch,
            "height": height,
            "width": width,
            "kept": kept,
            **rule.training_results(run(*case, torch.float64), run(*case, torch.float32)),
        }
        rule.write("fcmae", golden)
        print(
            f"  kept {len(kept[0])} patches, loss {golden['loss']:.6f} (float32 error "
            f"{golden['loss_float32_error']:.1e}), prediction {golden['prediction']['float32_error']:.1e}"
        )


if __name__ == "__main__":
    main()
