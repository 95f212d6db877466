//! Training crops.

use convnext_core::{COLOURS, ImageSize, ValueRange};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::pixels::resample::{CropTarget, Region};
use crate::reading::decoding::Decoding;
use crate::reading::jpeg::scaled::ScaledJpeg;
use crate::transforms::bordered::Bordered;
use crate::transforms::step::Step;

/// Training crop of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TrainCrop {
    /// A rectangle of random area and shape, whatever the shape of the image size that it is resized to: the usual
    /// choice for photographs.
    RandomResized {
        /// Smallest and largest fraction of the image's area, each in (0, 1].
        scale: [f64; 2],
        /// Smallest and largest width / height, each above 0.
        ratio: [f64; 2],
    },
    /// The image with a black border, cut to its old size at a random position: for inputs of at most
    /// 32 pixels.
    Padded {
        /// Width of the border in pixels.
        padding: usize,
    },
}

impl TrainCrop {
    /// Checks every value against its range.
    pub(crate) fn validate(&self, image_size: ImageSize) -> Result<(), DataError> {
        match *self {
            Self::RandomResized { scale, ratio } => {
                let scale_fits = scale[0] > 0.0 && scale[0] <= scale[1] && scale[1] <= 1.0;
                let expected = "two increasing numbers above 0 and at most 1";
                DataError::check(scale_fits, "crop scale", format!("{scale:?}"), expected)?;
                let ratio_fits = ratio[0] > 0.0 && ratio[0] <= ratio[1] && ratio[1].is_finite();
                DataError::check(
                    ratio_fits,
                    "crop ratio",
                    format!("{ratio:?}"),
                    "two increasing numbers above 0",
                )
            }
            Self::Padded { padding } => DataError::check(
                padding <= image_size.short_side(),
                "crop padding",
                padding,
                &format!("at most the image size of {image_size}"),
            ),
        }
    }

    /// Draws the steps for an image of this size.
    pub(crate) fn draw(&self, image: ImageSize, target: CropTarget, rng: &mut impl rand::Rng) -> Vec<Step> {
        let CropTarget { size, interpolation } = target;
        let sides = (image.width, image.height);
        match *self {
            Self::RandomResized { scale, ratio } => {
                let region = random_region(sides, scale, ratio, rng);
                vec![Step::Crop { region, size, interpolation }]
            }
            Self::Padded { padding } => {
                let [left, top] = [(); 2].map(|()| rng.random_range(0..=2 * padding));
                let region = Region::of_size(image);
                let whole = Step::Crop { region, size, interpolation };
                vec![whole, Step::Border(Bordered { padding, left, top })]
            }
        }
    }

    /// A JPEG file of which less than all pixels may be decoded: where these are colours and the crop allows it.
    pub(crate) fn scaled_jpeg<'a>(&self, bytes: &'a [u8], decoding: &Decoding) -> Option<ScaledJpeg<'a>> {
        // What a range changes is done to whole images.
        let fits = decoding.channels == COLOURS && !matches!(decoding.range, ValueRange::EightBit(_));
        let is_resized = matches!(self, Self::RandomResized { .. });
        if fits && is_resized { ScaledJpeg::read(bytes, decoding.orientation) } else { None }
    }
}

