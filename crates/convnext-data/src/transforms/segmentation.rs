//! From an image and its label map to what a segmentation network is trained on (facts, "Segmentation").

use convnext_core::{COLOURS, Fit, ImageSize, Preprocessing, ResizeRule};
use rand::RngExt;

use crate::error::DataError;
use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;
use crate::transforms::distortion;
use crate::transforms::drawn::DrawnTransform;
use crate::transforms::evaluation::pad;
use crate::transforms::resized_cut::ResizedCut;
use crate::transforms::step::Step;
use crate::transforms::transform::normalize;

/// Training transform of an image and its label map, mmsegmentation's, in this order: a random size, a random part, a
/// random mirror image, photometric distortion, normalisation, padding.
///
/// Images are resized bilinearly without antialiasing, as OpenCV does it there; labels are the nearest. Of an image of
/// any size only the part is computed.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmentationTransform {
    /// Height and width of the part, in pixels. Smaller images are padded below and at the right: with the mean, and with
    /// labels that are ignored.
    pub crop_size: ImageSize,
    /// Bounds of the longer and the shorter side at a ratio of 1, within which the image keeps its proportions; `None` for
    /// its own size. (2048, 512) for ADE20K.
    pub resize_base: Option<[usize; 2]>,
    /// Smallest and largest ratio of the random size, above 0 and at most 100.
    pub resize_ratio: [f64; 2],
    /// Most of the labelled pixels of a part that one class may have, in (0, 1]: parts with more are drawn anew, ten
    /// times. 1 takes the first.
    pub cat_max_ratio: f64,
    /// Probability of exchanging left and right, in [0, 1].
    pub flip_probability: f64,
    /// Random brightness, contrast, saturation and hue, of colours only.
    pub photometric: bool,
}

/// Largest ratio of a random size.
const MAX_RATIO: f64 = 100.0;

/// An image and its labels, ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelledImage {
    /// Shape `[channels, height, width]`, normalised.
    pub values: Vec<f32>,
    /// Height and width of `values` in pixels.
    pub size: ImageSize,
    /// Of the size of `values`, ignored in the padding.
    pub labels: LabelMap,
}

impl SegmentationTransform {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), DataError> {
        self.crop_size.validate()?;
        if let Some([long, short]) = self.resize_base {
            ResizeRule::Fit { long, short }.validate()?;
        }
        let [least, most] = self.resize_ratio;
        let ordered = least > 0.0 && least <= most && most <= MAX_RATIO;
        let expected =
            format!("two numbers above 0, the second one not below the first and at most {MAX_RATIO}");
        DataError::check(ordered, "resize ratio", format!("{:?}", self.resize_ratio), &expected)?;
        let share = self.cat_max_ratio > 0.0 && self.cat_max_ratio <= 1.0;
        DataError::check(share, "cat_max_ratio", self.cat_max_ratio, "above 0 and at most 1")?;
        let probable = (0.0..=1.0).contains(&self.flip_probability);
        DataError::check(probable, "flip probability", self.flip_probability, "between 0 and 1")
    }

    /// Checks that images of so many channels can be transformed so.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for a distortion of colours where there are none.
    pub fn check_channels(&self, channels: usize) -> Result<(), DataError> {
        let expected = format!("off for images of {channels} channel(s), because it changes colours");
        DataError::check(channels == COLOURS || !self.photometric, "photometric distortion", "on", &expected)
    }

    /// Draws what happens to an image with these labels, before it is normalised and padded.
    pub fn draw(&self, labels: &LabelMap, rng: &mut impl rand::Rng) -> DrawnTransform {
        let resized = self.resized(labels.size(), rng);
        let mut cut = self.part(resized, rng);
        for _ in 0..TRIES {
            if self.cat_max_ratio >= 1.0 || is_varied(&cut.of_labels(labels), self.cat_max_ratio) {
                break;
            }
            cut = self.part(resized, rng);
        }
        let mut steps = vec![Step::ResizedCut(cut)];
        if rng.random::<f64>() < self.flip_probability {
            steps.push(Step::Mirror);
        }
        if self.photometric {
            steps.extend(distortion::draw(rng).into_iter().map(Step::Distortion));
        }
        DrawnTransform { steps }
    }

    /// The transformed image and labels. All random choices come from `rng`; mean and standard deviation are those of
    /// `preprocessing`.
    ///
    /// # Panics
    /// When image and labels have different sizes, or the image has other channels than the preprocessing.
    pub fn apply(
        &self,
        image: &Image,
        labels: LabelMap,
        preprocessing: &Preprocessing,
        rng: &mut impl rand::Rng,
    ) -> LabelledImage {
        assert_eq!(image.size(), labels.size(), "a label for each pixel");
        let drawn = self.draw(&labels, rng);
        let image = drawn.apply(image);
        let labels = drawn.apply_to_labels(labels);
        let size = self.crop_size;
        let values = normalize(&image, &preprocessing.mean, &preprocessing.std);
        LabelledImage { values: pad(values, image.size(), size), size, labels: padded(&labels, size) }
    }

    /// A random size of an image.
    fn resized(&self, image: ImageSize, rng: &mut impl rand::Rng) -> ImageSize {
        let [least, most] = self.resize_ratio;
        let ratio = least + (most - least) * rng.random::<f64>();
        match self.resize_base {
            Some(base) => {
                let [long, short] = base.map(|side| ((side as f64 * ratio) as usize).max(1));
                Fit { long, short, pad: 1 }.resized(image)
            }
            None => {
                let side = |side: usize| ((side as f64 * ratio + 0.5) as usize).max(1);
                ImageSize { height: side(image.height), width: side(image.width) }
            }
        }
    }

    /// A random part of a resized image.
    fn part(&self, resized: ImageSize, rng: &mut impl rand::Rng) -> ResizedCut {
        let height = resized.height.min(self.crop_size.height);
        let width = resized.width.min(self.crop_size.width);
        let mut start = |free: usize| rng.random_range(0..=free as u64) as usize;
        let top = start(resized.height - height);
        let left = start(resized.width - width);
        ResizedCut { resized, left, top, size: ImageSize { height, width } }
    }
}

/// Parts that are drawn anew at most, in search of one with several classes.
const TRIES: usize = 10;

/// `true` if a map has more than one class, and none has `most` of the labelled pixels or more.
fn is_varied(map: &LabelMap, most: f64) -> bool {
    let mut counts = Vec::new();
    for run in map.labels.chunk_by(|left, right| left == right) {
        if run[0] != LabelMap::IGNORED {
            let label = usize::from(run[0]);
            if counts.len() <= label {
                counts.resize(label + 1, 0);
            }
            counts[label] += run.len();
        }
    }
    let (all, largest): (usize, usize) = (counts.iter().sum(), counts.iter().max().copied().unwrap_or(0));
    largest < all && (largest as f64 / all as f64) < most
}

/// A map with ignored labels below and at the right.
fn padded(map: &LabelMap, size: ImageSize) -> LabelMap {
    if map.size() == size {
        return map.clone();
    }
    let along = |side: usize, to: usize| -> Vec<Option<usize>> {
        (0..to).map(|at| Some(at).filter(|&at| at < side)).collect()
    };
    map.of_columns_and_rows(&along(map.width, size.width), &along(map.height, size.height))
}

#[cfg(test)]
mod tests;
