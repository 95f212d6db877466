"""Goldens of what stands between a detector's outputs, targets and losses: mmdet's formulas in float64.

    python logic.py

writes `logic/*.json`. It needs numpy, torch and torchvision; mmdet's formulas are written again here (versions and sources:
docs/facts.md, "E. Detection"), `nms`, `roi_align`, `grid_sample` and the cross-entropies are those of the libraries.
Inputs are multiples of 1/64, so that they are exact in float32.
"""

import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
import torchvision

torch.set_num_threads(1)
OUT = pathlib.Path(__file__).parent / "logic"
RATIOS = (0.5, 1.0, 2.0)
HALF = 0.5 - 1e-9  # so that exact halves do not depend on the order of additions


def grid_values(rng, scale, shape):
    return np.round(rng.normal(0, scale, shape) * 64) / 64


def random_boxes(rng, count, height, width, smallest=2.0, largest=60.0):
    centre = rng.uniform(0, 1, (count, 2)) * [width, height]
    side = np.exp(rng.uniform(math.log(smallest), math.log(largest), (count, 2)))
    boxes = np.concatenate([centre - side / 2, centre + side / 2], 1)
    return np.round(boxes * 64) / 64


# Anchors and assignment


def pyramid(height, width, strides=(4, 8, 16, 32, 64)):
    """Strides and sizes of the maps of a padded batch; the last is subsampled from the one before."""
    return [(s, -(-height // s), -(-width // s)) for s in strides]


def level_anchors(stride, height, width):
    h_ratio = np.sqrt(np.array(RATIOS))
    ws, hs = stride * (1 / h_ratio) * 8.0, stride * h_ratio * 8.0
    base = np.stack([0 - 0.5 * ws, 0 - 0.5 * hs, 0 + 0.5 * ws, 0 + 0.5 * hs], -1)
    x, y = np.meshgrid(np.arange(width) * float(stride), np.arange(height) * float(stride))
    shifts = np.stack([x.ravel(), y.ravel(), x.ravel(), y.ravel()], -1)
    return (base[None] + shifts[:, None]).reshape(-1, 4)


def valid_flags(levels, padded):
    flags = []
    for stride, height, width in levels:
        h, w = min(math.ceil(padded[0] / stride), height), min(math.ceil(padded[1] / stride), width)
        flag = np.zeros((height, width, 3), bool)
        flag[:h, :w] = True
        flags.append(flag.ravel())
    return np.concatenate(flags)


def overlaps(ones, others):
    area = lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    side = np.clip(high - low, 0, None)
    shared = side[..., 0] * side[..., 1]
    return shared / np.maximum(area(ones)[:, None] + area(others)[None] - shared, 1e-6)


def assign(boxes, objects, positive, negative, low_quality):
    """-1 ignored, 0 background, i + 1 object i."""
    if len(objects) == 0:
        return np.zeros(len(boxes), int)
    matrix = overlaps(objects, boxes)
    best, which = matrix.max(0), matrix.argmax(0)
    found = np.full(len(boxes), -1)
    found[best < negative] = 0
    found[best >= positive] = which[best >= positive] + 1
    for i, row in enumerate(matrix):
        if row.max() >= low_quality:
            found[row == row.max()] = i + 1
    return found


def assignment_goldens(rng):
    cases = []
    lists = {
        "none": ((96, 128), np.zeros((0, 4))),
        "one": ((96, 128), np.array([[20.0, 30.0, 70.0, 66.0]])),
        "many": ((96, 128), random_boxes(rng, 30, 96, 128)),
        "small padding": ((64, 96), random_boxes(rng, 12, 64, 96)),
        # Around corners of cells and halfway between them: many anchors are equally near.
        "ties": ((96, 128), np.array([[x - w, y - h, x + w, y + h] for x, y, w, h in [
            (32, 32, 16, 16), (34, 32, 16, 16), (34, 34, 16, 16), (68, 36, 24, 24), (72, 40, 40, 20), (36, 68, 8, 8)]], float)),
        "twice": ((96, 128), np.array([[8.0, 8.0, 48.0, 40.0]] * 2 + [[9.0, 8.0, 49.0, 40.0]])),
        "outside": ((96, 128), np.array([[120.0, 90.0, 200.0, 160.0], [-40.0, -40.0, 10.0, 10.0], [400.0, 400.0, 420.0, 420.0]])),
        "tiny": ((96, 128), np.array([[20.0, 20.0, 20.0 + 2**-12, 20.0 + 2**-12], [40.0, 40.0, 41.0, 42.0]])),
    }
    levels = pyramid(96, 128)
    anchors = np.concatenate([level_anchors(*level) for level in levels])
    for name, (padded, objects) in lists.items():
        valid = np.nonzero(valid_flags(levels, padded))[0]
        found = np.full(len(anchors), -1)
        found[valid] = assign(anchors[valid], objects, 0.7, 0.3, 0.3)
        proposals = np.concatenate([random_boxes(rng, 60, *padded), objects[:3] + 0.5, objects[:3] + [0, 0, 1, 2]])
        of_regions = assign(proposals, objects, 0.5, 0.5, 0.5)
        cases.append(dict(
            name=name, padded=padded, objects=objects.tolist(), valid=len(valid),
            matched=[[int(i), int(found[i]) - 1] for i in np.nonzero(found > 0)[0]],
            background=int((found == 0).sum()), background_places=int(np.nonzero(found == 0)[0].sum()),
            proposals=proposals.tolist(), regions=of_regions.tolist()))
    sample = list(range(0, len(anchors), 89))
    return dict(levels=levels, anchors=len(anchors), sums=anchors.sum(0).tolist(), sample=sample,
                boxes=anchors[sample].tolist(), cases=cases)


# Coder


def encode(base, target, deviations):
    side, target_side = base[:, 2:] - base[:, :2], target[:, 2:] - target[:, :2]
    moved = ((target[:, :2] + target[:, 2:]) * 0.5 - (base[:, :2] + base[:, 2:]) * 0.5) / side
    return np.concatenate([moved, np.log(target_side / side)], 1) / deviations


def decode(base, deltas, deviations, size=None):
    deltas = deltas * deviations
    limit = abs(np.log(16 / 1000))
    side = base[:, 2:] - base[:, :2]
    centre = (base[:, 2:] + base[:, :2]) * 0.5 + side * deltas[:, :2]
    side = side * np.exp(np.clip(deltas[:, 2:], -limit, limit))
    boxes = np.concatenate([centre - side * 0.5, centre + side * 0.5], 1)
    if size is not None:
        boxes[:, 0::2] = np.clip(boxes[:, 0::2], 0, size[1])
        boxes[:, 1::2] = np.clip(boxes[:, 1::2], 0, size[0])
    return boxes


ANCHOR_DEVIATIONS, REGION_DEVIATIONS = np.ones(4), np.array([0.1, 0.1, 0.2, 0.2])


def coder_goldens(rng):
    cases = []
    for deviations in (ANCHOR_DEVIATIONS, REGION_DEVIATIONS):
        base, target = random_boxes(rng, 40, 100, 150), random_boxes(rng, 40, 100, 150, largest=500)
        deltas = grid_values(rng, 2.0, (40, 4)) / deviations
        cases.append(dict(deviations=deviations.tolist(), bases=base.tolist(), targets=target.tolist(),
                          encoded=encode(base, target, deviations).tolist(), deltas=deltas.tolist(),
                          decoded=decode(base, deltas, deviations).tolist()))
    return cases


# Suppression


def nms(boxes, scores, threshold):
    return torchvision.ops.nms(torch.from_numpy(boxes), torch.from_numpy(scores), threshold).numpy()


def grouped_nms(boxes, scores, groups, threshold):
    kept = [np.nonzero(groups == g)[0] for g in np.unique(groups)]
    kept = [i[nms(boxes[i], scores[i], threshold)] for i in kept]
    kept = np.sort(np.concatenate(kept)) if kept else np.zeros(0, int)
    return kept[np.argsort(-scores[kept], kind="stable")]


def soft_nms(boxes, scores, method, threshold, sigma, min_score):
    """mmcv's softnms_cpu, offset 0."""
    boxes, scores, index = boxes.copy(), scores.copy(), np.arange(len(boxes))
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    count, i = len(boxes), 0

    def exchange(a, b):
        for array in (boxes, scores, index, areas):
            array[[a, b]] = array[[b, a]]

    while i < count:
        best = i
        for pos in range(i + 1, count):
            if scores[best] < scores[pos]:
                best = pos
        exchange(i, best)
        pos = i + 1
        while pos < count:
            w = max(0.0, min(boxes[i, 2], boxes[pos, 2]) - max(boxes[i, 0], boxes[pos, 0]))
            h = max(0.0, min(boxes[i, 3], boxes[pos, 3]) - max(boxes[i, 1], boxes[pos, 1]))
            shared = w * h
            overlap = shared / (areas[i] + areas[pos] - shared)
            if method == "linear":
                weight = 1 - overlap if overlap >= threshold else 1.0
            else:
                weight = math.exp(-(overlap * overlap) / sigma)
            scores[pos] *= weight
            if scores[pos] < min_score:
                exchange(pos, count - 1)
                count, pos = count - 1, pos - 1
            pos += 1
        i += 1
    return index[:count], scores[:count]


def suppression_goldens(rng):
    cases = []
    for kind in ("random", "ties", "grid"):
        boxes, scores = random_boxes(rng, 120, 80, 80, 10, 50), rng.uniform(0.01, 1, 120).round(6)
        if kind != "random":
            scores = np.round(scores * 8) / 8
        if kind == "grid":
            boxes = np.round(boxes / 10) * 10
            boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 10)
        groups = rng.integers(0, 4, 120)
        case = dict(kind=kind, boxes=boxes.tolist(), scores=scores.tolist(), groups=groups.tolist(), hard={}, soft=[])
        for threshold in (0.3, 0.5, 0.7):
            case["hard"][str(threshold)] = [nms(boxes, scores, threshold).tolist(),
                                            grouped_nms(boxes, scores, groups, threshold).tolist()]
        for method, threshold, sigma, min_score in (
                ("linear", 0.5, 0, 1e-3), ("linear", 0.3, 0, 0.1), ("gaussian", 0, 0.5, 1e-3), ("gaussian", 0, 0.2, 0.05)):
            index, left = soft_nms(boxes, scores, method, threshold, sigma, min_score)
            case["soft"].append(dict(method=method, threshold=threshold, sigma=sigma, min_score=min_score,
                                     kept=index.tolist(), scores=left.tolist()))
        cases.append(case)
    return cases


# Proposals and detections


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def propose(levels, logits, deltas, image, best_of_level, at_most, threshold=0.7):
    boxes, scores, of_level = [], [], []
    for number, (level, logit, delta) in enumerate(zip(levels, logits, deltas)):
        score = sigmoid(logit)
        order = np.arange(len(score))
        if len(score) > best_of_level:
            order = np.argsort(-score, kind="stable")[:best_of_level]
        found = decode(level_anchors(*level)[order], delta.reshape(-1, 4)[order], ANCHOR_DEVIATIONS, image)
        boxes.append(found), scores.append(score[order]), of_level.append(np.full(len(order), number))
    boxes, scores, of_level = map(np.concatenate, (boxes, scores, of_level))
    inside = (boxes[:, 2] - boxes[:, 0] > 0) & (boxes[:, 3] - boxes[:, 1] > 0)
    boxes, scores, of_level = boxes[inside], scores[inside], of_level[inside]
    kept = grouped_nms(boxes, scores, of_level, threshold)[:at_most]
    return boxes[kept], scores[kept]


def proposal_goldens(rng):
    levels, image = pyramid(64, 96), (52, 83)
    counts = [height * width * 3 for _, height, width in levels]
    logits = [grid_values(rng, 2.0, count) for count in counts]
    logits[1] = np.round(logits[1])  # ties
    deltas = [grid_values(rng, 0.4, count * 4) for count in counts]
    cases = []
    for best_of_level, at_most in ((2000, 1000), (100, 1000), (300, 40), (7, 1000)):
        boxes, scores = propose(levels, logits, deltas, image, best_of_level, at_most)
        cases.append(dict(best_of_level=best_of_level, at_most=at_most, count=len(boxes), sums=boxes.sum(0).tolist(),
                          boxes=boxes[:60].tolist(), scores=scores[:60].tolist()))
    return dict(levels=levels, image=image, logits=[x.tolist() for x in logits], deltas=[x.tolist() for x in deltas],
                cases=cases)


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def detect(regions, logits, deltas, image, rule):
    """multiclass_nms: all classes at once, moved apart in space."""
    classes = logits.shape[1] - 1
    scores = softmax(logits)[:, :-1].ravel()
    boxes = decode(np.repeat(regions, classes, 0), deltas.reshape(-1, 4), REGION_DEVIATIONS, image)
    labels = np.tile(np.arange(classes), len(regions))
    chosen = scores > rule["score"]
    boxes, scores, labels = boxes[chosen], scores[chosen], labels[chosen]
    if len(boxes) == 0:
        return boxes, scores, labels
    apart = boxes + labels[:, None] * (boxes.max() + 1)
    if rule["method"] == "hard":
        kept = nms(apart, scores, 0.5)
        left = scores[kept]
    else:
        kept, left = soft_nms(apart, scores, rule["method"], 0.5, 0.5, 1e-3)
    kept, left = kept[:rule["at_most"]], left[:rule["at_most"]]
    return boxes[kept], left, labels[kept]


def detection_goldens(rng):
    cases, image = [], (90, 120)
    for classes, count in ((1, 60), (5, 40), (3, 0), (2, 6)):
        centres = random_boxes(rng, 5, *image, 20, 60)
        regions = centres[rng.integers(0, 5, count)] + np.round(rng.normal(0, 3, (count, 4)) * 64) / 64
        regions[:, 2:] = np.maximum(regions[:, 2:], regions[:, :2] + 1)
        logits = grid_values(rng, 1.5, (count, classes + 1))
        if count == 6:
            logits[:, -1] += 30  # nothing is found
        deltas = grid_values(rng, 0.5, (count, classes * 4))
        case = dict(classes=classes, image=image, regions=regions.tolist(), logits=logits.ravel().tolist(),
                    deltas=deltas.ravel().tolist(), results=[])
        for method, at_most in (("hard", 100), ("hard", 7), ("linear", 100), ("gaussian", 30)):
            rule = dict(method=method, score=0.05, at_most=at_most)
            boxes, scores, labels = detect(regions, logits, deltas, image, rule)
            case["results"].append(dict(rule, boxes=boxes.tolist(), scores=scores.tolist(), classes=labels.tolist()))
        cases.append(case)
    return cases


# Masks


def runs(values):
    """Lengths of runs of equal values, the first of them of zeros."""
    values = np.asarray(values).ravel().astype(int)
    edges = np.nonzero(np.diff(np.concatenate([[0], values, [-1]])))[0]
    return np.diff(np.concatenate([[0], edges])).tolist()


def blob(rng, height, width):
    y, x = np.mgrid[:height, :width]
    found = np.zeros((height, width), bool)
    for _ in range(rng.integers(1, 4)):
        cy, cx, ry, rx = rng.uniform(0, height), rng.uniform(0, width), rng.uniform(2, height / 2), rng.uniform(2, width / 2)
        found |= ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    return found


def mask_target_goldens(rng):
    cases = []
    for number, (height, width) in enumerate([(40, 60), (96, 64), (200, 150), (31, 33), (20, 20)]):
        mask = blob(rng, height, width)
        padded = (-(-height // 32) * 32, -(-width // 32) * 32) if number % 2 == 0 else (height, width)
        if number == 4:
            mask[:] = False
        whole = np.zeros(padded)
        whole[:height, :width] = mask
        regions = np.concatenate([
            random_boxes(rng, 10, height, width, 1, 2 * width),
            [[0, 0, width, height], [5, 5, 5, 9], [width - 7, height - 5, width + 40, height + 30], [3, 4, 17, 11]]])
        clipped = regions.copy()
        clipped[:, 0::2] = np.clip(clipped[:, 0::2], 0, padded[1])
        clipped[:, 1::2] = np.clip(clipped[:, 1::2], 0, padded[0])
        rois = torch.from_numpy(np.concatenate([np.zeros((len(regions), 1)), clipped], 1))
        found = torchvision.ops.roi_align(torch.from_numpy(whole)[None, None], rois, 28, 1.0, 0, True)[:, 0].numpy()
        cases.append(dict(size=(height, width), padded=padded, counts=runs(mask.T), regions=regions.tolist(),
                          targets=[runs(target >= HALF) for target in found]))
    return cases


def paste(mask, box, height, width):
    """mmdet's _do_paste_mask over the whole image."""
    x0, y0, x1, y1 = box
    y = (torch.arange(height, dtype=torch.float64) + 0.5 - y0) / (y1 - y0) * 2 - 1
    x = (torch.arange(width, dtype=torch.float64) + 0.5 - x0) / (x1 - x0) * 2 - 1
    grid = torch.stack([x[None].expand(height, width), y[:, None].expand(height, width)], -1)
    return F.grid_sample(torch.from_numpy(mask)[None, None], grid[None], align_corners=False)[0, 0].numpy()


def paste_goldens(rng):
    cases = []
    for number in range(10):
        height, width = rng.integers(20, 140, 2).tolist()
        mask = np.clip(blob(rng, 28, 28) * 0.8 + rng.normal(0.1, 0.15, (28, 28)), 0, 1)
        mask = np.round(mask * 64) / 64
        if number == 0:
            mask[:] = 0.5
        boxes = np.concatenate([random_boxes(rng, 6, height, width, 1, 150),
                                [[0, 0, width, height], [2.5, 3.5, 30.5, 31.5], [-9, -9, 2 * width, 2 * height]]])
        found = [paste(mask, box, height, width) >= HALF for box in boxes]
        cases.append(dict(size=(height, width), mask=(mask * 64).astype(int).ravel().tolist(), boxes=boxes.tolist(),
                          counts=[runs(one.T) for one in found]))
    return cases


# Losses


def leaf(values):
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def rpn_case(rng, images):
    sizes = [(4, 5), (2, 3)]
    count = sum(3 * h * w for h, w in sizes)
    objectness = [leaf(grid_values(rng, 1.5, (len(images) * h * w, 3))) for h, w in sizes]
    deltas = [leaf(grid_values(rng, 0.5, (len(images) * h * w, 12))) for h, w in sizes]
    flat = torch.cat([x.reshape(len(images), -1) for x in objectness], 1)
    flat_deltas = torch.cat([x.reshape(len(images), -1, 4) for x in deltas], 1)
    targets, labels, weights = [], torch.zeros_like(flat), torch.zeros_like(flat)
    delta_targets, delta_weights = torch.zeros_like(flat_deltas), torch.zeros_like(flat_deltas)
    factor = 0
    for i, (positives, negatives) in enumerate(images):
        order = rng.permutation(count)
        pos, neg = np.sort(order[:positives]), np.sort(order[positives:positives + negatives])
        wanted = grid_values(rng, 0.5, (positives, 4))
        targets.append(dict(positives=[[int(at), row.tolist()] for at, row in zip(pos, wanted)], negatives=neg.tolist()))
        labels[i, pos], weights[i, pos], weights[i, neg] = 1, 1, 1
        delta_targets[i, pos], delta_weights[i, pos] = torch.from_numpy(wanted), 1
        factor += max(positives, 1) + max(negatives, 1)
    cls = (F.binary_cross_entropy_with_logits(flat, labels, reduction="none") * weights).sum() / factor
    box = ((flat_deltas - delta_targets).abs() * delta_weights).sum() / factor
    (cls + box).backward()
    flat_list = lambda tensors: [t.detach().ravel().tolist() for t in tensors]
    return dict(images=len(images), objectness=flat_list(objectness), deltas=flat_list(deltas), targets=targets,
                losses=[cls.item(), box.item()], objectness_gradients=flat_list([t.grad for t in objectness]),
                deltas_gradients=flat_list([t.grad for t in deltas]))


def box_case(rng, classes, labels):
    logits, deltas = leaf(grid_values(rng, 1.5, (len(labels), classes + 1))), leaf(grid_values(rng, 0.5, (len(labels), classes * 4)))
    labels = torch.tensor(labels)
    positive = labels < classes
    wanted = torch.from_numpy(grid_values(rng, 0.5, (len(labels), 4)))
    wanted[~positive] = 0
    cls = F.cross_entropy(logits, labels, reduction="none").sum() / max(len(labels), 1)
    rows = deltas.view(len(labels), -1, 4)[positive, labels[positive]]
    box = (rows - wanted[positive]).abs().sum() / len(labels) if positive.any() else deltas[positive].sum()
    (cls + box).backward()
    return dict(classes=classes, labels=labels.tolist(), targets=wanted.tolist(), logits=logits.detach().ravel().tolist(),
                deltas=deltas.detach().ravel().tolist(), losses=[cls.item(), box.item()],
                logits_gradient=logits.grad.ravel().tolist(), deltas_gradient=deltas.grad.ravel().tolist())


def mask_case(rng, classes, labels, side):
    logits = leaf(grid_values(rng, 1.5, (len(labels), side, side, classes)))
    targets = torch.from_numpy(rng.integers(0, 2, (len(labels), side, side)).astype(float))
    chosen = logits.permute(0, 3, 1, 2)[torch.arange(len(labels)), torch.tensor(labels)]
    loss = F.binary_cross_entropy_with_logits(chosen, targets, reduction="mean")
    loss.backward()
    return dict(classes=classes, labels=labels, side=side, targets=targets.int().ravel().tolist(),
                logits=logits.detach().ravel().tolist(), loss=loss.item(), gradient=logits.grad.ravel().tolist())


def loss_goldens(rng):
    return dict(
        rpn=[rpn_case(rng, images) for images in ([(5, 20), (0, 25)], [(0, 30)], [(12, 0)])],
        box=[box_case(rng, 3, [1, 0, 2, 1, 3, 3, 3]), box_case(rng, 1, [0, 1, 1]), box_case(rng, 4, [4, 4, 4])],
        mask=[mask_case(rng, 3, [2, 0, 2], 4), mask_case(rng, 1, [0], 5)])


def main():
    parts = dict(assignment=assignment_goldens, coder=coder_goldens, suppression=suppression_goldens,
                 proposals=proposal_goldens, detections=detection_goldens, mask_targets=mask_target_goldens,
                 paste=paste_goldens, losses=loss_goldens)
    OUT.mkdir(exist_ok=True)
    for number, (name, make) in enumerate(parts.items()):
        text = json.dumps(make(np.random.default_rng(100 + number)), separators=(",", ":"))
        (OUT / f"{name}.json").write_text(text + "\n")


main()
