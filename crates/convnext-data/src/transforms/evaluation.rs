//! From an image to the values that a network sees in evaluation: resized, cut or padded, and normalised.

use convnext_core::{Geometry, ImageSize, Preprocessing};

use crate::pixels::image::Image;
use crate::pixels::resample::{Order, Region, resize_in_order, resize_with};
use crate::transforms::transform::normalize;

/// An image ready for a network.
#[derive(Debug, Clone, PartialEq)]
pub struct PreparedImage {
    /// Shape `[channels, height, width]`, normalised.
    pub values: Vec<f32>,
    /// Height and width in pixels.
    pub size: ImageSize,
}

/// The part of an image that evaluation looks at, at the size that [`Geometry`] gives it, before any padding. Sizes
/// of 0 count as 1, a `crop` above 1 as 1.
///
/// A centre crop of a square resizes the short side to `floor(side / crop)`, and the long side follows, rounded down
/// (torchvision's `Resize`). Of a rectangle each side has a `floor(side / crop)` of its own: the image's side that is
/// shorter in relation to it becomes that, and the other one follows, rounded (timm's `ResizeKeepRatio`).
pub fn resize_for_evaluation(image: &Image, preprocessing: &Preprocessing) -> Image {
    let interpolation = preprocessing.interpolation;
    let whole =
        |size: ImageSize| resize_with(interpolation, image, Region::whole(image), size.width, size.height);
    match preprocessing.geometry {
        Geometry::CentreCrop { size, crop } => {
            let [height, width] = [size.height, size.width].map(|side| side.max(1));
            let cut = ImageSize { height, width };
            let resized = covering(image.size(), cut, crop);
            let order = Order::of(image, resized.width, resized.height);
            let centre = centre(image.size(), resized, cut);
            resize_in_order(interpolation, image, centre, [width, height], order)
        }
        Geometry::Warp { size } => whole(size),
        Geometry::Fit(fit) => whole(fit.resized(image.size())),
        Geometry::None { .. } => image.clone(),
    }
}

/// The size of an image that covers `cut` over `crop` on both sides and keeps its proportions.
fn covering(image: ImageSize, cut: ImageSize, crop: f64) -> ImageSize {
    let least = |side: usize| ((side as f64 / crop).floor() as usize).max(side);
    let target = ImageSize { height: least(cut.height), width: least(cut.width) };
    if target.is_square() {
        let short = target.height;
        let long = (short as f64 * image.long_side() as f64 / image.short_side() as f64) as usize;
        let (height, width) = if image.width <= image.height { (long, short) } else { (short, long) };
        return ImageSize { height, width };
    }
    let [high, wide] = [(image.height, target.height), (image.width, target.width)]
        .map(|(side, target)| side as f64 / target as f64);
    // Halves go to the even neighbour, as in Python.
    let side = |side: usize, cut: usize| ((side as f64 / high.min(wide)).round_ties_even() as usize).max(cut);
    ImageSize { height: side(image.height, cut.height), width: side(image.width, cut.width) }
}

/// Position of the centre crop in the image before resizing: only it is computed, which gives the same pixels
/// as cutting it out of the whole, at less cost.
fn centre(image: ImageSize, resized: ImageSize, cut: ImageSize) -> Region {
    let part = |resized: usize, cut: usize, side: usize| {
        let scale = side as f64 / resized as f64;
        // Halves go to the even neighbour, as in Python.
        let start = ((resized - cut) as f64 / 2.0).round_ties_even();
        (start * scale, cut as f64 * scale)
    };
    let (left, width) = part(resized.width, cut.width, image.width);
    let (top, height) = part(resized.height, cut.height, image.height);
    Region { left, top, width, height }
}

/// [`resize_for_evaluation`] followed by [`normalize`] and by the padding of the geometry, at the bottom and at the
/// right.
///
/// # Panics
/// When the image has other channels than the preprocessing.
pub fn prepare_for_evaluation(image: &Image, preprocessing: &Preprocessing) -> PreparedImage {
    let resized = resize_for_evaluation(image, preprocessing);
    let values = normalize(&resized, &preprocessing.mean, &preprocessing.std);
    let (from, size) = (resized.size(), preprocessing.geometry.padded(resized.size()));
    PreparedImage { values: pad(values, from, size), size }
}

/// Adds zeros below and at the right of every channel. After normalisation 0 is the mean, as in mmdet and mmseg, and
/// exactly so, which no level of 255 would be.
pub(crate) fn pad(values: Vec<f32>, from: ImageSize, to: ImageSize) -> Vec<f32> {
    if from == to {
        return values;
    }
    let mut padded = vec![0.0; values.len() / from.pixels() * to.pixels()];
    for (old, new) in values.chunks_exact(from.pixels()).zip(padded.chunks_exact_mut(to.pixels())) {
        for (old, new) in old.chunks_exact(from.width).zip(new.chunks_exact_mut(to.width)) {
            new[..from.width].copy_from_slice(old);
        }
    }
    padded
}

#[cfg(test)]
mod tests;
