"""Golden values of multi-label classification: losses and gradients of PyTorch in f64, measures of scikit-learn.

    pip install torch scikit-learn
    python make_multi_label.py > multi_label.json
"""

import json

import numpy as np
import torch
from sklearn.metrics import average_precision_score, f1_score, precision_recall_fscore_support

IMAGES, CLASSES, SMOOTHING, OWN = 14, 4, 0.1, 0.7

random = np.random.default_rng(20)
# In steps of a quarter, so that some are equal; the last class is in no image.
logits = np.round(4 * random.normal(0.0, 1.5, (IMAGES, CLASSES))) / 4
truth = random.random((IMAGES, CLASSES)) < 0.4
truth[:, 3] = False

outputs = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
targets = torch.tensor(truth, dtype=torch.float64) * (1 - SMOOTHING) + SMOOTHING / 2
mixed = OWN * targets + (1 - OWN) * targets.flip(0)
loss = torch.nn.functional.binary_cross_entropy_with_logits(outputs, mixed)
loss.backward()
plain = torch.nn.functional.binary_cross_entropy_with_logits(outputs, torch.tensor(truth, dtype=torch.float64))

precisions = [float(average_precision_score(truth[:, k], logits[:, k])) for k in range(CLASSES - 1)]
scores = precision_recall_fscore_support(truth, logits >= 0, average=None, zero_division=0)
print(
    json.dumps(
        {
            "smoothing": SMOOTHING,
            "own": OWN,
            "logits": logits.tolist(),
            "sets": [[k for k in range(CLASSES) if row[k]] for row in truth],
            "mixed_loss": loss.item(),
            "mixed_gradient": outputs.grad.tolist(),
            "loss": plain.item(),
            "average_precisions": precisions,
            "mean_average_precision": float(np.mean(precisions)),
            "f1": float(f1_score(truth, logits >= 0, average="micro")),
            "class_scores": [[float(score[k]) for score in scores[:3]] for k in range(3)],
            # Of the classes that are in an image.
            "macro_average": [float(score[:3].mean()) for score in scores[:3]],
        }
    )
)
