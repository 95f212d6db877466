//! Objects of one image pasted onto another: simple copy-paste, for few labels.
//!
//! Follows Ghiasi et al., Simple Copy-Paste is a Strong Data Augmentation Method for Instance Segmentation (CVPR 2021),
//! without blending, and the rule for what is hidden of mmdetection's `CopyPaste`. There both images have one size; here
//! only what lies in both is pasted.

use convnext_core::{BoundingBox, ImageSize};
use rand::RngExt;
use serde::{Deserialize, Serialize};

use crate::error::DataError;
use crate::instances::instance::{Instance, InstanceMask};
use crate::instances::run_lengths::RunLengths;
use crate::pixels::image::Image;
use crate::pixels::levels::Levels;
use crate::transforms::detection::AnnotatedImage;

/// Copy-paste of objects with masks.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyPaste {
    /// Probability that an image gets objects of another, in [0, 1].
    pub probability: f64,
}

/// An object that is hidden so far that its box changes by more pixels on a side, and of which no more pixels are left, is
/// left out.
const HIDDEN_BOX: f64 = 10.0;
const HIDDEN_PIXELS: u64 = 300;

impl CopyPaste {
    /// Checks the probability.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`].
    pub fn validate(&self) -> Result<(), DataError> {
        let fits = (0.0..=1.0).contains(&self.probability);
        DataError::check(fits, "copy-paste probability", self.probability, "between 0 and 1")
    }

    /// Draws the image of so many whose objects are pasted; `None` for none.
    pub fn draw(&self, images: usize, rng: &mut impl rand::Rng) -> Option<usize> {
        let is_drawn = rng.random::<f64>() < self.probability && images > 0;
        is_drawn.then(|| rng.random_range(0..images as u64) as usize)
    }
}

/// An image with some objects of another pasted onto it: each object with a mask that is no crowd with a probability of a
/// half. Masks and boxes of what they hide become smaller, or go; an object that has a box alone goes with all of its box.
///
/// # Panics
/// When the images have different channels.
pub fn copy_paste(onto: AnnotatedImage, from: &AnnotatedImage, rng: &mut impl rand::Rng) -> AnnotatedImage {
    let size = onto.image.size();
    let chosen = from.instances.iter().filter_map(|instance| {
        let mask = instance.mask.as_ref().filter(|_| !instance.is_crowd)?;
        (rng.random::<f64>() < 0.5).then_some((instance, mask))
    });
    let mut pasted = Vec::new();
    for (instance, mask) in chosen {
        let mask = placed(&mask.run_lengths(from.image.size()), size);
        let (bounds, area) = (mask.bounds(), mask.area());
        if area > 0 {
            let mask = Some(InstanceMask::RunLengths(mask));
            pasted.push(Instance { bounds, mask, area: area as f64, ..instance.clone() });
        }
    }
    if pasted.is_empty() {
        return onto;
    }
    let mut hidden = vec![false; size.pixels()];
    for instance in &pasted {
        cover(&mut hidden, instance, size);
    }
    let image = composed(&onto.image, &from.image, &hidden);
    let mut instances: Vec<Instance> =
        onto.instances.into_iter().filter_map(|instance| uncovered(instance, &hidden, size)).collect();
    instances.extend(pasted);
    AnnotatedImage { image, instances }
}

/// The same pixels in an image of another size, from the same corner on.
fn placed(mask: &RunLengths, size: ImageSize) -> RunLengths {
    if mask.size() == size { mask.clone() } else { mask.part([0, 0], size) }
}

/// Marks the pixels of an object.
fn cover(hidden: &mut [bool], instance: &Instance, size: ImageSize) {
    let Some(mask) = &instance.mask else { return };
    for at in mask.run_lengths(size).ranges().flat_map(|(start, end)| start..end) {
        hidden[at % size.height * size.width + at / size.height] = true;
    }
}

/// What is left of an object below others; `None` for nothing, or too little.
fn uncovered(instance: Instance, hidden: &[bool], size: ImageSize) -> Option<Instance> {
    let Some(mask) = &instance.mask else {
        // Which pixels of a box are the object is not known.
        return (!is_hidden(&instance.bounds, hidden, size)).then_some(instance);
    };
    let whole = mask.run_lengths(size);
    let visible: Vec<bool> =
        whole.rows().iter().zip(hidden).map(|(&inside, &hidden)| inside && !hidden).collect();
    let left = RunLengths::of_rows(&visible, size);
    if left.area() == whole.area() {
        return Some(instance);
    }
    let (before, bounds) = (whole.bounds(), left.bounds());
    let is_same =
        before.edges().iter().zip(bounds.edges()).all(|(one, other)| (one - other).abs() <= HIDDEN_BOX);
    let area = left.area();
    (area > 0 && (is_same || area > HIDDEN_PIXELS)).then_some(Instance {
        bounds,
        mask: Some(InstanceMask::RunLengths(left)),
        area: area as f64,
        ..instance
    })
}

