//! Padding of images to what the network needs.

use convnext_core::ImageSize;

/// Both sides of the network's input are multiples of so many pixels, so that each level of the pyramid has half of the
/// places of the one before.
pub const SIDE_MULTIPLE: usize = 32;

/// The size of an image with its padding.
pub(crate) fn padded(size: ImageSize) -> ImageSize {
    let [height, width] = [size.height, size.width].map(|side| side.next_multiple_of(SIDE_MULTIPLE));
    ImageSize { height, width }
}

/// Images of different sizes in the upper left corner of planes of one size, zeros around them.
///
/// # Shapes
/// - images: values `[channels, height, width]` of each image with its size
/// - output: `[images, channels, height, width]` of `size`, which is not smaller than any of them
pub(crate) fn stacked<'a>(
    images: impl ExactSizeIterator<Item = (&'a [f32], ImageSize)>,
    channels: usize,
    size: ImageSize,
) -> Vec<f32> {
    let mut stacked = vec![0.0; images.len() * channels * size.pixels()];
    let mut planes = stacked.chunks_exact_mut(size.pixels().max(1));
    for (values, from) in images {
        for (old, new) in values.chunks_exact(from.pixels().max(1)).zip(&mut planes) {
            for (old, new) in old.chunks_exact(from.width).zip(new.chunks_exact_mut(size.width)) {
                new[..from.width].copy_from_slice(old);
            }
        }
    }
    stacked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lie_in_the_upper_left_corner() {
        let (small, large) = (ImageSize { height: 1, width: 2 }, ImageSize { height: 2, width: 2 });
        let images = [(&[1.0, 2.0][..], small), (&[3.0, 4.0, 5.0, 6.0][..], large)];
        let size = ImageSize { height: 2, width: 3 };
        let expected = [1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 0.0, 5.0, 6.0, 0.0];
        assert_eq!(stacked(images.into_iter(), 1, size), expected);
        assert_eq!(padded(ImageSize { height: 33, width: 64 }), ImageSize { height: 64, width: 64 });
    }
}
