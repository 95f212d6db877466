use convnext_core::{Purpose, Seed};

use super::*;

/// Parts of images of their own size and mirror images, and nothing else that is random.
fn plain(crop_size: impl Into<ImageSize>) -> SegmentationTransform {
    SegmentationTransform {
        crop_size: crop_size.into(),
        resize_base: None,
        resize_ratio: [1.0, 1.0],
        cat_max_ratio: 1.0,
        flip_probability: 0.5,
        photometric: false,
    }
}

/// Labels in vertical stripes of 16 columns; red is 20 times the label.
fn stripes(width: usize, height: usize) -> (Image, LabelMap) {
    let label = |x: usize| (x / 16 % 5) as u16;
    let labels: Vec<u16> = (0..width * height).map(|at| label(at % width)).collect();
    let rgb = labels.iter().flat_map(|&label| [label as u8 * 20, 7, 9]).collect();
    (Image::new(width, height, 3, rgb).unwrap(), LabelMap { width, height, labels })
}

fn levels() -> Preprocessing {
    Preprocessing { mean: vec![0.0; 3], std: vec![1.0 / 255.0; 3], ..Preprocessing::for_size(32, 3) }
}

#[test]
fn labels_lie_on_their_pixels_and_padding_is_ignored() {
    let (image, map) = stripes(100, 60);
    let transform =
        SegmentationTransform { resize_ratio: [0.5, 2.0], cat_max_ratio: 0.75, ..plain([48, 64]) };
    let (mut wrong, mut padded) = (0, 0);
    for sample in 0..40 {
        let mut rng = Seed(1).stream(Purpose::Augmentation, 0, sample);
        let made = transform.apply(&image, map.clone(), &levels(), &mut rng);
        assert_eq!((made.values.len(), made.labels.size()), (3 * 48 * 64, ImageSize::from([48, 64])));
        for (at, &label) in made.labels.labels.iter().enumerate() {
            if label == LabelMap::IGNORED {
                assert_eq!(made.values[at], 0.0);
                padded += 1;
            } else {
                wrong += usize::from((made.values[at] - 20.0 * f32::from(label)).abs() > 10.5);
            }
        }
    }
    // Beside the borders of stripes OpenCV's nearest labels lie up to half a pixel off.
    assert!(padded > 1000 && wrong < 40 * 48 * 64 / 30, "{padded} {wrong}");
}

#[test]
fn sizes_are_those_of_mmsegmentation() {
    let at = |base, ratio: f64| SegmentationTransform {
        resize_base: base,
        resize_ratio: [ratio, ratio],
        ..plain(512)
    };
    let mut rng = Seed(1).stream(Purpose::Augmentation, 0, 0);
    // `rescale_size` of mmcv: the short side of 683 x 512 becomes 512 x ratio, that of a panorama follows the long one.
    for (base, ratio, image, expected) in [
        (Some([2048, 512]), 1.0, [512, 683], [512, 683]),
        (Some([2048, 512]), 0.5, [512, 683], [256, 342]),
        (Some([2048, 512]), 1.0, [300, 2000], [307, 2048]),
        (None, 2.0, [30, 41], [60, 82]),
        (Some([20, 10]), 0.01, [30, 41], [1, 1]),
    ] {
        assert_eq!(at(base, ratio).resized(image.into(), &mut rng), expected.into());
    }
}

#[test]
fn parts_of_one_class_are_drawn_anew() {
    // One column in a hundred is another class.
    let labels = (0..400 * 40).map(|at| u16::from(at % 400 >= 396)).collect();
    let map = LabelMap { width: 400, height: 40, labels };
    let with_both = |cat_max_ratio| {
        let transform = SegmentationTransform { cat_max_ratio, ..plain(32) };
        (0..200)
            .filter(|&sample| {
                let mut rng = Seed(1).stream(Purpose::Augmentation, 0, sample);
                let labels = transform.draw(&map, &mut rng).apply_to_labels(map.clone());
                labels.labels.contains(&1)
            })
            .count()
    };
    // Once in about 92, or once in eleven draws.
    assert!(
        with_both(1.0) < 10 && (8..40).contains(&with_both(0.99)),
        "{} {}",
        with_both(1.0),
        with_both(0.99)
    );
    assert!(!is_varied(&LabelMap::of_one(ImageSize::square(4), LabelMap::IGNORED), 0.75));
}

#[test]
fn values_without_sense_are_refused() {
    let plain = || plain(64);
    plain().validate().unwrap();
    SegmentationTransform { resize_base: Some([2048, 512]), ..plain() }.validate().unwrap();
    for (transform, expected) in [
        (SegmentationTransform { resize_ratio: [2.0, 0.5], ..plain() }, "resize ratio"),
        (SegmentationTransform { resize_ratio: [1.0, 100.5], ..plain() }, "resize ratio"),
        (SegmentationTransform { resize_base: Some([10, 20]), ..plain() }, "long"),
        (SegmentationTransform { cat_max_ratio: 0.0, ..plain() }, "cat_max_ratio"),
        (SegmentationTransform { flip_probability: f64::NAN, ..plain() }, "flip probability"),
        (SegmentationTransform { crop_size: ImageSize::square(0), ..plain() }, "image size"),
    ] {
        let message = transform.validate().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    let photometric = SegmentationTransform { photometric: true, ..plain() };
    assert!(photometric.check_channels(1).is_err() && photometric.check_channels(3).is_ok());
}
