//! From a picture to the values that a model sees: `f32`, colour by colour, normalised.

use convnext_core::Preprocessing;
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::{
    ColorJitter, DataError, Picture, RandAugment, RandomErasing, Region, TrainCrop,
    resample::{Order, resize_in_order},
    resize,
};

/// The square of a picture that evaluation looks at: `image_size` x `image_size` pixels.
///
/// With `crop`, the short side is resized to `floor(image_size / crop)`, the long side follows (rounded
/// down), and the centre is cut out. Without, the whole picture is warped to the square. A `crop` above 1
/// counts as 1, an `image_size` of 0 as 1.
pub fn crop_for_evaluation(picture: &Picture, preprocessing: &Preprocessing) -> Picture {
    let size = preprocessing.image_size.max(1);
    let Some(crop) = preprocessing.crop else {
        return resize(picture, Region::whole(picture), size, size);
    };
    let short_target = ((size as f64 / crop).floor() as usize).max(size);
    let (width, height) = (picture.width(), picture.height());
    let (short, long) = (width.min(height), width.max(height));
    let long_target = (short_target as f64 * long as f64 / short as f64) as usize;
    let (width, height) =
        if width <= height { (short_target, long_target) } else { (long_target, short_target) };
    // Only the centre is computed: the same pixels as cutting it out of the whole, at less cost.
    let part = |target: usize, side: usize| {
        let scale = side as f64 / target as f64;
        // Halves go to the even neighbour, as in Python.
        let start = ((target - size) as f64 / 2.0).round_ties_even();
        (start * scale, size as f64 * scale)
    };
    let (left, region_width) = part(width, picture.width());
    let (top, region_height) = part(height, picture.height());
    let centre = Region { left, top, width: region_width, height: region_height };
    resize_in_order(picture, centre, size, size, Order::of(picture, width, height))
}

/// [`crop_for_evaluation`] followed by [`normalize`]: values of shape `[3, image_size, image_size]`.
pub fn prepare_for_evaluation(picture: &Picture, preprocessing: &Preprocessing) -> Vec<f32> {
    normalize(&crop_for_evaluation(picture, preprocessing), preprocessing.mean, preprocessing.std)
}

/// `(value / 255 - mean) / std` of every pixel, all red values first: shape `[3, height, width]`.
pub fn normalize(picture: &Picture, mean: [f32; 3], std: [f32; 3]) -> Vec<f32> {
    let pixels = picture.width() * picture.height();
    let mut values = Vec::with_capacity(3 * pixels);
    for colour in 0..3 {
        let table: [f32; 256] =
            std::array::from_fn(|level| (level as f32 / 255.0 - mean[colour]) / std[colour]);
        values.extend(picture.rgb()[colour..].iter().step_by(3).map(|&level| table[usize::from(level)]));
    }
    values
}

/// What training does to a picture, in this order: a random crop, a random mirror image, RandAugment or colour
/// jitter, normalisation, random erasing (facts D3).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainTransform {
    /// Side of the square that the model sees, in pixels.
    pub image_size: usize,
    /// How the square is cut.
    pub crop: TrainCrop,
    /// Probability of exchanging left and right, in [0, 1].
    pub flip_probability: f64,
    /// Random brightness, contrast and saturation. Not together with RandAugment.
    pub color_jitter: Option<ColorJitter>,
    /// Random operations. Those that move pixels fill the corners with the mean colour.
    pub rand_augment: Option<RandAugment>,
    /// Mean of each colour, subtracted from values in [0, 1].
    pub mean: [f32; 3],
    /// Standard deviation of each colour, divided by.
    pub std: [f32; 3],
    /// Random rectangles of noise.
    pub erasing: Option<RandomErasing>,
}

