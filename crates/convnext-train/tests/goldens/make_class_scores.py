"""Golden values of precision, recall and F1 of each class and their means, by scikit-learn.

    pip install scikit-learn
    python make_class_scores.py > class_scores.json
"""

import json

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

IMAGES, CLASSES = 60, 6

random = np.random.default_rng(21)
# Class 4 is never predicted, class 5 is in no image but predicted.
truth = random.integers(0, 5, IMAGES)
right = random.random(IMAGES) < 0.6
predicted = np.where(right, truth, random.integers(0, 6, IMAGES))
predicted[predicted == 4] = 5

present = sorted(set(truth.tolist()))
kept = dict(labels=present, zero_division=0)
each = precision_recall_fscore_support(truth, predicted, average=None, **kept)
means = precision_recall_fscore_support(truth, predicted, average="macro", **kept)
print(
    json.dumps(
        {
            "truth": truth.tolist(),
            "predicted": predicted.tolist(),
            "scores": [[float(score[k]) for score in each[:3]] for k in range(len(present))],
            "macro_average": [float(mean) for mean in means[:3]],
        }
    )
)
