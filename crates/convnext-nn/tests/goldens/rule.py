"""Weights by rule, sketches of tensors, and the golden files.

Every parameter and input is a function of its official name, so no weight is stored: this file and
`tests/common/golden.rs` compute the same numbers, and the golden files hold results only.
"""

import functools
import json
import math
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent
PROJECTIONS = 8
NORM_FLOOR = 1e-7


# The rule ------------------------------------------------------------------------------------


def fnv1a64(name):
    """The 64-bit FNV-1a hash of a name."""
    value = 0xCBF29CE484222325
    for byte in name.encode():
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return value


def bits(name, count):
    """64 random bits for each of the indices 0..count of a name (splitmix64)."""
    index = np.arange(1, count + 1, dtype=np.uint64)
    z = np.uint64(fnv1a64(name)) + index * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def uniform(name, count):
    """Float64 values in [-1, 1)."""
    return (bits(name, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53 * 2 - 1


def parameter(name, shape):
    """A parameter of an official model, float32, in the official PyTorch shape."""
    u = uniform(name, math.prod(shape))
    if name.endswith((".bias", ".beta")):
        value = 0.2 * u
    elif name.endswith(".grn.gamma"):
        value = 0.5 * u
    elif name.endswith(".gamma"):  # LayerScale
        value = 0.5 + 0.4 * u
    elif name == "mask_token":
        value = 0.5 * u
    elif len(shape) == 1:  # LayerNorm
        value = 1 + 0.5 * u
    else:
        fan_in = math.prod(shape[1:])
        value = u * math.sqrt(3 / fan_in)
    return value.astype(np.float32).reshape(shape)


def images(shape):
    """The input images, float32, [N, C, H, W]."""
    return (1.5 * uniform("images", math.prod(shape))).astype(np.float32).reshape(shape)


def cotangent(shape):
    """What the logits are multiplied with to give the classifier's loss, float32."""
    return uniform("cotangent", math.prod(shape)).astype(np.float32).reshape(shape)


def kept_patches(image, patches, ratio):
    """The patches of image number `image` that stay visible: those with the smallest random bits."""
    kept = int(patches * (1 - ratio))
    return sorted(np.argsort(bits(f"mask.{image}", patches))[:kept].tolist())


def masked_images(name, config, ratio, batch, height, width):
    """The kept patches of each image of a case, which differ, and the shape of the images."""
    patch = 8 * config["stem_stride"]
    patches = (height // patch) * (width // patch)
    kept = [kept_patches(image, patches, ratio) for image in range(batch)]
    assert len(set(map(tuple, kept))) > 1, f"{name}: all images have the same mask, {kept}"
    return kept, (batch, config["input_channels"], height, width)


# Official names and shapes --------------------------------------------------------------------


def block_shapes(prefix, width, grn, layer_scale):
    shapes = {
        "dwconv.weight": (width, 1, 7, 7),
        "dwconv.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
        "pwconv1.weight": (4 * width, width),
        "pwconv1.bias": (4 * width,),
        "pwconv2.weight": (width, 4 * width),
        "pwconv2.bias": (width,),
    }
    if grn:
        shapes |= {"grn.gamma": (1, 1, 1, 4 * width), "grn.beta": (1, 1, 1, 4 * width)}
    if layer_scale:
        shapes["gamma"] = (width,)
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def encoder_shapes(config):
    """Stem, stages and the layers between them."""
    widths, stem, grn, layer_scale = (
        config[key] for key in ("widths", "stem_stride", "grn", "layer_scale")
    )
    shapes = {
        "downsample_layers.0.0.weight": (widths[0], config["input_channels"], stem, stem),
        "downsample_layers.0.0.bias": (widths[0],),
        "downsample_layers.0.1.weight": (widths[0],),
        "downsample_layers.0.1.bias": (widths[0],),
    }
    for stage in range(1, 4):
        before, width = widths[stage - 1 : stage + 1]
        shapes |= {
            f"downsample_layers.{stage}.0.weight": (before,),
            f"downsample_layers.{stage}.0.bias": (before,),
            f"downsample_layers.{stage}.1.weight": (width, before, 2, 2),
            f"downsample_layers.{stage}.1.bias": (width,),
        }
    for stage, (depth, width) in enumerate(zip(config["depths"], widths)):
        for block in range(depth):
            shapes |= block_shapes(f"stages.{stage}.{block}", width, grn, layer_scale)
    return shapes


def classifier_shapes(config):
    last = config["widths"][-1]
    return encoder_shapes(config) | {
        "norm.weight": (last,),
        "norm.bias": (last,),
        "head.weight": (config["classes"], last),
        "head.bias": (config["classes"],),
    }


def fcmae_shapes(config, decoder):
    width = decoder["width"]
    values = config["input_channels"] * (8 * config["stem_stride"]) ** 2
    shapes = {f"encoder.{name}": shape for name, shape in encoder_shapes(config).items()}
    shapes |= {
        "mask_token": (1, width, 1, 1),
        "proj.weight": (width, config["widths"][-1], 1, 1),
        "proj.bias": (width,),
        "pred.weight": (values, width, 1, 1),
        "pred.bias": (values,),
    }
    for block in range(decoder["depth"]):
        shapes |= block_shapes(f"decoder.{block}", width, decoder["grn"], decoder["layer_scale"])
    return shapes


# Sketches -------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=2)
def sketch_signs(count):
    """Rows of +1 (bit set) and -1, [PROJECTIONS, count]."""
    random = bits("sketch", count)
    bit_is_set = [(random >> np.uint64(k)) & np.uint64(1) for k in range(PROJECTIONS)]
    return np.stack(bit_is_set).astype(np.int8) * 2 - 1


def relative_error(found, exact):
    """||found - exact|| / ||exact||, with a floor below the norm."""
    return float(np.linalg.norm((found - exact).ravel()) / max(np.linalg.norm(exact.ravel()), NORM_FLOOR))


def sketch(exact, single):
    """Shape, norm and projections of a float64 tensor, and the true error of PyTorch's float32 run.

    The mean over k of (p_k - q_k)^2 estimates the squared distance of two sketched tensors.
    """
    exact, single = (tensor.detach().double().numpy() for tensor in (exact, single))
    flat = exact.ravel()
    projections = [float(np.sum(flat * signs)) for signs in sketch_signs(flat.size)]
    return {
        "shape": list(exact.shape),
        "norm": float(np.linalg.norm(flat)),
        "projections": projections,
        "float32_error": relative_error(single, exact),
    }


def training_results(exact, single):
    """Loss, prediction and gradients by name of a float64 run, with the errors of a float32 run."""
    (loss, prediction, gradients), (loss32, prediction32, gradients32) = exact, single
    return {
        "loss": loss.item(),
        "loss_float32_error": relative_error(loss32.double().numpy(), loss.numpy()),
        "prediction": sketch(prediction, prediction32),
        "gradients": {key: sketch(value, gradients32[key]) for key, value in gradients.items()},
    }


# Files ----------------------------------------------------------------------------------------


def write(folder, golden):
    """Writes one golden file: one value, logit row, feature or gradient per line."""

    def compact(value):
        return json.dumps(value, separators=(",", ":"), allow_nan=False)

    lines = []
    for key, value in golden.items():
        if key in ("logits", "features"):
            rows = ",\n".join(f"  {compact(row)}" for row in value)
            lines.append(f"{compact(key)}:[\n{rows}\n ]")
        elif key == "gradients":
            rows = ",\n".join(f"  {compact(name)}:{compact(row)}" for name, row in value.items())
            lines.append(f"{compact(key)}:{{\n{rows}\n }}")
        else:
            lines.append(f"{compact(key)}:{compact(value)}")
    path = FOLDER / folder / f"{golden['name']}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")
    errors = [row["float32_error"] for row in golden["gradients"].values()]
    smallest = min(row["norm"] for row in golden["gradients"].values())
    print(
        f"{folder}/{path.name}: {path.stat().st_size} bytes, {len(errors)} gradients, "
        f"largest float32 error {max(errors):.1e}, smallest norm {smallest:.1e}"
    )