impl TrainTransform {
    /// Values of shape `[3, image_size, image_size]`. All random choices come from `rng`.
    pub fn apply(&self, picture: &Picture, rng: &mut impl rand::Rng) -> Vec<f32> {
        let mut square = self.crop.apply(picture, self.image_size.max(1), rng);
        if rng.random::<f64>() < self.flip_probability {
            square = mirror(square);
        }
        if let Some(rand_augment) = self.rand_augment {
            square = rand_augment.apply(square, mean_colour(self.mean), rng);
        }
        if let Some(color_jitter) = self.color_jitter {
            square = color_jitter.apply(square, rng);
        }
        let (height, width) = (square.height(), square.width());
        let mut values = normalize(&square, self.mean, self.std);
        if let Some(erasing) = self.erasing {
            erasing.apply(&mut values, height, width, rng);
        }
        values
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] with the first value that does not fit, and for colour jitter together with
    /// RandAugment.
    pub fn validate(&self) -> Result<(), DataError> {
        let probable = (0.0..=1.0).contains(&self.flip_probability);
        DataError::check(probable, "flip probability", self.flip_probability, "between 0 and 1")?;
        check_common(self.image_size, self.mean, self.std)?;
        if let Some(color_jitter) = self.color_jitter {
            let advice = "off when RandAugment is on, as in timm; leave one of the two out";
            DataError::check(self.rand_augment.is_none(), "colour jitter", "on", advice)?;
            color_jitter.validate()?;
        }
        if let Some(rand_augment) = self.rand_augment {
            rand_augment.validate()?;
        }
        if let Some(erasing) = self.erasing {
            erasing.validate()?;
        }
        self.crop.validate(self.image_size)
    }
}

/// Checks the settings of evaluation against their ranges.
pub(crate) fn validate_preprocessing(preprocessing: &Preprocessing) -> Result<(), DataError> {
    if let Some(crop) = preprocessing.crop {
        DataError::check(crop > 0.0 && crop <= 1.0, "evaluation crop", crop, "above 0 and at most 1")?;
    }
    check_common(preprocessing.image_size, preprocessing.mean, preprocessing.std)
}

/// The largest side of a model's input; a larger one is a slip of the finger.
const MAX_IMAGE_SIZE: usize = 16_384;

fn check_common(image_size: usize, mean: [f32; 3], std: [f32; 3]) -> Result<(), DataError> {
    let sensible = (1..=MAX_IMAGE_SIZE).contains(&image_size);
    DataError::check(sensible, "image size", image_size, &format!("between 1 and {MAX_IMAGE_SIZE}"))?;
    let finite = mean.iter().all(|value| value.is_finite());
    DataError::check(finite, "mean of the colours", format!("{mean:?}"), "finite")?;
    let positive = std.iter().all(|&value| value.is_finite() && value > 0.0);
    DataError::check(positive, "standard deviation of the colours", format!("{std:?}"), "above 0")
}

/// The mean in levels of 255, as timm rounds it: (124, 116, 104) for ImageNet.
fn mean_colour(mean: [f32; 3]) -> [u8; 3] {
    mean.map(|mean| (255.0 * f64::from(mean)).round_ties_even() as u8)
}

