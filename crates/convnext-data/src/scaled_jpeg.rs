//! The crop of a JPEG file, decoded no larger than needed.
//!
//! libjpeg, which `mozjpeg` builds without an assembler, makes any number of eighths of the size straight from the
//! coefficients. At full size it is slower than the decoder that all other files go through, and that one does not
//! scale.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
};

use convnext_core::COLOURS;
use image::{ImageDecoder, codecs::jpeg::JpegDecoder, metadata::Orientation as Turn};
use mozjpeg::Decompress;

use crate::{
    Orientation, Picture, Region,
    crop::Square,
    decode::MAX_DECODED_BYTES,
    jpeg,
    orientation::{lies_on_its_side, turned},
    resample::rows_reached,
};

/// How many eighths of the size may be enough, the fewest first.
const EIGHTHS: [u8; 4] = [1, 2, 3, 4];

/// A complete JPEG file of which nothing but the header is decoded yet.
pub(crate) struct ScaledJpeg<'a> {
    bytes: &'a [u8],
    /// As the pixels are stored.
    width: usize,
    height: usize,
    turn: Turn,
}

impl<'a> ScaledJpeg<'a> {
    /// Reads the header; `None` for what is no JPEG file, or none that can be decoded.
    pub(crate) fn read(bytes: &'a [u8], orientation: Orientation) -> Option<Self> {
        if !bytes.starts_with(&[0xFF, 0xD8]) || jpeg::check_complete(bytes).is_err() {
            return None;
        }
        let mut decoder = JpegDecoder::new(Cursor::new(bytes)).ok()?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) * 3 > MAX_DECODED_BYTES {
            return None;
        }
        let turn = match orientation {
            Orientation::Honour => decoder.orientation().ok()?,
            Orientation::Ignore => Turn::NoTransforms,
        };
        Some(Self { bytes, width: width as usize, height: height as usize, turn })
    }

    /// Width and height in pixels of the picture as [`crate::decode`] gives it.
    pub(crate) fn size(&self) -> (usize, usize) {
        if lies_on_its_side(self.turn) { (self.height, self.width) } else { (self.width, self.height) }
    }

    /// A region of the picture, resized to a square. `None` when the region would have fewer pixels than
    /// the square at half of the size, or the data is damaged or of a kind that libjpeg makes no RGB of.
    pub(crate) fn cut(&self, region: Region, square: Square) -> Option<Picture> {
        let stored = self.stored(region);
        let least = stored.width.min(stored.height);
        let part = |value: f64, eighths: u8| value * f64::from(eighths) / 8.0;
        let eighths = EIGHTHS.into_iter().find(|&eighths| part(least, eighths) >= square.side as f64)?;
        let scaled = Region {
            left: part(stored.left, eighths),
            top: part(stored.top, eighths),
            width: part(stored.width, eighths),
            height: part(stored.height, eighths),
        };
        // libjpeg reports damage by unwinding.
        let picture =
            catch_unwind(AssertUnwindSafe(|| self.decode(eighths, &scaled, square))).ok().flatten()?;
        Some(turned(square.of(&picture, scaled), self.turn))
    }

    /// The picture at a fraction of its size, down to the last row that the region needs.
    fn decode(&self, eighths: u8, region: &Region, square: Square) -> Option<Picture> {
        let mut jpeg = Decompress::new_mem(self.bytes).ok()?;
        jpeg.scale(eighths);
        let mut jpeg = jpeg.rgb().ok()?;
        let (width, height) = (jpeg.width(), jpeg.height());
        let (first, below) = rows_reached(square.interpolation, region, square.side, height);
        let rows = (first + below) as usize;
        let mut pixels = vec![[0_u8; COLOURS]; width * rows];
        for row in pixels.chunks_exact_mut(width) {
            jpeg.read_scanlines_into(row).ok()?;
        }
        Some(Picture::from_parts(width, rows, COLOURS, pixels.into_flattened()))
    }

    /// Where a region of the upright picture is stored.
    fn stored(&self, region: Region) -> Region {
        let Region { left, top, width, height } = region;
        let (all_across, all_down) = (self.width as f64, self.height as f64);
        let from_right = |start: f64, length: f64| all_across - start - length;
        let from_bottom = |start: f64, length: f64| all_down - start - length;
        // An upright x is a stored y for the pictures that lie on their side.
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
