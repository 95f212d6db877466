"""Golden values of a block with GRN and each of its rivals (paper Tables 2 and 16), computed with PyTorch. See README.md.

Written from the paper and our facts (sections A2 to A4). Maps are [N, C, H, W]; `kept` is 1 at kept sites and 0 at
removed ones, [N, 1, H, W]. Values of results are in the order of rows: image, kept tile, y, x.
"""

import json

import torch
import torch.nn.functional as F

import rule
from make_classifier import deterministic
from make_fcmae import layer_norm, pointwise

CHANNELS, HIDDEN, GATE = 4, 16, 1
IMAGES, GRID, TILE = 2, (2, 3), 2
HEIGHT, WIDTH = GRID[0] * TILE, GRID[1] * TILE
KEPT = [[0, 2, 5], [1, 3, 4]]
SHAPES = {
    "dwconv.weight": (CHANNELS, 1, 7, 7),
    "dwconv.bias": (CHANNELS,),
    "norm.weight": (CHANNELS,),
    "norm.bias": (CHANNELS,),
    "pwconv1.weight": (HIDDEN, CHANNELS),
    "pwconv1.bias": (HIDDEN,),
    "pwconv2.weight": (CHANNELS, HIDDEN),
    "pwconv2.bias": (CHANNELS,),
}
SCALE_AND_SHIFT = {"grn.gamma": (1, 1, 1, HIDDEN), "grn.beta": (1, 1, 1, HIDDEN)}
RIVALS = {
    "lrn": {},
    "bn": {"bn.weight": (HIDDEN,), "bn.bias": (HIDDEN,)},
    "ln": {"ln.weight": (HIDDEN,), "ln.bias": (HIDDEN,)},
    "se": {"se.fc1.weight": (GATE, HIDDEN), "se.fc2.weight": (HIDDEN, GATE)},
    "cbam": {
        "cbam.fc1.weight": (GATE, HIDDEN),
        "cbam.fc2.weight": (HIDDEN, GATE),
        "cbam.conv.weight": (1, 2, 7, 7),
    },
}
RUNNING = {"bn.running_mean": (HIDDEN,), "bn.running_var": (HIDDEN,)}
GRNS = [
    "grn", "grn-average", "grn-l1", "grn-standardised", "grn-sum", "grn-no-residual", "grn-no-norm", "grn-no-pool",
    "identity",
]


def mean(x, kept):
    return (x * kept).sum((2, 3), keepdim=True) / kept.sum((2, 3), keepdim=True)


def largest(x, kept):
    return torch.where(kept.bool(), x, -torch.inf).amax((2, 3), keepdim=True)


def response(norm, x, kept):
    """N(G(X)) of a variant of GRN."""
    l2 = torch.linalg.vector_norm(x * kept, dim=(2, 3), keepdim=True)
    divided = lambda g: g / (g.mean(1, keepdim=True) + 1e-6)
    match norm:
        case "grn" | "grn-no-residual":
            return divided(l2)
        case "grn-average":
            g = mean(x, kept)
            return g / (g.abs().mean(1, keepdim=True) + 1e-6)
        case "grn-l1":
            return divided((x * kept).abs().sum((2, 3), keepdim=True))
        case "grn-standardised":
            return (l2 - l2.mean(1, keepdim=True)) / (l2.var(1, keepdim=True, unbiased=False) + 1e-6).sqrt()
        case "grn-sum":
            return l2 / (l2.sum(1, keepdim=True) + 1e-6)
        case "grn-no-norm":
            return l2
        case "grn-no-pool":
            return divided(x)
        case "identity":
            return torch.ones_like(l2)


def local_response_norm(x):
    """AlexNet's, whose factor is not divided by the window as that of PyTorch's function is."""
    return F.local_response_norm(x, 5, alpha=5 * 1e-4, beta=0.75, k=2)


def gate(pooled, p, name):
    middle = F.relu(F.conv2d(pooled, p[f"{name}.fc1.weight"][:, :, None, None]))
    return F.conv2d(middle, p[f"{name}.fc2.weight"][:, :, None, None])


def normalise(norm, x, kept, p):
    """The normalised hidden channels, and what batch norm sees: mean and unbiased variance."""
    if norm in GRNS:
        gamma, beta = (p[f"grn.{name}"].reshape(1, -1, 1, 1) for name in ("gamma", "beta"))
        y = gamma * x * response(norm, x, kept) + beta
        return (y if norm == "grn-no-residual" else y + x), None
    if norm == "lrn":
        return local_response_norm(x), None
    if norm == "ln":
        return layer_norm(x, p["ln.weight"], p["ln.bias"]), None
    if norm == "se":
        return x * gate(mean(x, kept), p, "se").sigmoid(), None
    if norm == "cbam":
        x = x * (gate(mean(x, kept), p, "cbam") + gate(largest(x, kept), p, "cbam")).sigmoid()
        pooled = torch.cat([x.amax(1, keepdim=True), x.mean(1, keepdim=True)], 1)
        return x * F.conv2d(pooled * kept, p["cbam.conv.weight"], padding=3).sigmoid(), None
    assert norm == "bn"
    sites = x.permute(0, 2, 3, 1)[kept[:, 0].bool()]
    y = torch.zeros_like(x).permute(0, 2, 3, 1)
    y[kept[:, 0].bool()] = F.batch_norm(sites, None, None, p["bn.weight"], p["bn.bias"], training=True, eps=1e-5)
    return y.permute(0, 3, 1, 2), [sites.mean(0), sites.var(0, unbiased=True)]


