//! The default: a recipe made for a backbone, what it starts from, and the images at hand.

use convnext_train::KnownTransfer;

/// What it goes by: Atto on CamVid at half resolution, where both rates were best in a search
/// (`benches/studies/camvid.py`). Steps are a first guess, which no search has seen.
pub(super) const KNOWN: KnownTransfer = KnownTransfer {
    batch: (8, "batch norm needs several images, and memory has its limits"),
    parameters: 3.4e6,
    rate: 1e-3,
    rate_from_pretrained: 4e-3,
    layer_decay: true,
    images: 367.0,
    steps: 4000.0,
    bounds: [1000.0, 40_000.0],
    drop_path: [0.0, 0.1, 0.2, 0.3],
};
