//! Operations that move an image away from or towards a plainer one: Pillow's `ImageEnhance`.

use crate::pixels::grey::grey;
use crate::pixels::image::Image;
use crate::transforms::augment::levels;

/// Pillow's `Image.blend` of one value: `plain` at the factor 0, `level` at 1, beyond it above.
///
/// Fractions are cut off, as are values below 0 and above 255; the arithmetic is in single precision as
/// in Pillow, so that the pixels are the same.
fn blend(plain: u8, level: u8, factor: f32) -> u8 {
    let plain = f32::from(plain);
    (plain + factor * (f32::from(level) - plain)) as u8
}

/// `ImageEnhance.Brightness`: the plainer image is black.
pub(super) fn brightness(image: Image, factor: f64) -> Image {
    levels::map(image, |level| blend(0, level, factor as f32))
}

/// `ImageEnhance.Contrast`: the plainer image has one grey, the mean of the greyscale image.
pub(super) fn contrast(image: Image, factor: f64) -> Image {
    let pixels = image.bytes().as_chunks::<3>().0;
    let sum: u64 = pixels.iter().map(|&pixel| u64::from(grey(pixel))).sum();
    let mean = (sum as f64 / pixels.len() as f64 + 0.5) as u8;
    levels::map(image, |level| blend(mean, level, factor as f32))
}

/// `ImageEnhance.Color`: the plainer image is the greyscale one.
pub(super) fn color(image: Image, factor: f64) -> Image {
    let (width, height) = (image.width(), image.height());
    let mut bytes = image.into_bytes();
    for pixel in bytes.as_chunks_mut::<3>().0 {
        let grey = grey(*pixel);
        *pixel = pixel.map(|level| blend(grey, level, factor as f32));
    }
    Image::from_parts(width, height, 3, bytes)
}

/// `ImageEnhance.Sharpness`: the plainer image is smoothed by a 3 x 3 filter with 5 in the middle and 1
/// around it. Pixels at the border are not smoothed, so they stay.
pub(super) fn sharpness(image: Image, factor: f64) -> Image {
    let (width, height) = (image.width(), image.height());
    if width < 3 || height < 3 {
        return image;
    }
    let old = image.bytes();
    let mut bytes = old.to_vec();
    let row = width * 3;
    // Values of a row that have neighbours on both sides.
    let inner = row - 6;
    for y in 1..height - 1 {
        // The nine neighbours of the inner values of this row, each as a row of its own.
        let neighbour = |down: usize, right: usize| &old[(y + down - 1) * row + right * 3..][..inner];
        let rows = [0, 1, 2].map(|down| [0, 1, 2].map(|right| neighbour(down, right)));
        for (index, new) in bytes[y * row + 3..][..inner].iter_mut().enumerate() {
            let around: u32 = rows.iter().flatten().map(|values| u32::from(values[index])).sum();
            let level = rows[1][1][index];
            // Rounded. 13 is odd, so that there are no halves: integers give what Pillow's floats give.
            let smooth = (around + 4 * u32::from(level) + 6) / 13;
            *new = blend(smooth as u8, level, factor as f32);
        }
    }
    Image::from_parts(width, height, 3, bytes)
}
