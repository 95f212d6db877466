"""Golden values of the layers on dense maps, computed with PyTorch. See README.md."""

import json

import torch
from torch.nn import functional
from torchvision import ops

import rule

# Layer, shape of the input, and what else PyTorch's function takes.
CONVOLUTIONS = [
    # Shape of the weight, padding, stride, bias.
    ((2, 5, 7, 4), (6, 5, 3, 3), (1, 1), (1, 1), False),
    ((1, 3, 1, 1), (4, 3, 3, 3), (1, 1), (1, 1), True),
    ((2, 3, 1, 6), (2, 3, 3, 3), (1, 1), (1, 1), True),
    ((3, 6, 5, 3), (7, 6, 1, 1), (0, 0), (1, 1), True),
    ((2, 4, 6, 9), (3, 4, 3, 3), (1, 1), (2, 2), True),
    ((1, 2, 8, 7), (3, 2, 3, 5), (0, 2), (2, 1), False),
    ((2, 3, 5, 6), (4, 3, 2, 2), (0, 0), (2, 3), True),
    ((1, 17, 9, 5), (19, 17, 3, 3), (1, 1), (1, 1), False),
]
RESIZES = [
    # Rule, size of the output.
    ("bilinear", (2, 3, 2, 3), (5, 4)),
    ("bilinear", (1, 2, 1, 1), (3, 5)),
    ("bilinear", (2, 5, 9, 7), (4, 3)),
    ("bilinear", (1, 4, 6, 6), (2, 13)),
    ("nearest", (2, 3, 4, 5), (8, 9)),
    ("nearest", (1, 1, 2, 3), (82, 7)),
    ("nearest", (1, 3, 13, 6), (25, 3)),
    ("adaptive_average", (2, 3, 4, 5), (6, 6)),
    ("adaptive_average", (2, 3, 5, 7), (3, 3)),
    ("adaptive_average", (1, 2, 8, 6), (2, 1)),
    ("adaptive_average", (3, 4, 1, 1), (6, 2)),
]
# Regions are an image, left, top, right and bottom.
REGIONS = [
    # Shape of the maps, size of the output, stride, regions: inside, across each edge, outside, without a size or with a
    # negative one, larger than the maps, and all of one.
    (
        (2, 5, 13, 10),
        (7, 7),
        4,
        [
            (0, 3.25, 4.125, 30.75, 41.875),
            (1, -20, -10, 25, 30.5),
            (0, 20, 30, 80, 90),
            (0, -200, -300, -100, -150),
            (1, 10, 10, 10, 20),
            (0, 10, 12, 10, 12),
            (0, 20, 20, 10, 10),
            (1, -500, -400, 700, 800),
            (0, 0, 0, 40, 52),
            (1, 39, 51, 41, 53),
            (0, -2.5, 5, -1, 9),
        ],
    ),
    ((1, 3, 1, 1), (2, 3), 32, [(0, 0, 0, 32, 32), (0, 5, 7, 90, 45), (0, -40, -2, 3, 70), (0, 64, 3, 70, 9)]),
    ((3, 4, 5, 7), (14, 14), 8, [(2, 1.5, 2.5, 50, 30), (0, 10, 3, 12, 40), (2, 30, 20, 56, 40)]),
    ((2, 70, 25, 38), (7, 7), 16, [(0, 100.5, 30.25, 420, 399.5), (1, 0, 0, 608, 400), (1, 500, 4, 650, 30)]),
    ((2, 6, 8, 9), (3, 5), 1, [(1, 2, 1, 7, 7), (0, 0, 0, 9, 8), (0, 4, 4, 5, 5), (1, 3, 2, 13, 8)]),
    ((1, 2, 6, 6), (1, 1), 2, [(0, 2, 2, 10, 6), (0, 2, 3, 3, 4)]),
]
TRANSPOSED_CONVOLUTIONS = [
    # Shape of the weight.
    ((3, 5, 4, 7), (5, 6, 2, 2)),
    ((1, 3, 1, 1), (3, 4, 2, 2)),
    ((2, 17, 5, 3), (17, 19, 2, 2)),
]
SUBSAMPLED = [(2, 3, 5, 8), (1, 2, 1, 1), (1, 4, 7, 3)]
BATCH_NORMS = [(2, 5, 3, 4), (3, 4, 1, 1), (1, 7, 9, 11)]