def block(norm, x, kept, p, running=None):
    y = F.conv2d(x * kept, p["dwconv.weight"], p["dwconv.bias"], padding=3, groups=CHANNELS)
    y = layer_norm(y, p["norm.weight"], p["norm.bias"])
    y = F.gelu(pointwise(y, p["pwconv1.weight"], p["pwconv1.bias"]))
    if running:
        y, statistics = F.batch_norm(y, *running, p["bn.weight"], p["bn.bias"], eps=1e-5), None
    else:
        y, statistics = normalise(norm, y, kept, p)
    y = pointwise(y, p["pwconv2.weight"], p["pwconv2.bias"])
    if "gamma" in p:
        y = y * p["gamma"].reshape(1, -1, 1, 1)
    return x + y, statistics


def positions(kept_tiles):
    """Places (image, y, x) of the rows."""
    tiles = [[(tile // GRID[1], tile % GRID[1]) for tile in image] for image in kept_tiles]
    return [
        (image, row * TILE + y, column * TILE + x)
        for image, of_image in enumerate(tiles)
        for row, column in of_image
        for y in range(TILE)
        for x in range(TILE)
    ]


def tensor(name, shape, dtype):
    return torch.from_numpy(rule.parameter(name, shape)).to(dtype)


def run(norm, layer_scale, places, dtype):
    """Output, gradient of the rows, gradients of the parameters, statistics and the output by running ones."""
    shapes = SHAPES | (SCALE_AND_SHIFT if norm in GRNS else RIVALS[norm])
    if layer_scale:
        shapes = shapes | {"gamma": (CHANNELS,)}
    p = {name: tensor(name, shape, dtype).requires_grad_() for name, shape in shapes.items()}
    index = tuple(torch.tensor(places).T)
    rows = torch.from_numpy(rule.uniform("rows", len(places) * CHANNELS)).to(torch.float32).to(dtype)
    rows = rows.reshape(-1, CHANNELS).requires_grad_()
    kept = torch.zeros(IMAGES, HEIGHT, WIDTH, dtype=dtype)
    kept[index] = 1
    kept = kept[:, None]
    x = torch.zeros(IMAGES, HEIGHT, WIDTH, CHANNELS, dtype=dtype).index_put(index, rows).permute(0, 3, 1, 2)
    of_rows = lambda map: map.permute(0, 2, 3, 1)[index]
    y, statistics = block(norm, x, kept, p)
    output = of_rows(y)
    (output * torch.from_numpy(rule.cotangent(output.shape)).to(dtype)).sum().backward()
    running = None
    if norm == "bn":
        running = of_rows(block(norm, x, kept, p, [tensor(*item, dtype) for item in RUNNING.items()])[0])
    return output, rows.grad, {name: value.grad for name, value in p.items()}, statistics, running


def case(norm, layer_scale, kept_tiles):
    all_tiles = [list(range(GRID[0] * GRID[1]))] * IMAGES
    places = positions(kept_tiles) if kept_tiles else sorted(positions(all_tiles))
    exact, single = (run(norm, layer_scale, places, dtype) for dtype in (torch.float64, torch.float32))
    golden = {
        "norm": norm,
        "layer_scale": layer_scale,
        "kept": kept_tiles,
        "output": rule.sketch(exact[0], single[0]),
        "input_gradient": rule.sketch(exact[1], single[1]),
        "gradients": {name: rule.sketch(value, single[2][name]) for name, value in exact[2].items()},
    }
    if norm == "bn":
        golden["statistics"] = [rule.sketch(*pair) for pair in zip(exact[3], single[3])]
        golden["running_output"] = rule.sketch(exact[4], single[4])
    return golden


def main():
    deterministic()
    norms = GRNS + list(RIVALS)
    cases = [
        case(norm, layer_scale=number % 2 == 1, kept_tiles=kept)
        for number, norm in enumerate(norms)
        for kept in (None, KEPT)
    ]
    lines = ",\n".join(json.dumps(one, separators=(",", ":"), allow_nan=False) for one in cases)
    path = rule.FOLDER / "response_norms.json"
    path.write_text(f"[\n{lines}\n]\n")
    print(f"{path.name}: {path.stat().st_size} bytes, {len(cases)} cases")


if __name__ == "__main__":
    main()