/// A rectangle of whole pixels with random area and ratio, of an image of this width and height. Where ten
/// draws do not fit into the image, the largest central rectangle whose ratio is allowed.
fn random_region(
    (width, height): (usize, usize),
    scale: [f64; 2],
    ratio: [f64; 2],
    rng: &mut impl rand::Rng,
) -> Region {
    const TRIES: usize = 10;
    let (width, height) = (width as f64, height as f64);
    let mut between = |range: [f64; 2]| range[0] + (range[1] - range[0]) * rng.random::<f64>();
    let drawn = (0..TRIES).find_map(|_| {
        let area = width * height * between(scale);
        let ratio = between(ratio.map(f64::ln)).exp();
        // Halves go to the even neighbour, as in Python.
        let (w, h) = ((area * ratio).sqrt().round_ties_even(), (area / ratio).sqrt().round_ties_even());
        ((1.0..=width).contains(&w) && (1.0..=height).contains(&h)).then_some((w, h))
    });
    if let Some((w, h)) = drawn {
        let mut start = |free: f64| rng.random_range(0..=free as u64) as f64;
        let top = start(height - h);
        let left = start(width - w);
        return Region { left, top, width: w, height: h };
    }
    let (w, h) = match width / height {
        narrow if narrow < ratio[0] => (width, (width / ratio[0]).round_ties_even().max(1.0)),
        wide if wide > ratio[1] => ((height * ratio[1]).round_ties_even().max(1.0), height),
        _ => (width, height),
    };
    Region { left: ((width - w) / 2.0).floor(), top: ((height - h) / 2.0).floor(), width: w, height: h }
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use convnext_core::Interpolation;

    use super::*;
    use crate::pixels::image::Image;
    use crate::transforms::distributions::Reference;
    use crate::transforms::drawn::DrawnTransform;

    fn numbered(width: usize, height: usize) -> Image {
        let rgb = (0..width * height).flat_map(|i| [i as u8 + 1; 3]).collect();
        Image::new(width, height, 3, rgb).unwrap()
    }

    #[test]
    fn random_regions_keep_area_ratio_and_borders() {
        let (scale, ratio) = ([0.2, 0.9], [0.75, 4.0 / 3.0]);
        let mut rng = Seed(3).stream(Purpose::Augmentation, 0, 0);
        let mut smallest = f64::INFINITY;
        let mut largest: f64 = 0.0;
        for _ in 0..2000 {
            let region = random_region((12, 9), scale, ratio, &mut rng);
            assert!(region.left >= 0.0 && region.left + region.width <= 12.0, "{region:?}");
            assert!(region.top >= 0.0 && region.top + region.height <= 9.0, "{region:?}");
            assert_eq!(region.left.fract() + region.width.fract(), 0.0, "{region:?}");
            let area = region.width * region.height / 108.0;
            (smallest, largest) = (smallest.min(area), largest.max(area));
        }
        // Whole pixels widen the range a little.
        assert!((0.15..0.25).contains(&smallest) && (0.85..=1.0).contains(&largest), "{smallest} {largest}");
    }

    #[test]
    fn random_regions_are_those_of_timm() {
        for (width, height) in [(500, 375), (40, 31), (200, 30)] {
            let mut reference = Reference::read(&format!("crop {width}x{height}"));
            let mut rng = Seed(8).stream(Purpose::Augmentation, 0, 0);
            let spot = |start: f64, free: f64| if free > 0.0 { start / free } else { 0.5 };
            for _ in 0..10_000 {
                let region = random_region((width, height), [0.08, 1.0], [3.0 / 4.0, 4.0 / 3.0], &mut rng);
                reference.add("area", region.width * region.height / (width * height) as f64);
                reference.add("log ratio", (region.width / region.height).ln());
                reference.add("left", spot(region.left, width as f64 - region.width));
                reference.add("top", spot(region.top, height as f64 - region.height));
            }
            reference.check();
        }
    }

    #[test]
    fn long_images_fall_back_to_the_centre() {
        let mut rng = Seed(0).stream(Purpose::Augmentation, 0, 0);
        // No rectangle of at least 90 % of the area is as square as asked for.
        let wide = random_region((40, 4), [0.9, 1.0], [0.75, 1.25], &mut rng);
        assert_eq!(wide, Region { left: 17.0, top: 0.0, width: 5.0, height: 4.0 });
        let tall = random_region((4, 40), [0.9, 1.0], [0.8, 1.25], &mut rng);
        assert_eq!(tall, Region { left: 0.0, top: 17.0, width: 4.0, height: 5.0 });
    }

    #[test]
    fn every_position_of_the_border_is_drawn() {
        let image = numbered(4, 4);
        let mut seen = std::collections::HashSet::new();
        let mut rng = Seed(1).stream(Purpose::Augmentation, 0, 0);
        for _ in 0..200 {
            let target = CropTarget { size: ImageSize::square(4), interpolation: Interpolation::Bicubic };
            let steps = TrainCrop::Padded { padding: 1 }.draw(image.size(), target, &mut rng);
            seen.insert(DrawnTransform { steps }.apply(&image).into_bytes());
        }
        assert_eq!(seen.len(), 9);
    }
}
