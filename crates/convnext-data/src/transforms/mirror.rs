//! The mirror image.

use crate::pixels::image::Image;
use crate::pixels::levels::Levels;

/// The image with left and right exchanged.
pub(crate) fn mirror(image: Image) -> Image {
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
    for row in levels.chunks_exact_mut(width * channels) {
        // All values change places, then those of each pixel back.
        row.reverse();
        row.chunks_exact_mut(channels).for_each(<[T]>::reverse);
    }
}
