//! Detection in large images: tiles that overlap, each looked at by itself, and the whole image, merged as SAHI does.

use convnext_core::{BoundingBox, ConfigError, ImageSize, Interpolation, MAX_IMAGE_SIDE};
use convnext_data::{Image, Region, RunLengths, TileOptions, resize_with};
use convnext_train::TrainError;

use crate::detection::Detection;

/// Shared area over the area of the smaller box from which on two objects of a class are one.
const SAME: f64 = 0.5;

/// Share of the score of the best box from which on another one that lies on it makes it larger; less sure ones are dropped, so
/// that what evaluation finds at low scores leaves sure boxes as they are.
const AS_SURE: f64 = 0.5;

/// Tiles of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tiles {
    /// Side of a tile in pixels of the image, from [`Self::LEAST_SIDE`] to [`MAX_IMAGE_SIDE`].
    pub side: usize,
    /// Share of a tile that the next one covers as well, from 0 to [`Self::MOST_OVERLAP`].
    pub overlap: f64,
}

impl Tiles {
    /// Share of a tile that the next one covers unless another is given.
    pub const OVERLAP: f64 = TileOptions::OVERLAP;

    /// Smallest side in pixels: that of an image of one site in the last stage.
    pub const LEAST_SIDE: usize = 32;

    /// The range of a side in words.
    pub(crate) const SIDE_RANGE: &str = "from 32 to 16384 pixels";

    /// Largest overlap: beyond it an image has too many tiles.
    pub const MOST_OVERLAP: f64 = 0.9;

    /// Checks both values against their ranges.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the one that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let bad = |what, found: String, expected| Err(ConfigError::OutOfRange { what, found, expected });
        if !(Self::LEAST_SIDE..=MAX_IMAGE_SIDE).contains(&self.side) {
            return bad("side of tiles", self.side.to_string(), Self::SIDE_RANGE);
        }
        if !(0.0..=Self::MOST_OVERLAP).contains(&self.overlap) {
            return bad("overlap of tiles", self.overlap.to_string(), "in [0, 0.9]");
        }
        Ok(())
    }

    /// Upper left corners and sizes of the tiles over an image, row by row; the last ones of a row or column are shifted back
    /// into the image.
    fn places(&self, image: ImageSize) -> Vec<([usize; 2], ImageSize)> {
        let size = ImageSize { height: self.side.min(image.height), width: self.side.min(image.width) };
        let tiles = TileOptions { overlap: self.overlap, ..TileOptions::of_size(self.side) };
        tiles.corners(image).into_iter().map(|corner| (corner, size)).collect()
    }

    /// The objects that `detect` finds in the tiles of an image and in the whole of it, each once; the best `at_most`.
    ///
    /// # Errors
    /// Those of `detect`.
    pub(crate) fn merged(
        &self,
        image: &Image,
        at_most: usize,
        detect: impl Fn(&Image) -> Result<Vec<Detection>, TrainError>,
    ) -> Result<Vec<Detection>, TrainError> {
        let mut found = detect(image)?;
        let places = self.places(image.size());
        // One tile is the whole image.
        for (corner, size) in places.iter().filter(|_| places.len() > 1) {
            let found_there = detect(&cut(image, *corner, *size))?;
            found.extend(found_there.into_iter().map(|one| moved(one, *corner, image.size())));
        }
        let mut merged = merge(found);
        merged.truncate(at_most);
        Ok(merged)
    }
}

/// A part of an image.
fn cut(image: &Image, [left, top]: [usize; 2], size: ImageSize) -> Image {
    let [left, top, width, height] = [left, top, size.width, size.height].map(|pixels| pixels as f64);
    // At its own size each pixel is one of the image.
    resize_with(Interpolation::Bilinear, image, Region { left, top, width, height }, size.width, size.height)
}

/// An object of a tile in pixels of the image.
fn moved(found: Detection, corner: [usize; 2], size: ImageSize) -> Detection {
    let shift = corner.map(|pixels| pixels as f64);
    let mask = found.mask.map(|mask| mask.moved_into(corner, size));
    Detection { bounds: found.bounds.moved(shift), mask, ..found }
}

/// Objects of the same class that share enough of the smaller one become one, with the score of the best and all of their
/// pixels (SAHI's `GREEDYNMM` on the intersection over the smaller area): the best first takes up what lies on it, as far as that is half
/// as sure.
fn merge(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|one, other| other.score.total_cmp(&one.score));
    let mut merged: Vec<Detection> = Vec::new();
    let mut is_taken = vec![false; found.len()];
    for at in 0..found.len() {
        if std::mem::replace(&mut is_taken[at], true) {
            continue;
        }
        let mut one = found[at].clone();
        let own = one.bounds;
        for other in at + 1..found.len() {
            let candidate = &found[other];
            if !is_taken[other] && candidate.class == one.class && are_same(&own, &candidate.bounds) {
                is_taken[other] = true;
                if candidate.score < AS_SURE * one.score {
                    continue;
                }
                one.bounds = one.bounds.around(&candidate.bounds);
                one.mask = united(one.mask, candidate.mask.as_ref());
            }
        }
        merged.push(one);
    }
    merged
}

fn are_same(one: &BoundingBox, other: &BoundingBox) -> bool {
    let smaller = one.area().min(other.area());
    smaller > 0.0 && one.shared_area(other) / smaller >= SAME
}

fn united(one: Option<RunLengths>, other: Option<&RunLengths>) -> Option<RunLengths> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.union(other)),
        (one, other) => one.or_else(|| other.cloned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_image_and_the_last_ones_are_shifted_back() {
        let tiles = Tiles { side: 100, overlap: 0.2 };
        let places = tiles.places(ImageSize { height: 90, width: 250 });
        let size = ImageSize { height: 90, width: 100 };
        assert_eq!(places, [([0, 0], size), ([80, 0], size), ([150, 0], size)]);
        let one = ImageSize { height: 50, width: 60 };
        assert_eq!(tiles.places(one), [([0, 0], one)]);
        assert_eq!(Tiles::SIDE_RANGE, format!("from {} to {MAX_IMAGE_SIDE} pixels", Tiles::LEAST_SIDE));
        for (side, overlap) in [(16, 0.2), (usize::MAX, 0.2), (100, 1.0), (100, -0.1)] {
            assert!(Tiles { side, overlap }.validate().is_err());
        }
    }

    #[test]
    fn parts_of_an_object_become_one() {
        let found = |class, score, [left, right]: [f64; 2]| Detection {
            class,
            score,
            bounds: BoundingBox { left, top: 0.0, right, bottom: 10.0 },
            mask: None,
        };
        let merged = merge(vec![
            found(0, 0.6, [5.0, 15.0]),
            found(0, 0.9, [0.0, 10.0]),
            found(1, 0.7, [0.0, 10.0]),
            found(0, 0.5, [30.0, 40.0]),
            found(0, 0.4, [-20.0, 9.0]),
        ]);
        let seen: Vec<_> = merged.iter().map(|one| (one.class, one.score, one.bounds.right)).collect();
        assert_eq!(seen, [(0, 0.9, 15.0), (1, 0.7, 10.0), (0, 0.5, 40.0)]);
    }
}