/// The picture with left and right exchanged.
fn mirror(picture: Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let mut rgb = picture.into_rgb();
    for row in rgb.chunks_exact_mut(width * 3) {
        row.as_chunks_mut::<3>().0.reverse();
    }
    Picture::from_parts(width, height, rgb)
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;
    use crate::Operation;

    fn ramp(width: usize, height: usize) -> Picture {
        let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, 200]).collect();
        Picture::new(width, height, rgb).unwrap()
    }

    fn plain(image_size: usize, crop: Option<f64>) -> Preprocessing {
        Preprocessing { image_size, crop, mean: [0.0; 3], std: [1.0; 3] }
    }

    fn transform() -> TrainTransform {
        TrainTransform {
            image_size: 8,
            crop: TrainCrop::RandomResized { scale: [0.3, 1.0], ratio: [0.75, 1.25] },
            flip_probability: 0.5,
            color_jitter: None,
            rand_augment: None,
            mean: [0.0; 3],
            std: [1.0; 3],
            erasing: None,
        }
    }

    #[test]
    fn normalised_values_stand_colour_by_colour() {
        let picture = Picture::new(2, 1, vec![0, 51, 255, 255, 102, 0]).unwrap();
        let values = normalize(&picture, [0.5, 0.2, 0.0], [0.5, 0.1, 2.0]);
        for (value, expected) in values.iter().zip([-1.0, 1.0, 0.0, 2.0, 0.5, 0.0]) {
            assert!((value - expected).abs() < 1e-6, "{values:?}");
        }
        assert_eq!(values.len(), 6);
    }

    #[test]
    fn evaluation_cuts_the_centre() {
        // The short side is already 10 = floor(7 / 0.7): nothing is resized. (19 - 7) / 2 = 6, and
        // (10 - 7) / 2 = 1.5 goes to the even 2.
        let picture = crop_for_evaluation(&ramp(19, 10), &plain(7, Some(0.7)));
        assert_eq!((picture.width(), picture.height()), (7, 7));
        assert_eq!(picture.pixel(0, 0), [6, 2, 200]);
    }

    #[test]
    fn evaluation_without_crop_warps() {
        let picture = ramp(8, 8);
        assert_eq!(crop_for_evaluation(&picture, &plain(8, None)), picture);
        let warped = crop_for_evaluation(&ramp(40, 10), &plain(8, None));
        assert_eq!((warped.width(), warped.height()), (8, 8));
        assert!(warped.pixel(0, 0)[0] < 4 && warped.pixel(7, 0)[0] > 35);
    }

    #[test]
    fn pictures_of_one_pixel_are_enlarged() {
        let dot = Picture::new(1, 1, vec![9, 8, 7]).unwrap();
        for crop in [None, Some(0.875)] {
            assert_eq!(crop_for_evaluation(&dot, &plain(16, crop)).pixel(15, 15), [9, 8, 7]);
        }
        let values = transform().apply(&dot, &mut Seed(0).stream(Purpose::Augmentation, 0, 0));
        assert_eq!(values.len(), 3 * 8 * 8);
    }

    #[test]
    fn training_depends_on_the_stream_only() {
        let picture = ramp(20, 30);
        let values =
            |sample| transform().apply(&picture, &mut Seed(5).stream(Purpose::Augmentation, 0, sample));
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
    }

    #[test]
    fn half_of_the_pictures_are_mirrored() {
        let picture = ramp(8, 8);
        let transform = TrainTransform { crop: TrainCrop::Padded { padding: 0 }, ..transform() };
        let flips = (0..400)
            .filter(|&sample| {
                let mut rng = Seed(5).stream(Purpose::Augmentation, 0, sample);
                let values = transform.apply(&picture, &mut rng);
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

    #[test]
    fn what_is_off_draws_nothing() {
        // Runs of versions that knew crops and flips alone go on with the same pixels.
        let (picture, transform) = (ramp(20, 30), transform());
        for sample in 0..20 {
            let stream = || Seed(5).stream(Purpose::Augmentation, 0, sample);
            let (mut rng, mut plain) = (stream(), stream());
            let values = transform.apply(&picture, &mut rng);
            let mut square = transform.crop.apply(&picture, 8, &mut plain);
            if plain.random::<f64>() < 0.5 {
                square = mirror(square);
            }
            assert_eq!(values, normalize(&square, transform.mean, transform.std));
            assert_eq!(rng.random::<u64>(), plain.random::<u64>());
        }
    }

    #[test]
    fn pictures_are_changed_before_and_erased_after_normalisation() {
        let picture = ramp(20, 30);
        let (mut changed, mut negative) = (0, 0);
        for sample in 0..40 {
            let stream = || Seed(5).stream(Purpose::Augmentation, 0, sample);
            let plain = transform().apply(&picture, &mut stream());
            let erased = TrainTransform { rand_augment: None, ..everything() }.apply(&picture, &mut stream());
            let augmented = TrainTransform { erasing: None, ..everything() }.apply(&picture, &mut stream());
            // Levels of a picture over 255 lie in [0, 1]; only noise is outside.
            assert!(augmented.iter().all(|value| (0.0..=1.0).contains(value)));
            negative += usize::from(erased.iter().any(|&value| value < 0.0));
            changed += usize::from(augmented != plain);
        }
        assert!(changed > 20 && negative > 35, "{changed} {negative}");
    }

    #[test]
    fn corners_get_the_mean_colour() {
        assert_eq!(mean_colour(convnext_core::IMAGENET_MEAN), [124, 116, 104]);
        let turned = Operation::Rotate(45.0).apply(ramp(20, 20), mean_colour([0.0, 0.5, 1.0]));
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
            serde_json::from_str::<TrainTransform>(&text.replace("padding\":4", "padding\":4,\"x\":1"))
                .is_err()
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
        assert!(TrainTransform { std: [1.0, 0.0, 1.0], ..transform() }.validate().is_err());
        assert!(validate_preprocessing(&plain(0, None)).is_err());
        assert!(validate_preprocessing(&plain(8, Some(1.5))).is_err());
    }
}
