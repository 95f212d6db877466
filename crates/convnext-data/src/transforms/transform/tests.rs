use convnext_core::{Preprocessing, Purpose, Seed};

use super::*;
use crate::pixels::label_map::LabelMap;
use crate::pixels::resample::{Region, resize_with};
use crate::transforms::augment::Operation;
use crate::transforms::bordered::Bordered;
use crate::transforms::evaluation::prepare_for_evaluation;
use crate::transforms::mirror::mirror;

fn ramp(width: usize, height: usize) -> Image {
    let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, 200]).collect();
    Image::new(width, height, 3, rgb).unwrap()
}

fn transform() -> TrainTransform {
    TrainTransform::plain(
        8,
        TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] },
        vec![0.0; 3],
        vec![1.0; 3],
    )
}

#[test]
fn normalised_values_stand_colour_by_colour() {
    let image = Image::new(2, 1, 3, vec![0, 51, 255, 255, 102, 0]).unwrap();
    let values = normalize(&image, &[0.5, 0.2, 0.0], &[0.5, 0.1, 2.0]);
    for (value, expected) in values.iter().zip([-1.0, 1.0, 0.0, 2.0, 0.5, 0.0]) {
        assert!((value - expected).abs() < 1e-6, "{values:?}");
    }
    assert_eq!(values.len(), 6);
}

#[test]
fn images_of_one_pixel_are_enlarged() {
    let dot = Image::new(1, 1, 3, vec![9, 8, 7]).unwrap();
    let values = transform().apply(&dot, &mut Seed(0).stream(Purpose::Augmentation, 0, 0));
    assert_eq!(values.len(), 3 * 8 * 8);
}

/// Levels between two of 255 reach the network through cropping, flipping and resizing.
#[test]
fn deep_images_keep_their_levels_to_the_end() {
    let levels = (0..64 * 64 * 3).map(|i| (20_000 + i * i % 257) as u16).collect();
    let image = Image::deep(64, 64, 3, levels).unwrap();
    let distinct = |values: Vec<f32>| {
        assert!(values.iter().all(|value| (0.3..0.31).contains(value)), "{values:?}");
        values.iter().map(|value| value.to_bits()).collect::<std::collections::HashSet<_>>().len()
    };
    let evaluated = Preprocessing { mean: vec![0.0; 3], std: vec![1.0; 3], ..Preprocessing::for_size(48, 3) };
    assert!(distinct(prepare_for_evaluation(&image, &evaluated).values) > 50);
    for crop in [transform().crop, TrainCrop::Padded { padding: 0 }] {
        let transform =
            TrainTransform { image_size: ImageSize::square(48), crop, flip_probability: 1.0, ..transform() };
        let values = transform.apply(&image, &mut Seed(0).stream(Purpose::Augmentation, 0, 0));
        assert!(distinct(values) > 50);
    }
    // RandAugment works on 8 bit.
    let rounded = Operation::Invert.apply(image.clone(), [0; 3]);
    assert!(!rounded.is_deep() && rounded.pixel(0, 0) == [255 - 78; 3]);
    // Mirrored twice, it is what it was; what was rounded meanwhile is forgotten.
    assert_eq!(image.pixel(0, 0), [78; 3]);
    let levels: Vec<u16> = (0..6).collect();
    let small = Image::deep(2, 1, 3, levels.iter().map(|level| level * 2570).collect()).unwrap();
    assert_eq!(small.bytes(), [0, 10, 20, 30, 40, 50]);
    assert_eq!(mirror(small).bytes(), [30, 40, 50, 0, 10, 20]);
}

#[test]
fn training_depends_on_the_stream_only() {
    let image = ramp(20, 30);
    let values = |sample| transform().apply(&image, &mut Seed(5).stream(Purpose::Augmentation, 0, sample));
    assert_eq!(values(1), values(1));
    assert_ne!(values(1), values(2));
}

#[test]
fn half_of_the_images_are_mirrored() {
    let image = ramp(8, 8);
    let transform = TrainTransform { crop: TrainCrop::Padded { padding: 0 }, ..transform() };
    let flips = (0..400)
        .filter(|&sample| {
            let mut rng = Seed(5).stream(Purpose::Augmentation, 0, sample);
            let values = transform.apply(&image, &mut rng);
            assert_eq!(values[0] + values[7], 7.0 / 255.0, "a row that is neither");
            values[0] > values[7]
        })
        .count();
    assert!((160..240).contains(&flips), "{flips}");
}

fn everything() -> TrainTransform {
    TrainTransform {
        rand_augment: Some("rand-m9-mstd0.5-inc1".parse().unwrap()),
        erasing: Some(RandomErasing { probability: 1.0 }),
        ..transform()
    }
}

