//! The crop of a JPEG file, decoded no larger than needed.
//!
//! libjpeg makes any number of eighths of the size straight from the coefficients.

use convnext_core::{COLOURS, ImageSize};
use image::metadata::Orientation as Turn;

use super::{FULL, Jpeg, of_channels};
use crate::pixels::image::Image;
use crate::pixels::orientation::{Orientation, lies_on_its_side};
use crate::pixels::resample::{CropTarget, Region, rows_reached};
use crate::pixels::turned::turned;
use crate::reading::caught::caught;
use crate::reading::size_limit::MAX_DECODED_BYTES;

/// Eighths of the size that may be enough, the fewest first.
const EIGHTHS: [u8; 4] = [1, 2, 3, 4];

/// A complete JPEG file of which nothing but the headers is read yet.
pub(crate) struct ScaledJpeg<'a> {
    jpeg: Jpeg<'a>,
    turn: Turn,
}

impl<'a> ScaledJpeg<'a> {
    /// Reads the headers; `None` for what is no JPEG file, or none that can be decoded, or one of an unusual kind.
    pub(crate) fn read(bytes: &'a [u8], orientation: Orientation) -> Option<Self> {
        if !bytes.starts_with(&[0xFF, 0xD8]) {
            return None;
        }
        let jpeg = caught(|| Jpeg::read(bytes))?.ok()?;
        if jpeg.unusual || jpeg.decoder.header().is_lossless {
            return None;
        }
        if (jpeg.width * jpeg.height * COLOURS) as u64 > MAX_DECODED_BYTES {
            return None;
        }
        let turn = jpeg.turn(orientation);
        Some(Self { jpeg, turn })
    }

    /// The turn by which it is decoded.
    pub(crate) fn turn(&self) -> Turn {
        self.turn
    }

    /// Width and height in pixels of the image as [`crate::decode`] gives it.
    pub(crate) fn size(&self) -> (usize, usize) {
        let (width, height) = (self.jpeg.width, self.jpeg.height);
        if lies_on_its_side(self.turn) { (height, width) } else { (width, height) }
    }

    /// A region of the image, resized. `None` when the region would have fewer pixels on a side than the target at
    /// half of the size, or the data is damaged.
    pub(crate) fn cut(&self, region: Region, target: CropTarget) -> Option<Image> {
        let (stored, target) = (self.stored(region), self.stored_target(target));
        let part = |value: f64, eighths: u8| value * f64::from(eighths) / f64::from(FULL);
        let eighths = EIGHTHS.into_iter().find(|&eighths| {
            part(stored.width, eighths) >= target.size.width as f64
                && part(stored.height, eighths) >= target.size.height as f64
        })?;
        let scaled = Region {
            left: part(stored.left, eighths),
            top: part(stored.top, eighths),
            width: part(stored.width, eighths),
            height: part(stored.height, eighths),
        };
        // Down to the last row that the region needs.
        let height = (self.jpeg.height * usize::from(eighths)).div_ceil(usize::from(FULL));
        let (first, below) = rows_reached(target.interpolation, &scaled, target.size.height, height);
        let rows = (first + below) as usize;
        let decoded = caught(|| self.jpeg.scaled(eighths, rows))?;
        let image = of_channels(decoded.ok()?, COLOURS);
        Some(turned(target.of(&image, scaled), self.turn))
    }

    /// Size of a crop before it is turned.
    fn stored_target(&self, target: CropTarget) -> CropTarget {
        let ImageSize { height, width } = target.size;
        let size = if lies_on_its_side(self.turn) { [width, height] } else { [height, width] };
        CropTarget { size: size.into(), ..target }
    }

    /// Position of a region of the upright image in the stored one.
    fn stored(&self, region: Region) -> Region {
        let Region { left, top, width, height } = region;
        let (all_across, all_down) = (self.jpeg.width as f64, self.jpeg.height as f64);
        let from_right = |start: f64, length: f64| all_across - start - length;
        let from_bottom = |start: f64, length: f64| all_down - start - length;
        // An upright x is a stored y for the images that lie on their side.
        let (stored_left, stored_top, turned) = match self.turn {
            Turn::NoTransforms => (left, top, false),
            Turn::FlipHorizontal => (from_right(left, width), top, false),
            Turn::FlipVertical => (left, from_bottom(top, height), false),
            Turn::Rotate180 => (from_right(left, width), from_bottom(top, height), false),
            Turn::Rotate90 => (top, from_bottom(left, width), true),
            Turn::Rotate270 => (from_right(top, height), left, true),
            Turn::Rotate90FlipH => (top, left, true),
            Turn::Rotate270FlipH => (from_right(top, height), from_bottom(left, width), true),
        };
        let (width, height) = if turned { (height, width) } else { (width, height) };
        Region { left: stored_left, top: stored_top, width, height }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde::Deserialize;

    use super::*;
    use crate::reading::decode::decode;

    #[derive(Deserialize)]
    struct Expected {
        file: String,
        eighths: u8,
        expected: String,
    }

    fn bytes(name: &str) -> Vec<u8> {
        std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/jpegs").join(name)).unwrap()
    }

    /// The files of `tests/jpegs` that are expected at a smaller size.
    fn scaled() -> Vec<Expected> {
        let manifest: Vec<Expected> = serde_json::from_slice(&bytes("manifest.json")).unwrap();
        manifest.into_iter().filter(|expected| expected.eighths < FULL).collect()
    }

    #[test]
    fn every_size_has_the_pixels_of_libjpeg() {
        let all = scaled();
        assert!(all.len() >= 36, "{} files", all.len());
        for Expected { file, eighths, expected } in all {
            let found = Jpeg::read(&bytes(&file)).unwrap().scaled(eighths, usize::MAX / 16).unwrap();
            let expected = decode(&bytes(&expected), &expected, 3, Orientation::Ignore).unwrap();
            assert_eq!(of_channels(found, COLOURS), expected, "{file} at {eighths} eighths");
        }
    }

    #[test]
    fn the_rows_that_are_wanted_do_not_depend_on_those_below() {
        // Taller than the margin, and of each kind.
        let photographs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/photographs");
        for name in ["halved-chroma.jpg", "restarts.jpg", "full-chroma.jpg", "gray.jpg", "progressive.jpg"] {
            let bytes = std::fs::read(photographs.join(name)).unwrap();
            let jpeg = Jpeg::read(&bytes).unwrap();
            for eighths in EIGHTHS {
                let whole = jpeg.scaled(eighths, jpeg.height).unwrap();
                for rows in 1..=whole.height() {
                    let upper = jpeg.scaled(eighths, rows).unwrap();
                    let wanted = rows * whole.width() * whole.channels();
                    assert!(upper.height() >= rows && upper.width() == whole.width());
                    assert_eq!(upper.bytes()[..wanted], whole.bytes()[..wanted], "{name}: {rows} rows");
                }
                assert!(jpeg.scaled(eighths, 1).unwrap().height() < whole.height(), "{name}");
            }
        }
    }
}