def inputs(shapes, dtype):
    """Tensors by their names, to be differentiated by."""
    tensors = {}
    for name, shape in shapes.items():
        value = rule.images(shape) if name == "maps" else rule.parameter(name, shape)
        tensors[name] = torch.from_numpy(value).to(dtype).requires_grad_()
    return tensors


def results(shapes, function):
    """The output and the gradients of its product with the cotangent, as sketches."""
    found = []
    for dtype in (torch.float64, torch.float32):
        tensors = inputs(shapes, dtype)
        output = function(**tensors)
        (output * torch.from_numpy(rule.cotangent(output.shape)).to(dtype)).sum().backward()
        found.append({"output": output} | {name: tensor.grad for name, tensor in tensors.items()})
    exact, single = found
    return {name: rule.sketch(tensor, single[name]) for name, tensor in exact.items()}


def convolution(shape, weight, padding, stride, has_bias):
    shapes = {"maps": shape, "conv.weight": weight} | ({"conv.bias": weight[:1]} if has_bias else {})

    def function(**tensors):
        return functional.conv2d(
            tensors["maps"], tensors["conv.weight"], tensors.get("conv.bias"), stride, padding
        )

    settings = {"weight": weight, "padding": padding, "stride": stride, "bias": has_bias}
    return {"maps": shape} | settings | {"results": results(shapes, function)}


def resize(kind, shape, size):
    def function(maps):
        if kind == "adaptive_average":
            return functional.adaptive_avg_pool2d(maps, size)
        corners = {"align_corners": False} if kind == "bilinear" else {}
        return functional.interpolate(maps, size, mode=kind, **corners)

    return {"maps": shape, "rule": kind, "size": size, "results": results({"maps": shape}, function)}


def regions(shape, size, stride, found, aligned):
    def function(maps):
        boxes = torch.tensor(found, dtype=maps.dtype)
        return ops.roi_align(maps, boxes, size, 1 / stride, sampling_ratio=0 if aligned else 2, aligned=aligned)

    settings = {"size": size, "stride": stride, "regions": found, "aligned": aligned}
    return {"maps": shape} | settings | {"results": results({"maps": shape}, function)}


def transposed_convolution(shape, weight):
    shapes = {"maps": shape, "upsample.weight": weight, "upsample.bias": weight[1:2]}

    def function(**tensors):
        return functional.conv_transpose2d(
            tensors["maps"], tensors["upsample.weight"], tensors["upsample.bias"], stride=2
        )

    return {"maps": shape, "weight": weight, "results": results(shapes, function)}


def subsampled(shape):
    return {"maps": shape, "results": results({"maps": shape}, lambda maps: functional.max_pool2d(maps, 1, 2))}


def batch_norm(shape):
    shapes = {"maps": shape, "bn.weight": shape[1:2], "bn.bias": shape[1:2]}

    def function(**tensors):
        normalised = functional.batch_norm(
            tensors["maps"], None, None, tensors["bn.weight"], tensors["bn.bias"], training=True, eps=1e-5
        )
        return functional.relu(normalised)

    maps = torch.from_numpy(rule.images(shape)).double()
    statistics = {"mean": maps.mean((0, 2, 3)).tolist(), "variance": maps.var((0, 2, 3)).tolist()}
    return {"maps": shape} | statistics | {"results": results(shapes, function)}


def main():
    torch.set_num_threads(1)
    golden = {
        "convolutions": [convolution(*case) for case in CONVOLUTIONS],
        "resizes": [resize(*case) for case in RESIZES],
        "regions": [regions(*case, aligned) for aligned in (True, False) for case in REGIONS],
        "transposed_convolutions": [transposed_convolution(*case) for case in TRANSPOSED_CONVOLUTIONS],
        "subsampled": [subsampled(shape) for shape in SUBSAMPLED],
        "batch_norms": [batch_norm(case) for case in BATCH_NORMS],
    }

    def rows(cases):
        return ",\n".join(f"  {json.dumps(case, separators=(',', ':'))}" for case in cases)

    text = ",\n".join(f' "{kind}":[\n{rows(cases)}\n ]' for kind, cases in golden.items())
    path = rule.FOLDER / "layers.json"
    path.write_text("{\n" + text + "\n}\n")
    cases = sum(golden.values(), [])
    errors = [sketch["float32_error"] for case in cases for sketch in case["results"].values()]
    print(f"{path.name}: {path.stat().st_size} bytes, largest float32 error {max(errors):.1e}")


if __name__ == "__main__":
    main()