/// A transform carried out while it is drawn, as it was before drawing and applying were apart.
fn applied_while_drawn(
    transform: &TrainTransform,
    image: &Image,
    rng: &mut (impl rand::Rng + ?Sized),
) -> Vec<f32> {
    let mut rng = rng;
    let target = transform.image_size;
    let resized = |region| resize_with(transform.interpolation, image, region, target.width, target.height);
    let mut changed = match transform.crop {
        TrainCrop::RandomResized { .. } => {
            let drawn = transform.crop.draw(image.size(), transform.target(), &mut rng);
            let [Step::Crop { region, .. }] = drawn[..] else { panic!("{drawn:?}") };
            resized(region)
        }
        TrainCrop::Padded { padding } => {
            let whole = resized(Region::whole(image));
            let left = rng.random_range(0..=2 * padding);
            let top = rng.random_range(0..=2 * padding);
            Bordered { padding, left, top }.of(&whole)
        }
    };
    if rng.random::<f64>() < transform.flip_probability {
        changed = mirror(changed);
    }
    if let Some(rand_augment) = transform.rand_augment {
        changed = rand_augment.apply(changed, mean_colour(&transform.mean), &mut rng);
    }
    if let Some(color_jitter) = transform.color_jitter {
        changed = color_jitter.apply(changed, &mut rng);
    }
    let (height, width) = (changed.height(), changed.width());
    let mut values = normalize(&changed, &transform.mean, &transform.std);
    if let Some(erasing) = transform.erasing {
        erasing.apply(&mut values, height, width, &mut rng);
    }
    values
}

#[test]
fn what_is_drawn_first_has_the_bits_of_what_is_applied_while_it_is_drawn() {
    let image = ramp(20, 30);
    let jitter = ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4 };
    let jittered = TrainTransform { rand_augment: None, color_jitter: Some(jitter), ..everything() };
    let padded = TrainTransform { crop: TrainCrop::Padded { padding: 3 }, ..everything() };
    for transform in [transform(), everything(), jittered, padded] {
        for sample in 0..200 {
            let stream = || Seed(5).stream(Purpose::Augmentation, 0, sample);
            let (mut rng, mut other) = (stream(), stream());
            let expected = applied_while_drawn(&transform, &image, &mut other);
            assert_eq!(transform.apply(&image, &mut rng), expected, "{sample}");
            // What is off draws nothing, and nothing is drawn in another order.
            assert_eq!(rng.random::<u64>(), other.random::<u64>());
        }
    }
}

/// Pixels whose label is their own place, so that wherever one comes to lie, its label tells what it was.
#[test]
fn labels_take_the_geometric_steps_of_what_is_drawn() {
    let places = |x: usize, y: usize| (x + 20 * y) as u16;
    let rgb = (0..30).flat_map(|y| (0..20).flat_map(move |x| [(places(x, y) / 4) as u8; 3])).collect();
    let image = Image::new(20, 30, 3, rgb).unwrap();
    let labels = (0..30).flat_map(|y| (0..20).map(move |x| places(x, y))).collect();
    let map = LabelMap { width: 20, height: 30, labels };
    let nearest = TrainTransform { interpolation: Interpolation::Nearest, ..transform() };
    let mut mirrored = 0;
    for sample in 0..50 {
        let mut rng = Seed(5).stream(Purpose::Augmentation, 0, sample);
        let drawn = nearest.draw(image.size(), &mut rng);
        mirrored += usize::from(drawn.steps.contains(&Step::Mirror));
        let (changed, labels) = (drawn.apply(&image), drawn.apply_to_labels(map.clone()));
        assert_eq!(changed.size(), labels.size());
        let reds = changed.bytes().iter().step_by(3).map(|&red| u16::from(red));
        assert!(reds.eq(labels.labels.iter().map(|&label| label / 4)), "{drawn:?}");
    }
    assert!((10..40).contains(&mirrored), "{mirrored}");
}

#[test]
fn images_are_changed_before_and_erased_after_normalisation() {
    let image = ramp(20, 30);
    let (mut changed, mut negative) = (0, 0);
    for sample in 0..40 {
        let stream = || Seed(5).stream(Purpose::Augmentation, 0, sample);
        let plain = transform().apply(&image, &mut stream());
        let erased = TrainTransform { rand_augment: None, ..everything() }.apply(&image, &mut stream());
        let augmented = TrainTransform { erasing: None, ..everything() }.apply(&image, &mut stream());
        // Levels of an image over 255 lie in [0, 1]; only noise is outside.
        assert!(augmented.iter().all(|value| (0.0..=1.0).contains(value)));
        negative += usize::from(erased.iter().any(|&value| value < 0.0));
        changed += usize::from(augmented != plain);
    }
    assert!(changed > 20 && negative > 35, "{changed} {negative}");
}