/// `true` for a box with pixels, all of which are hidden.
fn is_hidden(bounds: &BoundingBox, hidden: &[bool], size: ImageSize) -> bool {
    let [left, top, right, bottom] = bounds.edges();
    let columns = left.floor() as usize..(right.ceil() as usize).min(size.width);
    let mut rows = top.floor() as usize..(bottom.ceil() as usize).min(size.height);
    let has_pixels = !columns.is_empty() && !rows.is_empty();
    has_pixels && rows.all(|y| columns.clone().all(|x| hidden[y * size.width + x]))
}

/// The image with the pixels of another where a map of its rows says so. Both begin at the same corner.
fn composed(onto: &Image, from: &Image, taken: &[bool]) -> Image {
    assert_eq!(onto.channels(), from.channels(), "images of the same channels");
    let levels: Levels = match (onto.levels(), from.levels()) {
        (Levels::Eight(below), _) => mixed([below, from.bytes()], [onto, from], taken).into(),
        (Levels::Sixteen(below, _), Levels::Sixteen(above, _)) => {
            mixed([below, above], [onto, from], taken).into()
        }
        (Levels::Sixteen(below, _), Levels::Eight(above)) => {
            let above: Vec<u16> = above.iter().map(|&level| u16::from(level) * 257).collect();
            mixed([below, &above], [onto, from], taken).into()
        }
    };
    Image::from_parts(onto.width(), onto.height(), onto.channels(), levels)
}

fn mixed<T: Copy>([below, above]: [&[T]; 2], [onto, from]: [&Image; 2], taken: &[bool]) -> Vec<T> {
    let channels = onto.channels();
    let mut mixed = below.to_vec();
    for (at, _) in taken.iter().enumerate().filter(|(_, taken)| **taken) {
        let (x, y) = (at % onto.width(), at / onto.width());
        let place = (y * from.width() + x) * channels;
        mixed[at * channels..][..channels].copy_from_slice(&above[place..place + channels]);
    }
    mixed
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;

    fn annotated(level: u8, (width, height): (usize, usize), edges: [f64; 4]) -> AnnotatedImage {
        let [left, top, right, bottom] = edges;
        let image = Image::new(width, height, 3, vec![level; width * height * 3]).unwrap();
        let ring = vec![left, top, right, top, right, bottom, left, bottom];
        let bounds = BoundingBox { left, top, right, bottom };
        let mask = Some(InstanceMask::Rings(vec![ring]));
        AnnotatedImage {
            image,
            instances: vec![Instance { class: 2, bounds, mask, area: bounds.area(), is_crowd: false }],
        }
    }

    fn pasted(onto: AnnotatedImage, from: &AnnotatedImage) -> AnnotatedImage {
        // A stream that takes the only object.
        let mut taken = (0..20).map(|sample| {
            copy_paste(onto.clone(), from, &mut Seed(1).stream(Purpose::Augmentation, 0, sample))
        });
        taken.find(|found| *found != onto).unwrap()
    }

    #[test]
    fn pasted_objects_hide_what_lies_below() {
        let onto = annotated(10, (60, 40), [5.0, 5.0, 45.0, 35.0]);
        let from = annotated(200, (50, 50), [35.0, 20.0, 50.0, 50.0]);
        let found = pasted(onto, &from);
        let [below, above] = &found.instances[..] else { panic!("two objects") };
        // The lower part of the pasted object lies outside.
        assert_eq!((above.bounds.edges(), above.area), ([35.0, 20.0, 50.0, 40.0], 300.0));
        assert_eq!((below.bounds.edges(), below.area), ([5.0, 5.0, 45.0, 35.0], 1200.0 - 150.0));
        assert_eq!((found.image.pixel(36, 21), found.image.pixel(36, 19)), (&[200; 3][..], &[10; 3][..]));
    }

    #[test]
    fn objects_that_are_hidden_go() {
        let onto = annotated(10, (60, 40), [5.0, 5.0, 25.0, 25.0]);
        let from = annotated(200, (60, 40), [0.0, 0.0, 40.0, 24.0]);
        assert_eq!(pasted(onto, &from).instances.len(), 1);
    }

    #[test]
    fn boxes_alone_go_when_all_of_them_is_hidden() {
        let from = annotated(200, (60, 40), [0.0, 0.0, 30.0, 24.0]);
        for (bottom, left_over) in [(24.0, 0), (24.5, 1)] {
            let mut onto = annotated(10, (60, 40), [4.5, 4.5, 29.5, bottom]);
            onto.instances[0].mask = None;
            let before = onto.instances.clone();
            let found = pasted(onto, &from).instances;
            assert_eq!(found[..found.len() - 1], before[..left_over], "to {bottom}");
        }
    }
}
