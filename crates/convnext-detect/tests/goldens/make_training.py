"""Golden values of the training and use of Mask R-CNN, computed with PyTorch in float64. See README.md."""

import json
import math

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.ops import nms, roi_align

from make_network import (
    FOLDER, SMALL, STRIDES, V1, backbone_name, background_last, extract, network, rule, shapes, torchvision_name,
)

RATIOS = (0.5, 1.0, 2.0)
MASK_SIDE = 28
ANCHOR_DEVIATIONS, REGION_DEVIATIONS = (1.0, 1.0, 1.0, 1.0), (0.1, 0.1, 0.2, 0.2)
HALF = 0.5 - 1e-9  # so that exact halves do not depend on the order of additions

# Images of a batch: height, width, and objects as class, box and whether it is a crowd; coordinates are multiples of 1/64.
FIRST = (120, 250, [
    (2, (12.25, 9.5, 101.75, 94.0), False),
    (1, (170.0, 10.0, 240.0, 56.0), True),
    (0, (80.0, 60.5, 237.0, 116.0), False),
    (4, (141.5, 8.25, 164.0, 41.75), False),
])
SECOND = (100, 150, [(2, (6.0, 20.0, 67.5, 98.75), False), (3, (60.25, 5.5, 144.0, 81.75), False)])
OF_THREE = (90, 122, [(2, (8.25, 5.5, 50.75, 47.0), False), (0, (40.0, 30.5, 118.5, 88.0), False)])
EMPTY = (64, 75, [])

# name, configuration, images, levels that anchors are sampled from
CASES = [
    ("training-masks", SMALL, [FIRST, SECOND], 5),
    ("training-v1-boxes", V1, [OF_THREE, EMPTY], 5),
    # Neither has an anchor or a region on the last levels, nor the mask head anything to learn.
    ("training-nothing", SMALL, [EMPTY], 2),
]

STEPS, RATE, DECAY, BETAS = 20, 1e-3, 0.05, (0.9, 0.999)


# Images and objects ----------------------------------------------------------------------------


