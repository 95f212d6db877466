//! The constants of COCO's evaluation.
//!
//! They are those of pycocotools 2.0.11 (`PythonAPI/pycocotools/cocoeval.py` of the COCO API, Piotr Dollar and Tsung-Yi Lin,
//! simplified BSD licence), made in the same steps, so that they are equal to the last bit.

use convnext_data::AREA_BOUNDS;

/// Number of the overlaps from which a detection is right.
pub(crate) const THRESHOLDS: usize = 10;

/// Place of 0.5 among them, and of 0.75.
pub(crate) const AT_50: usize = 0;
pub(crate) const AT_75: usize = 5;

/// Number of the recalls at which precision is read.
pub(crate) const RECALLS: usize = 101;

/// Detections of a class in an image that count at most: the ones of the highest scores.
pub(crate) const MAX_DETECTIONS: [usize; 3] = [1, 10, 100];

/// Number of the ranges of areas: all, small, medium, large.
pub(crate) const AREAS: usize = 4;

/// Areas in pixels, both ends included.
pub(crate) const AREA_RANGES: [[f64; 2]; AREAS] = {
    let [medium, large] = AREA_BOUNDS;
    [[0.0, 1e10], [0.0, medium], [medium, large], [large, 1e10]]
};

/// Overlaps from which a detection is right: 0.5 to 0.95 in steps of 0.05, as numpy's `linspace` makes them.
pub(crate) fn thresholds() -> [f64; THRESHOLDS] {
    const FIRST: f64 = 0.5;
    const LAST: f64 = 0.95;
    let step = (LAST - FIRST) / (THRESHOLDS - 1) as f64;
    std::array::from_fn(|place| if place + 1 < THRESHOLDS { place as f64 * step + FIRST } else { LAST })
}

/// Recalls at which precision is read: 0 to 1 in steps of 0.01, as numpy's `linspace` makes them.
pub(crate) fn recalls() -> [f64; RECALLS] {
    std::array::from_fn(|place| if place + 1 < RECALLS { place as f64 * 0.01 } else { 1.0 })
}
