"""Writes measures.json: activations of three classes, and every measure by its definition in numpy.

    python crates/convnext-analysis/tests/goldens/make_measures.py
"""

import json
from pathlib import Path

import numpy

IMAGES, POSITIONS, CHANNELS, CLASSES = 12, 9, 10, 3


def activations(draw, channels):
    """[images, positions, channels]: a part by image, a part by class, a dead channel and a saturated one."""
    labels = numpy.arange(IMAGES) % CLASSES
    values = draw.normal(size=(IMAGES, POSITIONS, channels)) + draw.normal(size=(CLASSES, 1, channels))[labels]
    values[:, :, 1] = 0
    values[:, :, 2] = 3 + 0.01 * values[:, :, 2]
    # Decimals that f32 and f64 read as the same number, but for its rounding.
    return values.round(3).astype(numpy.float32).astype(numpy.float64), labels


def cosine_distance(image):
    maps = image.T[numpy.abs(image.T).sum(1) > 0]
    cosines = [[a @ b / numpy.linalg.norm(a) / numpy.linalg.norm(b) for b in maps] for a in maps]
    return ((1 - numpy.array(cosines)) / 2).mean()


def counts(values):
    flat = values.reshape(-1, values.shape[2])
    layer = numpy.sqrt((flat**2).mean())
    dead = numpy.sqrt((flat**2).mean(0)) <= 0.01 * layer
    saturated = ~dead & (flat.std(0) < 0.1 * numpy.abs(flat.mean(0)))
    return {"channels": values.shape[2], "dead": int(dead.sum()), "saturated": int(saturated.sum())}


def selectivity(values, labels):
    activity = numpy.maximum(values, 0).mean(1)
    means = numpy.stack([activity[labels == label].mean(0) for label in range(CLASSES)])
    highest = means.max(0)
    others = (means.sum(0) - highest) / (CLASSES - 1)
    return (highest - others) / (highest + others + 1e-6)


def alignment(left, right):
    x, y = (values.mean(1) - values.mean(1).mean(0) for values in (left, right))
    norm = numpy.linalg.norm
    return norm(y.T @ x) ** 2 / (norm(x.T @ x) * norm(y.T @ y))


def effective_rank(values):
    features = values.mean(1)
    singular = numpy.linalg.svd(features - features.mean(0), compute_uv=False)
    shares = singular[singular > 1e-9] / singular.sum()
    return numpy.exp(-(shares * numpy.log(shares)).sum())


draw = numpy.random.default_rng(25)
(left, labels), (right, _) = activations(draw, CHANNELS), activations(draw, 7)
layers = [
    {
        "channels": values.shape[2],
        "values": values.round(3).ravel().tolist(),
        "cosine_distances": [cosine_distance(image) for image in values],
        "counts": counts(values),
        "selectivity": selectivity(values, labels).tolist(),
        "effective_rank": effective_rank(values),
    }
    for values in (left, right)
]
golden = {"labels": labels.tolist(), "layers": layers, "alignment": alignment(left, right)}
Path(__file__).with_name("measures.json").write_text(json.dumps(golden) + "\n")