def up_to_32(side):
    return -(-side // 32) * 32


def pixels(name, images, dtype):
    """Images by rule in the upper left corner, zeros around them."""
    size = [max(up_to_32(image[axis]) for image in images) for axis in (0, 1)]
    batch = torch.zeros(len(images), 3, *size, dtype=dtype)
    for at, (height, width, _) in enumerate(images):
        values = 1.5 * rule.uniform(f"{name}.image.{at}", 3 * height * width)
        values = torch.from_numpy(values.astype(np.float32)).to(dtype)
        batch[at, :, :height, :width] = values.reshape(3, height, width)
    return batch


def mask(height, width, box):
    """A ring-like object within its box: an ellipse without a smaller one."""
    left, top, right, bottom = box
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    across, down = (x - (left + right) / 2) / ((right - left) / 2), (y - (top + bottom) / 2) / ((bottom - top) / 2)
    return (across**2 + down**2 <= 1) & ((across - 0.25) ** 2 + down**2 > 0.1)


def runs(inside):
    """COCO's counts: lengths of runs down the columns, the first of them outside."""
    values = inside.T.reshape(-1).int().numpy()
    edges = np.nonzero(np.diff(np.concatenate([[0], values, [-1]])))[0]
    return np.diff(np.concatenate([[0], edges])).tolist()


# Boxes -----------------------------------------------------------------------------------------


def map_sizes(height, width):
    sizes = [(height // stride, width // stride) for stride in STRIDES[:4]]
    return [*sizes, tuple(-(-side // 2) for side in sizes[-1])]


def level_anchors(level, height, width):
    stride = STRIDES[level]
    root = torch.tensor(RATIOS, dtype=torch.float64).sqrt()
    half_width, half_height = stride * 8 / root / 2, stride * 8 * root / 2
    shape = torch.stack([-half_width, -half_height, half_width, half_height], 1)
    y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    corner = torch.stack([x, y, x, y], -1).reshape(-1, 1, 4).double()
    return (corner + shape).reshape(-1, 4)


def is_valid(level, height, width, image):
    """The anchors of the cells that begin within the image, padded by itself."""
    stride = STRIDES[level]
    y, x = torch.meshgrid(torch.arange(height) * stride, torch.arange(width) * stride, indexing="ij")
    valid = (y < up_to_32(image[0])) & (x < up_to_32(image[1]))
    return valid.reshape(-1, 1).expand(-1, 3).reshape(-1)


def overlaps(ones, others):
    area = lambda boxes: (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    low = torch.maximum(ones[:, None, :2], others[None, :, :2])
    high = torch.minimum(ones[:, None, 2:], others[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    return shared / (area(ones)[:, None] + area(others)[None] - shared).clamp(min=1e-6)


def assign(boxes, objects, positive, negative):
    """MaxIoUAssigner: -1 ignored, 0 background, i + 1 the object i; each object has its nearest boxes."""
    found = torch.full((len(boxes),), -1)
    if len(objects) == 0:
        return torch.zeros_like(found)
    matrix = overlaps(objects, boxes)
    best, which = matrix.max(0)
    found[best < negative] = 0
    found[best >= positive] = which[best >= positive] + 1
    for at, row in enumerate(matrix):
        if row.max() >= negative:
            found[row == row.max()] = at + 1
    return found


def encode(bases, targets, deviations):
    side, target_side = bases[:, 2:] - bases[:, :2], targets[:, 2:] - targets[:, :2]
    moved = ((targets[:, :2] + targets[:, 2:]) - (bases[:, :2] + bases[:, 2:])) / 2 / side
    return torch.cat([moved, (target_side / side).log()], 1) / torch.tensor(deviations, dtype=bases.dtype)


def decode(bases, deltas, deviations, size):
    deltas = deltas * torch.tensor(deviations, dtype=deltas.dtype)
    limit = abs(math.log(16 / 1000))
    side = bases[:, 2:] - bases[:, :2]
    centre = (bases[:, 2:] + bases[:, :2]) / 2 + side * deltas[:, :2]
    half = side * deltas[:, 2:].clamp(-limit, limit).exp() / 2
    boxes = torch.cat([centre - half, centre + half], 1)
    return torch.stack([boxes[:, at].clamp(0, size[1 - at % 2]) for at in range(4)], 1)


# Samples ---------------------------------------------------------------------------------------


def some(name, indices, count):
    """At most so many of some indices, chosen by the rule."""
    order = np.argsort(rule.bits(name, len(indices)))[:count]
    return sorted(int(indices[at]) for at in order)


def sampled_anchors(name, image, sizes, levels):
    """Anchors on objects, each with the place of its object among those of the image, and anchors on background."""
    height, width, objects = image
    learned = [at for at, (_, _, is_crowd) in enumerate(objects) if not is_crowd]
    boxes = torch.tensor([objects[at][1] for at in learned], dtype=torch.float64).reshape(-1, 4)
    anchors = torch.cat([level_anchors(level, *size) for level, size in enumerate(sizes)])
    valid = torch.cat([is_valid(level, *size, image) for level, size in enumerate(sizes)])
    matched = torch.full((len(anchors),), -1)
    matched[valid] = assign(anchors[valid], boxes, 0.7, 0.3)
    candidates = matched[: sum(3 * math.prod(size) for size in sizes[:levels])]
    positives = some(f"{name}.positives", (candidates > 0).nonzero()[:, 0], 16)
    negatives = some(f"{name}.negatives", (candidates == 0).nonzero()[:, 0], 24)
    # Few anchors are on the last levels; some of them are always among the sample.
    rest = (matched == 0).nonzero()[:, 0]
    negatives += some(f"{name}.last", rest[rest >= len(candidates) - 200], 4) if levels == 5 else []
    return {"positives": [[at, learned[matched[at] - 1]] for at in positives], "negatives": sorted(set(negatives))}


def sampled_regions(name, image):
    """Objects, boxes near them and anywhere, some beyond the image, as left, top, right, bottom and the object if any."""
    height, width, objects = image
    learned = [at for at, (_, _, is_crowd) in enumerate(objects) if not is_crowd]
    own = torch.tensor([objects[at][1] for at in learned], dtype=torch.float64).reshape(-1, 4)
    near = [own + 6 * torch.from_numpy(rule.uniform(f"{name}.near.{k}", own.numel())).reshape(-1, 4) for k in range(3)]
    corner = torch.from_numpy(rule.uniform(f"{name}.corner", 16)).reshape(8, 2)
    side = torch.from_numpy(rule.uniform(f"{name}.side", 16)).reshape(8, 2)
    corner = (corner + 0.8) / 2 * torch.tensor([width, height])
    side = 4 + (side + 1) ** 2 / 4 * torch.tensor([width, height])
    beyond = torch.tensor([[-20.0, -30.0, width + 30.0, height + 90.0], [width - 9.0, -8.0, width + 60.0, 50.0]])
    boxes = torch.cat([own, *near, torch.cat([corner, corner + side], 1), beyond.double()])
    boxes = (boxes * 64).round() / 64
    matched = assign(boxes, own, 0.5, 0.5)
    objects_of = [learned[at - 1] if at > 0 else None for at in matched.tolist()]
    # With objects first, as they are sampled.
    return sorted(([*box, of] for box, of in zip(boxes.tolist(), objects_of)), key=lambda row: row[4] is None)


def samples(name, images, levels):
    sizes = map_sizes(*(max(up_to_32(image[axis]) for image in images) for axis in (0, 1)))
    found = []
    for at, image in enumerate(images):
        height, width, objects = image
        described = [
            {"class": of, "box": box, "is_crowd": is_crowd, "counts": runs(mask(height, width, box))}
            for of, box, is_crowd in objects
        ]
        found.append({
            "height": height,
            "width": width,
            "objects": described,
            "anchors": sampled_anchors(f"{name}.anchors.{at}", image, sizes, levels),
            "regions": sampled_regions(f"{name}.regions.{at}", image),
        })
    return found


# Losses ----------------------------------------------------------------------------------------


def by_anchor(outputs, kind, width):
    """All outputs of an image in the order (level, y, x, anchor)."""
    levels = [outputs[f"{kind}.p{level}"] for level in range(2, 7)]
    return torch.cat([maps.permute(0, 2, 3, 1).reshape(len(maps), -1, width) for maps in levels], 1)


def rpn_losses(outputs, found):
    """`AnchorHead.loss_by_feat`: sums over labels with weights, divided by the sampled anchors, each kind at least one."""
    logits, deltas = by_anchor(outputs, "objectness", 1)[..., 0], by_anchor(outputs, "deltas", 4)
    anchors = torch.cat([
        level_anchors(level, *outputs[f"objectness.p{level + 2}"].shape[2:]) for level in range(5)
    ])
    labels, weights = torch.zeros_like(logits), torch.zeros_like(logits)
    targets, target_weights, divisor = torch.zeros_like(deltas), torch.zeros_like(deltas), 0
    for at, image in enumerate(found):
        positives, negatives = image["anchors"]["positives"], image["anchors"]["negatives"]
        for anchor, of in positives:
            box = torch.tensor([image["objects"][of]["box"]], dtype=torch.float64)
            labels[at, anchor] = weights[at, anchor] = 1
            targets[at, anchor] = encode(anchors[anchor : anchor + 1], box, ANCHOR_DEVIATIONS)[0].to(deltas.dtype)
            target_weights[at, anchor] = 1
        weights[at, negatives] = 1
        divisor += max(len(positives), 1) + max(len(negatives), 1)
    of_class = F.binary_cross_entropy_with_logits(logits, labels, weights, reduction="sum") / divisor
    return of_class, ((deltas - targets).abs() * target_weights).sum() / divisor


def box_losses(outputs, found, classes):
    """`BBoxHead.loss`."""
    labels, targets = [], []
    for image in found:
        for *box, of in image["regions"]:
            region = torch.tensor([box], dtype=torch.float64)
            own = region if of is None else torch.tensor([image["objects"][of]["box"]], dtype=torch.float64)
            labels.append(classes if of is None else image["objects"][of]["class"])
            targets.append(encode(region, own, REGION_DEVIATIONS))
    labels, targets = torch.tensor(labels), torch.cat(targets).to(outputs["scores"].dtype)
    of_class = F.cross_entropy(outputs["scores"], labels, reduction="sum") / len(labels)
    deltas = outputs["box_deltas"].reshape(len(labels), classes, 4)
    positive = labels < classes
    difference = (deltas[positive, labels[positive]] - targets[positive]).abs().sum()
    return of_class, difference / len(labels)


def mask_rows(found):
    """The regions with an object by their place among all, with image and object."""
    rows = [(image, *region) for image in found for region in image["regions"]]
    return [(at, row[0], row[1:5], row[5]) for at, row in enumerate(rows) if row[5] is not None]


def mask_loss(logits, found, size):
    """`FCNMaskHead.loss_and_target` with the targets of bitmaps that are padded to the size of the batch."""
    if len(logits) == 0:
        return logits.sum()
    targets, of_class = [], []
    for _, image, box, of in mask_rows(found):
        whole = torch.zeros(1, 1, *size, dtype=torch.float64)
        shown = mask(image["height"], image["width"], image["objects"][of]["box"])
        whole[0, 0, : image["height"], : image["width"]] = shown.double()
        clipped = [min(max(edge, 0.0), float(size[1 - axis % 2])) for axis, edge in enumerate(box)]
        region = torch.tensor([[0.0, *clipped]], dtype=torch.float64)
        targets.append(roi_align(whole, region, MASK_SIDE, 1.0, 0, aligned=True)[0, 0] >= HALF)
        of_class.append(image["objects"][of]["class"])
    chosen = logits[torch.arange(len(logits)), torch.tensor(of_class)]
    return F.binary_cross_entropy_with_logits(chosen, torch.stack(targets).to(logits.dtype))


def losses(model, batch, found, config):
    """The parts of the loss by name."""
    boxes = [[at, *region[:4]] for at, image in enumerate(found) for region in image["regions"]]
    masked = [row[0] for row in mask_rows(found)]
    outputs = model(batch, torch.tensor(boxes, dtype=batch.dtype), masked)
    parts = dict(zip(("rpn_class", "rpn_box"), rpn_losses(outputs, found)))
    parts |= dict(zip(("class", "box"), box_losses(outputs, found, config["classes"])))
    if config["masks"]:
        parts["mask"] = mask_loss(outputs["mask_logits"], found, batch.shape[2:])
    return parts


def parameters(model, config):
    """Every parameter by MMDetection's name."""
    named = dict(model.named_parameters())
    key = lambda name: f"backbone.{of}" if (of := backbone_name(name)) else f"heads.{torchvision_name(name)}"
    return {name: named[key(name)] for name in shapes(config)}


def one_pass(name, config, images, found, dtype):
    model = network(config, dtype)
    parts = losses(model, pixels(name, images, dtype), found, config)
    sum(parts.values()).backward()
    gradients = {}
    for parameter, tensor in parameters(model, config).items():
        gradient = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        gradients[parameter] = background_last(parameter, gradient).reshape(shapes(config)[parameter])
    return {part: loss.item() for part, loss in parts.items()}, gradients


def steps(name, config, images, found, dtype):
    """Steps of AdamW by the same samples, and the parameters after them. 1-D parameters, biases and GRN do not decay."""
    model = network(config, dtype)
    batch = pixels(name, images, dtype)
    named = parameters(model, config)
    decays = lambda parameter: len(shapes(config)[parameter]) > 1 and ".grn." not in parameter
    groups = [
        {"params": [tensor for parameter, tensor in named.items() if decays(parameter) == wanted], "weight_decay": decay}
        for wanted, decay in ((True, DECAY), (False, 0.0))
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, eps=1e-8)
    curve = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        loss = sum(losses(model, batch, found, config).values())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    last = {key: background_last(key, tensor.detach()).reshape(shapes(config)[key]) for key, tensor in named.items()}
    return curve, last


# Proposals and detections ----------------------------------------------------------------------


def grouped_nms(boxes, scores, groups, threshold):
    """Each group by itself, then all by descending score."""
    kept = [(groups == group).nonzero()[:, 0] for group in groups.unique()]
    kept = [indices[nms(boxes[indices], scores[indices], threshold)] for indices in kept]
    kept = torch.cat(kept).sort().values
    return kept[scores[kept].sort(descending=True, stable=True).indices]


def proposals(outputs, at, size, best_of_level, read):
    """`RPNHead.predict_by_feat` for an image of this size: at most 1000 boxes."""
    boxes, scores, levels = [], [], []
    for level in range(5):
        logits, deltas = outputs[f"objectness.p{level + 2}"][at], outputs[f"deltas.p{level + 2}"][at]
        anchors = level_anchors(level, *logits.shape[1:])
        logits, deltas = logits.permute(1, 2, 0).reshape(-1), deltas.permute(1, 2, 0).reshape(-1, 4)
        logits, deltas = read(logits), read(deltas)
        best = logits.sort(descending=True, stable=True).indices[:best_of_level]
        boxes.append(decode(anchors[best], deltas[best], ANCHOR_DEVIATIONS, size))
        scores.append(logits[best].sigmoid())
        levels.append(torch.full((len(best),), level))
    boxes, scores, levels = torch.cat(boxes), torch.cat(scores), torch.cat(levels)
    inside = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    boxes, scores, levels = boxes[inside], scores[inside], levels[inside]
    kept = grouped_nms(boxes, scores, levels, 0.7)[:1000]
    return boxes[kept]


def soft_nms(boxes, scores, method):
    """mmcv's `softnms_cpu` with its defaults but for mmdet's threshold of 0.5."""
    left, picked = {at: score for at, score in enumerate(scores.tolist())}, []
    matrix = overlaps(boxes, boxes)
    while left:
        best = max(left, key=left.get)
        picked.append((best, left.pop(best)))
        for at in list(left):
            overlap = matrix[best, at].item()
            if method == "soft-linear":
                left[at] *= 1 - overlap if overlap >= 0.5 else 1.0
            else:
                left[at] *= math.exp(-(overlap**2) / 0.5)
            if left[at] < 1e-3:
                del left[at]
    indices, kept = zip(*picked)
    return torch.tensor(indices), torch.tensor(kept, dtype=torch.float64)


def found_boxes(regions, scores, deltas, size, options):
    """`BBoxHead.predict_by_feat` and `multiclass_nms`: boxes, scores and classes."""
    classes = scores.shape[1] - 1
    scores = scores.softmax(1)[:, :-1].reshape(-1)
    boxes = decode(regions.repeat_interleave(classes, 0), deltas.reshape(-1, 4), REGION_DEVIATIONS, size)
    labels = torch.arange(classes).repeat(len(regions))
    chosen = scores > options["score"]
    boxes, scores, labels = boxes[chosen], scores[chosen], labels[chosen]
    if options["suppression"] == "hard":
        kept = grouped_nms(boxes, scores, labels, 0.5)
        left = scores[kept]
    else:
        of_class = [(labels == at).nonzero()[:, 0] for at in labels.unique()]
        pairs = [(indices, *soft_nms(boxes[indices], scores[indices], options["suppression"])) for indices in of_class]
        kept = torch.cat([indices[picked] for indices, picked, _ in pairs])
        left = torch.cat([score for _, _, score in pairs])
        order = left.sort(descending=True, stable=True).indices
        kept, left = kept[order], left[order]
    kept, left = kept[: options["at_most"]], left[: options["at_most"]]
    return boxes[kept], left, labels[kept]


def pasted(probabilities, box, height, width):
    """mmdet's `_do_paste_mask` over the whole image."""
    left, top, right, bottom = box.tolist()
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - top) / (bottom - top) * 2 - 1
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - left) / (right - left) * 2 - 1
    grid = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)], -1)
    return F.grid_sample(probabilities[None, None], grid[None], align_corners=False)[0, 0] >= HALF


IMAGE = (90, 122)
OPTIONS = [
    {"proposals": 1000, "suppression": "hard", "score": 0.05, "at_most": 40},
    {"proposals": 1000, "suppression": "hard", "score": 0.6, "at_most": 100},
    # Of few regions, so that boxes that lost score are among the objects.
    {"proposals": 30, "suppression": "hard", "score": 0.05, "at_most": 100},
    {"proposals": 30, "suppression": "soft-linear", "score": 0.05, "at_most": 100},
    {"proposals": 30, "suppression": "soft-gaussian", "score": 0.05, "at_most": 100},
    {"proposals": 1000, "suppression": "soft-gaussian", "score": 0.05, "at_most": 30},
]


def exact(tensor):
    return tensor


def single(tensor):
    """As numbers are read from a device, whatever it computes in."""
    return tensor.float().double()


def detect(model, options, read):
    """The objects in an image of random levels: boxes, scores, classes and pixels."""
    height, width = IMAGE
    levels = ((rule.uniform("detection.image", height * width * 3) + 1) * 128).astype(np.uint8)
    levels = levels.reshape(height, width, 3).astype(np.float32)
    mean, std = (np.array(row, np.float32) for row in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    values = torch.from_numpy(((levels / np.float32(255) - mean) / std).transpose(2, 0, 1))
    batch = torch.zeros(1, 3, up_to_32(height), up_to_32(width), dtype=torch.float64)
    batch[0, :, :height, :width] = values.double()
    outputs = model(batch, torch.zeros(1, 5, dtype=torch.float64), [])
    pyramid = [outputs[f"p{level}"] for level in range(2, 7)]
    regions = proposals(outputs, 0, IMAGE, 1000, read)[: options["proposals"]]
    in_batch = lambda boxes: F.pad(read(boxes), (1, 0))
    hidden = model.heads["box_head"](extract(pyramid, in_batch(regions), 7))
    scores, deltas = map(read, model.heads["box_predictor"](hidden))
    scores, deltas = torch.cat([scores[:, 1:], scores[:, :1]], 1), deltas[:, 4:]
    boxes, scores, labels = found_boxes(regions, scores, deltas, IMAGE, options)
    maps = model.heads["mask_head"](extract(pyramid, in_batch(boxes), 14))
    logits = model.heads["mask_predictor"](maps)[:, 1:]
    masks = [
        pasted(logits[at, label].sigmoid(), boxes[at], height, width) for at, label in enumerate(labels.tolist())
    ]
    return boxes, scores, labels, masks


def agree(ones, others):
    """Stops where the rounding of what is read decides what is found."""
    assert ones.shape == others.shape, (ones.shape, others.shape)
    assert (ones - others).abs().max() < 1e-3, (ones - others).abs().max()


def detection_golden():
    model = network(SMALL, torch.float64)
    rounded = lambda tensor, digits: [[round(value, digits) for value in row] for row in tensor.tolist()]
    golden = {"config": SMALL, "batch": "masks", "proposals": [], "height": IMAGE[0], "width": IMAGE[1], "results": []}
    name, _, images, _ = CASES[0]
    outputs = model(pixels(name, images, torch.float64), torch.zeros(1, 5, dtype=torch.float64), [])
    for at, (height, width, _) in enumerate(images):
        found = [proposals(outputs, at, (height, width), 2000, read) for read in (exact, single)]
        agree(*found)
        golden["proposals"].append(rounded(found[0], 4))
    for options in OPTIONS:
        found = [detect(model, options, read) for read in (exact, single)]
        agree(found[0][0], found[1][0])
        boxes, scores, labels, masks = found[0]
        print(options, len(boxes), labels.unique().tolist(), scores.min().item())
        golden["results"].append(options | {
            "boxes": rounded(boxes, 4),
            "scores": [round(score, 8) for score in scores.tolist()],
            "classes": labels.tolist(),
            "counts": [runs(inside) for inside in masks],
        })
    return golden


# Files -----------------------------------------------------------------------------------------


def write(name, golden):
    compact = lambda value: json.dumps(value, separators=(",", ":"), allow_nan=False)
    lines = []
    for key, value in golden.items():
        if key in ("gradients", "parameters"):
            rows = ",\n".join(f"  {compact(row)}:{compact(sketch)}" for row, sketch in value.items())
            lines.append(f"{compact(key)}:{{\n{rows}\n }}")
        elif key in ("images", "results"):
            rows = ",\n".join(f"  {compact(row)}" for row in value)
            lines.append(f"{compact(key)}:[\n{rows}\n ]")
        else:
            lines.append(f"{compact(key)}:{compact(value)}")
    path = FOLDER / f"{name}.json"
    path.write_text("{\n " + ",\n ".join(lines) + "\n}\n")
    print(f"{path.name}: {path.stat().st_size} bytes")


def training_golden(name, config, images, levels):
    found = samples(name, images, levels)
    parts, gradients = one_pass(name, config, images, found, torch.float64)
    parts32, gradients32 = one_pass(name, config, images, found, torch.float32)
    print(name, parts, {part: abs(parts32[part] / (value or 1) - 1) for part, value in parts.items()})
    print([(len(image["anchors"]["positives"]), len(image["regions"])) for image in found], len(mask_rows(found)))
    sketches = {key: rule.sketch(value, gradients32[key]) for key, value in gradients.items()}
    print("  largest float32 error of a gradient", max(row["float32_error"] for row in sketches.values()))
    print("  without a gradient", [key for key, row in sketches.items() if row["norm"] == 0])
    return {"config": config, "images": found, "losses": parts, "gradients": sketches}


def steps_golden(name, config, images, levels):
    found = samples(name, images, levels)
    curve, last = steps(name, config, images, found, torch.float64)
    curve32, last32 = steps(name, config, images, found, torch.float32)
    sketches = {key: rule.sketch(value, last32[key]) for key, value in last.items()}
    print("steps", curve[0], curve[-1], "float32", max(abs(a - b) / a for a, b in zip(curve, curve32)))
    print("  largest float32 error of a parameter", max(row["float32_error"] for row in sketches.values()))
    recipe = {"learning_rate": RATE, "weight_decay": DECAY, "betas": BETAS}
    return recipe | {"losses": curve, "parameters": sketches}


def main():
    torch.set_num_threads(1)
    for case in CASES:
        write(case[0], training_golden(*case))
    write("steps", steps_golden(*CASES[0]))
    with torch.no_grad():
        write("detection", detection_golden())


if __name__ == "__main__":
    main()
