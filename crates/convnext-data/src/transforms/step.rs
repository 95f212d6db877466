//! One step of a drawn transform.

use std::borrow::Cow;

use convnext_core::{BoundingBox, COLOURS, ImageSize, Interpolation};

use crate::pixels::image::Image;
use crate::pixels::label_map::LabelMap;
use crate::pixels::resample::{Region, resize_with};
use crate::transforms::augment::Operation;
use crate::transforms::bordered::Bordered;
use crate::transforms::distortion::Distortion;
use crate::transforms::mirror::mirror;
use crate::transforms::resized_cut::ResizedCut;

/// A step of a drawn transform: nothing of it is random any more.
///
/// It is *geometric* when it moves pixels, and then label maps take it as well; else it is *photometric*.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// A region is cut out and resized to `size`. Geometric; of labels the nearest are taken.
    Crop {
        /// The region.
        region: Region,
        /// Height and width of the result, at least 1.
        size: ImageSize,
        /// The filter of the resizing, of images alone.
        interpolation: Interpolation,
    },
    /// The image moves within a black border. Geometric; labels of the border are ignored.
    Border(Bordered),
    /// Left and right change places. Geometric.
    Mirror,
    /// An operation of Pillow. Geometric when it has a [`Operation::matrix`].
    Operation {
        /// The operation.
        operation: Operation,
        /// The colour of what comes from outside the image; labels are ignored there.
        fill: [u8; COLOURS],
    },
    /// A part of the resized image is taken, as OpenCV resizes. Geometric; of labels the nearest are taken.
    ResizedCut(ResizedCut),
    /// A photometric distortion of mmsegmentation. Photometric.
    Distortion(Distortion),
}

impl Step {
    /// The changed image.
    ///
    /// # Panics
    /// As [`Operation::apply`].
    pub fn apply(&self, image: Cow<'_, Image>) -> Image {
        match *self {
            Self::Crop { region, size, interpolation } => {
                resize_with(interpolation, &image, region, size.width, size.height)
            }
            Self::Border(bordered) => bordered.of(&image),
            Self::Mirror => mirror(image.into_owned()),
            Self::Operation { operation, fill } => operation.apply(image.into_owned(), fill),
            Self::ResizedCut(cut) => cut.of(&image),
            Self::Distortion(distortion) => distortion.apply(image.into_owned()),
        }
    }

    /// The size of the changed image of one of this size.
    pub fn size_after(&self, size: ImageSize) -> ImageSize {
        match *self {
            Self::Crop { size, .. } => size,
            Self::ResizedCut(cut) => cut.size,
            Self::Border(_) | Self::Mirror | Self::Operation { .. } | Self::Distortion(_) => size,
        }
    }

    /// A box of an image of this size in the changed image, where it may reach beyond the borders. One that is turned
    /// becomes the box around it.
    pub fn apply_to_box(&self, bounds: BoundingBox, size: ImageSize) -> BoundingBox {
        match *self {
            Self::Crop { region, size: target, .. } => {
                let factors = [target.width as f64 / region.width, target.height as f64 / region.height];
                bounds.moved([-region.left, -region.top]).scaled(factors)
            }
            Self::Border(Bordered { padding, left, top }) => {
                bounds.moved([left, top].map(|start| padding as f64 - start as f64))
            }
            Self::Mirror => {
                let width = size.width as f64;
                BoundingBox { left: width - bounds.right, right: width - bounds.left, ..bounds }
            }
            Self::Operation { operation, .. } => match operation.matrix(size) {
                Some(matrix) => turned(bounds, matrix),
                None => bounds,
            },
            Self::ResizedCut(ResizedCut { resized, left, top, .. }) => {
                let factors =
                    [resized.width as f64 / size.width as f64, resized.height as f64 / size.height as f64];
                bounds.scaled(factors).moved([-(left as f64), -(top as f64)])
            }
            Self::Distortion(_) => bounds,
        }
    }

    /// The label map of the changed image; a photometric step leaves it as it is.
    pub fn apply_to_labels(&self, map: LabelMap) -> LabelMap {
        match *self {
            Self::Crop { region, size, .. } => nearest(&map, region, size),
            Self::Border(bordered) => bordered.of_labels(&map),
            Self::Mirror => map.mirrored(),
            Self::Operation { operation, .. } => operation.apply_to_labels(map),
            Self::ResizedCut(cut) => cut.of_labels(&map),
            Self::Distortion(_) => map,
        }
    }
}

/// The box around one whose points (x, y) are moved to where (ax + by + c, dx + ey + f) is the old point.
fn turned(bounds: BoundingBox, [a, b, c, d, e, f]: [f64; 6]) -> BoundingBox {
    let determinant = a * e - b * d;
    let [left, top, right, bottom] = bounds.edges();
    let corners = [[left, top], [right, top], [left, bottom], [right, bottom]].map(|[x, y]| {
        let (x, y) = (x - c, y - f);
        [(e * x - b * y) / determinant, (a * y - d * x) / determinant]
    });
    let along = |side: usize, of: fn(f64, f64) -> f64| {
        corners[1..].iter().map(|corner| corner[side]).fold(corners[0][side], of)
    };
    BoundingBox {
        left: along(0, f64::min),
        top: along(1, f64::min),
        right: along(0, f64::max),
        bottom: along(1, f64::max),
    }
}

/// The nearest labels of a region: those under the centres of the new pixels.
fn nearest(map: &LabelMap, region: Region, size: ImageSize) -> LabelMap {
    let along = |start: f64, length: f64, target: usize, side: usize| -> Vec<Option<usize>> {
        let place = |at: usize| (start + (at as f64 + 0.5) * (length / target as f64)).max(0.0) as usize;
        (0..target).map(|at| Some(place(at).min(side - 1))).collect()
    };
    let columns = along(region.left, region.width, size.width, map.width);
    let rows = along(region.top, region.height, size.height, map.height);
    map.of_columns_and_rows(&columns, &rows)
}

#[cfg(test)]
mod tests;
