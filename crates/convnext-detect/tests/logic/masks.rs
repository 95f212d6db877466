//! Targets of the mask head, and masks in the pixels of their image.

use convnext_core::DetectorRules;
use convnext_data::RunLengths;
use convnext_detect::{ObjectBitmap, mask_target, paste_mask};
use serde::Deserialize;

use crate::{boxes, size};

#[derive(Deserialize)]
struct Targets {
    size: [usize; 2],
    padded: [usize; 2],
    counts: Vec<u32>,
    regions: Vec<[f64; 4]>,
    /// Runs of the rows of each target, the first outside.
    targets: Vec<Vec<usize>>,
}

#[test]
fn mask_targets_are_those_of_mmdet() {
    let cases: Vec<Targets> =
        serde_json::from_str(include_str!("../goldens/logic/mask_targets.json")).unwrap();
    for case in cases {
        let mask = RunLengths::of_counts(&case.counts, size(case.size)).unwrap();
        let bitmap = ObjectBitmap::new(&mask, size(case.padded));
        for (region, expected) in boxes(&case.regions).iter().zip(case.targets) {
            let runs = expected.into_iter().enumerate();
            let expected: Vec<bool> = runs.flat_map(|(at, length)| vec![at % 2 == 1; length]).collect();
            assert_eq!(mask_target(&bitmap, region), expected, "{:?} {region:?}", case.size);
        }
    }
}

#[derive(Deserialize)]
struct Pasted {
    size: [usize; 2],
    /// Probabilities times 64.
    mask: Vec<u8>,
    boxes: Vec<[f64; 4]>,
    counts: Vec<Vec<u32>>,
}

#[test]
fn pasted_masks_are_those_of_mmdet() {
    let cases: Vec<Pasted> = serde_json::from_str(include_str!("../goldens/logic/paste.json")).unwrap();
    for case in cases {
        let mask: Vec<f32> = case.mask.iter().map(|&value| f32::from(value) / 64.0).collect();
        for (bounds, counts) in boxes(&case.boxes).iter().zip(case.counts) {
            let expected = RunLengths::of_counts(&counts, size(case.size)).unwrap();
            assert_eq!(
                paste_mask(&mask, bounds, size(case.size), DetectorRules::MmDetection),
                expected,
                "{:?} {bounds:?}",
                case.size
            );
        }
    }
}
