//! The default: a recipe made for a backbone, what it starts from, and the images at hand.

use convnext_train::KnownTransfer;

/// What it goes by: Atto on 160 images of nuclei, where both rates were best in a search of short trainings, and layer decay
/// was worse than none at every rate (`benches/studies/nuclei.py`). That was by mmdetection's rule of anchors; by the default's
/// rule the same search prefers 1e-3 from scratch too, where long trainings are known at 5e-4 alone. Other sizes, and a start
/// from a classifier, which has the rate from scratch, were not measured. Steps are a first guess, which no search has seen.
pub(super) const KNOWN: KnownTransfer = KnownTransfer {
    batch: (4, "the heads see hundreds of regions of each image"),
    parameters: 3.4e6,
    rate: 5e-4,
    rate_from_pretrained: 1e-3,
    layer_decay: false,
    images: 400.0,
    steps: 5000.0,
    bounds: [1000.0, 80_000.0],
    drop_path: [0.0, 0.1, 0.3, 0.4],
};
