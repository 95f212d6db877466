//! The mirror image.

use crate::pixels::image::Image;
use crate::pixels::levels::Levels;

/// The image with left and right exchanged.
pub fn mirror(image: Image) -> Image {
    let (width, height, channels) = (image.width(), image.height(), image.channels());
    let mut levels = image.into_levels();
    match &mut levels {
        Levels::Eight(levels) => mirror_rows(levels, width, channels),
        Levels::Sixteen(levels, rounded) => {
            rounded.take();
            mirror_rows(levels, width, channels);
        }
    }
    Image::from_parts(width, height, channels, levels)
}

fn mirror_rows<T>(levels: &mut [T], width: usize, channels: usize) {
    levels.chunks_exact_mut(width * channels).for_each(|row| mirror_row(row, channels));
}

/// Exchanges left and right in a row of pixels of so many values.
pub fn mirror_row<T>(row: &mut [T], values: usize) {
    // All values change places, then those of each pixel back.
    row.reverse();
    row.chunks_exact_mut(values).for_each(<[T]>::reverse);
}