#[test]
fn corners_get_the_mean_colour() {
    assert_eq!(mean_colour(&convnext_core::IMAGENET_MEAN), [124, 116, 104]);
    let turned = Operation::Rotate(45.0).apply(ramp(20, 20), mean_colour(&[0.0, 0.5, 1.0]));
    assert_eq!(turned.pixel(0, 0), [0, 128, 255]);
}

#[test]
fn settings_are_read_and_checked() {
    let text = r#"{"image_size":32,"crop":{"padded":{"padding":4}},"flip_probability":0.5,
        "mean":[0,0,0],"std":[1,1,1]}"#;
    let read: TrainTransform = serde_json::from_str(text).unwrap();
    assert_eq!(read.crop, TrainCrop::Padded { padding: 4 });
    read.validate().unwrap();
    assert_eq!((read.color_jitter, read.rand_augment, read.erasing), (None, None, None));
    let text_of_all = serde_json::to_string(&everything()).unwrap();
    assert!(text_of_all.contains("\"rand-m9-mstd0.5-inc1\""), "{text_of_all}");
    assert_eq!(serde_json::from_str::<TrainTransform>(&text_of_all).unwrap(), everything());
    assert!(
        serde_json::from_str::<TrainTransform>(&text.replace("padding\":4", "padding\":4,\"x\":1")).is_err()
    );

    let crop = TrainCrop::RandomResized { scale: [0.5, 0.1], ratio: [1.0, 1.0] };
    let message = TrainTransform { crop, ..transform() }.validate().unwrap_err().to_string();
    assert!(message.contains("crop scale is [0.5, 0.1]"), "{message}");
    let jitter = ColorJitter { brightness: 0.4, contrast: 0.4, saturation: 0.4 };
    let both = TrainTransform { color_jitter: Some(jitter), ..everything() };
    let message = both.validate().unwrap_err().to_string();
    assert!(message.contains("colour jitter is on, but must be off when RandAugment is on"), "{message}");
    TrainTransform { rand_augment: None, ..both.clone() }.validate().unwrap();
    let erasing = Some(RandomErasing { probability: 2.0 });
    assert!(TrainTransform { erasing, ..transform() }.validate().is_err());
    let rand_augment = Some(RandAugment { magnitude: 11, magnitude_std: 0.5, operations: 2 });
    assert!(TrainTransform { rand_augment, ..transform() }.validate().is_err());
    let color_jitter = Some(ColorJitter { contrast: -1.0, ..jitter });
    assert!(TrainTransform { color_jitter, ..transform() }.validate().is_err());
    assert!(TrainTransform { flip_probability: 1.5, ..transform() }.validate().is_err());
    assert!(TrainTransform { std: vec![1.0, 0.0, 1.0], ..transform() }.validate().is_err());
    assert!(TrainTransform { image_size: ImageSize::from([8, 0]), ..transform() }.validate().is_err());
    assert!(validate_preprocessing(&Preprocessing::for_size(0, 3)).is_err());
}

#[test]
fn rectangles_are_cut_with_the_draws_of_squares() {
    let image = ramp(20, 30);
    let at = |image_size: [usize; 2]| TrainTransform { image_size: image_size.into(), ..transform() };
    for crop in [transform().crop, TrainCrop::Padded { padding: 2 }] {
        let stream = || Seed(5).stream(Purpose::Augmentation, 0, 3);
        let (mut of_square, mut of_rectangle) = (stream(), stream());
        let square = TrainTransform { crop: crop.clone(), ..at([8, 8]) }.apply(&image, &mut of_square);
        let wide = TrainTransform { crop, ..at([8, 24]) }.apply(&image, &mut of_rectangle);
        assert_eq!((square.len(), wide.len()), (3 * 8 * 8, 3 * 8 * 24));
        assert_eq!(of_square.random::<u64>(), of_rectangle.random::<u64>());
        // Red is the column, green the row: over the same region, whatever the target.
        let ends = |values: &[f32], width: usize| [values[0], values[width - 1]].map(|red| red * 255.0);
        let (square, wide) = (ends(&square, 8), ends(&wide, 24));
        assert!(
            (square[0] - wide[0]).abs() < 3.0 && (square[1] - wide[1]).abs() < 3.0,
            "{square:?} {wide:?}"
        );
    }
}
