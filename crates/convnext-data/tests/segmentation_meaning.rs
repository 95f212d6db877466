//! Data for segmentation: what the values of masks mean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod mask_folders;

use convnext_core::ClassNames;
use convnext_data::{LabelMap, SegmentationLayout, open_segmentation_part};

use mask_folders::{folder, grey};

#[test]
fn ignoring_a_class_of_a_model_does_not_shift_the_later_ones() {
    let folder = folder(&[("images/val/a.png", "masks/val/a.png", grey(&[0, 1, 2, 2]))]);
    let model = ClassNames(["sky", "road", "car"].map(str::to_owned).into());
    let layout =
        SegmentationLayout { model: Some(model.clone()), ignored: vec![1], ..SegmentationLayout::default() };
    let part = open_segmentation_part(folder.path(), &layout, None).unwrap();
    assert_eq!(
        (part.images.classes().0.as_slice(), part.images.is_unnamed()),
        (&["sky".to_owned(), "car".to_owned()][..], false)
    );
    let images = part.images.for_classes(&model).unwrap();
    assert_eq!((images.pixels_per_class(), images.ignored_pixels()), (vec![16, 0, 32], 16));
    let map = images.label_map(0).unwrap();
    assert_eq!([map.get(0, 0), map.get(0, 2), map.get(0, 7)], [0, LabelMap::IGNORED, 2]);
}
