//! Operations that replace each value by another, whatever lies around it.

use crate::pixels::image::Image;

/// The new value of each of the 256 old ones.
type Table = [u8; 256];

/// Replaces every value of every colour by the same rule.
pub(super) fn map(image: Image, rule: impl Fn(u8) -> u8) -> Image {
    let table: Table = std::array::from_fn(|level| rule(level as u8));
    replace(image, &[table; 3])
}

/// Pillow's `ImageOps.posterize`, and black for 0 bits, which Pillow 13 refuses and earlier versions had.
pub(super) fn posterize(image: Image, bits: u32) -> Image {
    let mask = 0xff_u8.checked_shl(8_u32.saturating_sub(bits)).unwrap_or(0);
    map(image, |level| level & mask)
}

/// Pillow's `ImageOps.solarize`.
pub(super) fn solarize(image: Image, threshold: u16) -> Image {
    map(image, |level| if u16::from(level) < threshold { level } else { 255 - level })
}

/// timm's `solarize_add` with its threshold of 128.
pub(super) fn solarize_add(image: Image, add: u8) -> Image {
    map(image, |level| if level < 128 { level.saturating_add(add) } else { level })
}

/// Pillow's `ImageOps.autocontrast` without a cutoff. A colour of one value stays.
pub(super) fn auto_contrast(image: Image) -> Image {
    let tables = histograms(&image).map(|histogram| {
        let darkest = histogram.iter().position(|&count| count > 0).unwrap_or(0);
        let brightest = histogram.iter().rposition(|&count| count > 0).unwrap_or(0);
        if brightest <= darkest {
            return std::array::from_fn(|level| level as u8);
        }
        let scale = 255.0 / (brightest - darkest) as f64;
        let offset = -(darkest as f64) * scale;
        // The cast cuts off fractions, values below 0 and values above 255.
        std::array::from_fn(|level| (level as f64 * scale + offset) as u8)
    });
    replace(image, &tables)
}

/// Pillow's `ImageOps.equalize`. A colour of one value stays, as one of an image with few pixels does.
pub(super) fn equalize(image: Image) -> Image {
    let tables = histograms(&image).map(|histogram| {
        let last = histogram.iter().rfind(|&&count| count > 0).copied().unwrap_or(0);
        let step = (histogram.iter().sum::<usize>() - last) / 255;
        if step == 0 {
            return std::array::from_fn(|level| level as u8);
        }
        let mut below = step / 2;
        histogram.map(|count| {
            let level = (below / step).min(255) as u8;
            below += count;
            level
        })
    });
    replace(image, &tables)
}

/// Histogram of each colour.
fn histograms(image: &Image) -> [[usize; 256]; 3] {
    let mut counts = [[0; 256]; 3];
    for pixel in image.bytes().as_chunks::<3>().0 {
        for (colour, &level) in counts.iter_mut().zip(pixel) {
            colour[usize::from(level)] += 1;
        }
    }
    counts
}

/// Replaces every value by the table of its colour.
fn replace(image: Image, tables: &[Table; 3]) -> Image {
    let (width, height) = (image.width(), image.height());
    let mut bytes = image.into_bytes();
    for pixel in bytes.as_chunks_mut::<3>().0 {
        for (level, table) in pixel.iter_mut().zip(tables) {
            *level = table[usize::from(*level)];
        }
    }
    Image::from_parts(width, height, 3, bytes)
}
