//! From an image and its objects to what a detector is trained on (facts, "Detection").

use convnext_core::{BoundingBox, Fit, ImageSize};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::instances::instance::{Instance, InstanceMask};
use crate::instances::run_lengths::RunLengths;
use crate::pixels::image::Image;
use crate::transforms::drawn::DrawnTransform;
use crate::transforms::instance_maps::InstanceMaps;
use crate::transforms::resized_cut::ResizedCut;
use crate::transforms::step::Step;

/// Training transform of an image and its objects, mmdetection's: a size, perhaps a random part, a random mirror image.
///
/// Images are resized bilinearly without antialiasing and masks to the nearest pixels, as OpenCV does it there. Of a part,
/// the boxes of objects with masks are those around what is left of the mask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DetectionTransform {
    /// The size, and the part.
    pub resize: DetectionResize,
    /// Probability of exchanging left and right, in [0, 1].
    pub flip_probability: f64,
}

/// Size of an image in training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum DetectionResize {
    /// Large-scale jittering: the image fits into `size` times a random ratio, and a random part of at most `size` is
    /// taken.
    Jitter {
        /// Height and width in pixels of the part at most, and of the bounds at a ratio of 1.
        size: ImageSize,
        /// Smallest and largest ratio, above 0.
        ratio: [f64; 2],
    },
    /// The whole image fits into one of several bounds.
    MultiScale {
        /// The shorter side at most, in pixels; each choice is equally probable.
        short: Vec<usize>,
        /// The longer side at most, in pixels.
        long: usize,
    },
}

/// An image with its objects, after a transform.
#[derive(Debug, Clone, PartialEq)]
pub struct AnnotatedImage {
    /// The image.
    pub image: Image,
    /// The objects that are left of it, crowds included, in pixels of the image. Masks are run lengths.
    pub instances: Vec<Instance>,
}

/// Sides in pixels of a box that is kept, more than.
const LEAST_SIDE: f64 = 0.01;

/// Largest ratio of large-scale jittering: beyond it a few pixels are all of the part.
const MOST_RATIO: f64 = 100.0;

/// Transforms that are drawn at most, in search of one that leaves an object.
const TRIES: usize = 10;

impl DetectionTransform {
    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] or [`DataError::Config`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), DataError> {
        let probable = (0.0..=1.0).contains(&self.flip_probability);
        DataError::check(probable, "flip probability", self.flip_probability, "between 0 and 1")?;
        match &self.resize {
            DetectionResize::Jitter { size, ratio } => {
                size.validate()?;
                let [least, most] = *ratio;
                let ordered = least > 0.0 && least <= most && most <= MOST_RATIO;
                let expected = "two increasing numbers above 0 and at most 100";
                DataError::check(ordered, "resize ratio", format!("{ratio:?}"), expected)
            }
            DetectionResize::MultiScale { short, long } => {
                let fits = !short.is_empty() && short.iter().all(|short| *short > 0 && short <= long);
                ImageSize::square(*long).validate()?;
                let expected = "at least one shorter side, each above 0 and at most the longer one";
                DataError::check(fits, "sides of images", format!("{short:?} and {long}"), expected)
            }
        }
    }

    /// Draws what happens to an image of this size.
    pub fn draw(&self, image: ImageSize, rng: &mut impl rand::Rng) -> DrawnTransform {
        let cut = match &self.resize {
            DetectionResize::Jitter { size, ratio: [least, most] } => {
                let ratio = least + (most - least) * rng.random::<f64>();
                let [long, short] =
                    [size.long_side(), size.short_side()].map(|side| ((side as f64 * ratio) as usize).max(1));
                part(Fit { long, short, pad: 1 }.resized(image), *size, rng)
            }
            DetectionResize::MultiScale { short, long } => {
                let drawn = rng.random_range(0..short.len() as u64) as usize;
                whole(Fit { long: *long, short: short[drawn], pad: 1 }.resized(image))
            }
        };
        let mut steps = vec![Step::ResizedCut(cut)];
        if rng.random::<f64>() < self.flip_probability {
            steps.push(Step::Mirror);
        }
        DrawnTransform { steps }
    }

    /// The transformed image with the objects that are left. All random choices come from `rng`.
    ///
    /// Objects whose box has a side of at most 0.01 pixels are left out. Where objects lie in the part and none of them is
    /// left, as of masks too small for a pixel, the transform is drawn anew, ten times at most; a part that no object
    /// reaches into is taken as it is. mmdetection takes another image instead of a new part.
    pub fn apply(&self, image: &Image, instances: &[Instance], rng: &mut impl rand::Rng) -> AnnotatedImage {
        let masks: Vec<Option<RunLengths>> = instances
            .iter()
            .map(|instance| Some(instance.mask.as_ref()?.run_lengths(image.size())))
            .collect();
        let maps = InstanceMaps::pack(masks.iter().map(Option::as_ref), image.size());
        let mut drawn = self.draw(image.size(), rng);
        let mut moved = self.moved(instances, &maps, &drawn, image.size());
        for _ in 1..TRIES {
            if !moved.is_lost {
                break;
            }
            drawn = self.draw(image.size(), rng);
            moved = self.moved(instances, &maps, &drawn, image.size());
        }
        AnnotatedImage { image: drawn.apply(image), instances: moved.instances }
    }

    fn moved(
        &self,
        instances: &[Instance],
        maps: &InstanceMaps,
        drawn: &DrawnTransform,
        size: ImageSize,
    ) -> Moved {
        let of_masks = matches!(self.resize, DetectionResize::Jitter { .. });
        let masks = maps.moved(drawn).unpack();
        let (mut kept, mut reaching) = (Vec::with_capacity(instances.len()), 0);
        for (instance, mask) in instances.iter().zip(masks) {
            let bounds = drawn.apply_to_box(instance.bounds, size);
            if !bounds.has_area() {
                continue;
            }
            reaching += usize::from(!instance.is_crowd);
            let bounds = mask.as_ref().filter(|_| of_masks).map_or(bounds, RunLengths::bounds);
            if bounds.width() > LEAST_SIDE && bounds.height() > LEAST_SIDE {
                kept.push(moved_instance(instance, bounds, mask));
            }
        }
        let is_lost = reaching > 0 && kept.iter().all(|instance: &Instance| instance.is_crowd);
        Moved { instances: kept, is_lost }
    }
}

/// Objects of a transformed image.
struct Moved {
    instances: Vec<Instance>,
    /// `true` if objects reach into it and none is left.
    is_lost: bool,
}

fn moved_instance(instance: &Instance, bounds: BoundingBox, mask: Option<RunLengths>) -> Instance {
    Instance {
        class: instance.class,
        bounds,
        area: mask.as_ref().map_or_else(|| bounds.area(), |mask| mask.area() as f64),
        mask: mask.map(InstanceMask::RunLengths),
        is_crowd: instance.is_crowd,
    }
}

fn whole(resized: ImageSize) -> ResizedCut {
    ResizedCut { resized, left: 0, top: 0, size: resized }
}

/// A random part of a resized image, of at most this size.
fn part(resized: ImageSize, most: ImageSize, rng: &mut impl rand::Rng) -> ResizedCut {
    let size = ImageSize { height: resized.height.min(most.height), width: resized.width.min(most.width) };
    let mut start = |free: usize| rng.random_range(0..=free as u64) as usize;
    let top = start(resized.height - size.height);
    let left = start(resized.width - size.width);
    ResizedCut { resized, left, top, size }
}

#[cfg(test)]
mod tests;
