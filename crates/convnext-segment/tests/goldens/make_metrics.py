"""Golden of the measures of label maps: mmsegmentation's definitions (IoUMetric) in numpy.

    python make_metrics.py > metrics.json
"""
import json

import numpy as np

CLASSES = 5
IGNORED = 65535


def histogram(values):
    return np.bincount(values, minlength=CLASSES).astype(np.float64)


def main():
    rng = np.random.default_rng(0)
    labels, predicted = [], []
    for _ in range(3):
        # Class 3 is predicted only, class 4 is nowhere.
        truth = rng.integers(0, 3, size=60)
        guess = np.where(rng.random(60) < 0.6, truth, rng.integers(0, 4, size=60))
        truth = np.where(rng.random(60) < 0.15, IGNORED, truth)
        labels.append(truth)
        predicted.append(guess)
    intersect = union = label_area = 0
    for truth, guess in zip(labels, predicted):
        kept = truth != IGNORED
        truth, guess = truth[kept], guess[kept]
        area = histogram(truth[truth == guess])
        intersect = intersect + area
        union = union + histogram(truth) + histogram(guess) - area
        label_area = label_area + histogram(truth)
    with np.errstate(invalid="ignore", divide="ignore"):
        iou, accuracy = intersect / union, intersect / label_area
    nullable = lambda values: [None if np.isnan(value) else float(value) for value in values]
    print(json.dumps({
        "classes": CLASSES,
        "labels": [truth.tolist() for truth in labels],
        "predicted": [guess.tolist() for guess in predicted],
        "iou": nullable(iou),
        "accuracy": nullable(accuracy),
        "miou": float(np.nanmean(iou)),
        "mean_accuracy": float(np.nanmean(accuracy)),
        "pixel_accuracy": float(intersect.sum() / label_area.sum()),
    }))


main()
