//! The first image of a GIF file, as Pillow shows it: transparency is dropped.

use std::{io::Cursor, num::NonZeroU64};

use convnext_core::{COLOURS, ImageSize};
use gif::{ColorOutput, DecodeOptions, DecodingError, Frame, MemoryLimit};

use crate::error::DataError;
use crate::reading::facts::Channels;
use crate::reading::sample_type::SampleType;
use crate::reading::samples::{Samples, Values};
use crate::reading::size_limit::{MAX_DECODED_BYTES, check_size};

/// The most indices of a frame.
const LIMIT: NonZeroU64 = NonZeroU64::new(MAX_DECODED_BYTES).unwrap();

/// Reads the first image.
pub(crate) fn read(bytes: &[u8], name: &str) -> Result<Samples, DataError> {
    let unreadable = |error: DecodingError| DataError::decode(name, error);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    // Frames may stick out of the screen; Pillow makes the screen larger.
    options.check_frame_consistency(false);
    options.set_memory_limit(MemoryLimit::Bytes(LIMIT));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(unreadable)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.read_next_frame().map_err(unreadable)?;
    let frame = frame.ok_or_else(|| DataError::decode(name, "the GIF file holds no image"))?;
    let (width, height) = size(screen, frame);
    check_size(name, width as u32, height as u32, (width * height * COLOURS) as u64)?;
    let palette = frame.palette.clone().or(global).unwrap_or_else(greys);
    let indices = placed(frame, width, height);
    let colour = |&index: &u8| palette.get(COLOURS * usize::from(index)..).and_then(<[u8]>::first_chunk);
    let levels = indices.iter().flat_map(|index| colour(index).copied().unwrap_or([0; COLOURS])).collect();
    Ok(Samples {
        width,
        height,
        channels: COLOURS,
        meaning: Channels::Colour,
        kind: SampleType::EIGHT_BIT,
        values: Values::Eight(levels),
    })
}

/// Height and width of the first image, without decoding it.
pub(crate) fn size_of(bytes: &[u8]) -> Option<ImageSize> {
    let mut options = DecodeOptions::new();
    options.check_frame_consistency(false);
    let mut decoder = options.read_info(Cursor::new(bytes)).ok()?;
    let screen = (usize::from(decoder.width()), usize::from(decoder.height()));
    let (width, height) = size(screen, decoder.next_frame_info().ok()??);
    Some(ImageSize { height, width })
}

/// The size of the screen, or of what the frame needs.
fn size((width, height): (usize, usize), frame: &Frame<'_>) -> (usize, usize) {
    let right = usize::from(frame.left) + usize::from(frame.width);
    let bottom = usize::from(frame.top) + usize::from(frame.height);
    (width.max(right), height.max(bottom))
}

/// The indices of the whole screen. What the frame leaves free has the transparent colour, or the first one.
fn placed(frame: &Frame<'_>, width: usize, height: usize) -> Vec<u8> {
    let mut screen = vec![frame.transparent.unwrap_or(0); width * height];
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let length = usize::from(frame.width);
    for (y, row) in frame.buffer.chunks_exact(length.max(1)).enumerate() {
        screen[(top + y) * width + left..][..length].copy_from_slice(row);
    }
    screen
}

/// The colours of a file without a palette.
fn greys() -> Vec<u8> {
    (0..=u8::MAX).flat_map(|level| [level; COLOURS]).collect()
}
