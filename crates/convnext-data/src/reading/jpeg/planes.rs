//! From the channels of a JPEG file, each at a grid of its own, to pixels: libjpeg's steps without its speed.
//!
//! The decoder does this itself for the usual files, and with the same results. This is for those that it takes for
//! damaged or gets wrong: four channels at different grids, and chroma that is finer than brightness.
//!
//! After jdsample.c and jdcolor.c of libjpeg-turbo 3.1.2 (BSD-style licence of the Independent JPEG Group),
//! <https://github.com/libjpeg-turbo/libjpeg-turbo/tree/3.1.2/src>; one function does what is four there.

use convnext_core::COLOURS;

/// One channel at its own grid.
pub(super) struct Plane {
    /// Samples row by row; rows may be longer, and more, than what the image needs.
    pub(super) samples: Vec<u8>,
    /// Samples of a row in memory.
    pub(super) stride: usize,
    /// Columns and rows that belong to the image, at least 1.
    pub(super) width: usize,
    pub(super) height: usize,
    /// Pixels that a sample stands for, across and down.
    pub(super) cell: [usize; 2],
}

impl Plane {
    fn row(&self, y: usize) -> &[u8] {
        &self.samples[y.min(self.height - 1) * self.stride..][..self.width]
    }

    /// A row of the image of this channel, of at least `width` pixels.
    fn enlarged(&self, y: usize, width: usize) -> Vec<u8> {
        let [across, down] = self.cell;
        // libjpeg smooths where a sample stands for two pixels, and not in the narrowest images.
        let smooth_down = down == 2 && (across == 1 || (across == 2 && self.width > 2));
        let smooth_across = across == 2 && down <= 2 && self.width > 2;
        let row = self.row(y / down);
        if !smooth_down && !smooth_across {
            return (0..width).map(|x| row[(x / across).min(self.width - 1)]).collect();
        }
        let below = y % 2 == 1;
        // The nearer row counts three times.
        let (sums, down_shift): (Vec<u16>, u16) = match smooth_down {
            true => {
                let near = self.row(if below { y / 2 + 1 } else { (y / 2).saturating_sub(1) });
                (row.iter().zip(near).map(|(&a, &b)| 3 * u16::from(a) + u16::from(b)).collect(), 2)
            }
            false => (row.iter().map(|&sample| u16::from(sample)).collect(), 0),
        };
        if !smooth_across {
            let round = if below { 2 } else { 1 };
            return sums.iter().map(|sum| ((sum + round) >> down_shift) as u8).collect();
        }
        // Halves are rounded to one side and the other in turn, so that they do not add up.
        let [left_round, right_round] = if smooth_down { [8, 7] } else { [1, 2] };
        let last = self.width - 1;
        let pair = |x: usize| {
            let (left, right) = (sums[x.saturating_sub(1)], sums[(x + 1).min(last)]);
            let shift = down_shift + 2;
            [(3 * sums[x] + left + left_round) >> shift, (3 * sums[x] + right + right_round) >> shift]
        };
        (0..self.width).flat_map(pair).map(|level| level as u8).collect()
    }
}

/// Applies `pixel` to the channels at every pixel, row by row.
pub(super) fn pixels<const N: usize>(
    planes: &[Plane; N],
    (width, height): (usize, usize),
    pixel: impl Fn([u8; N]) -> [u8; COLOURS],
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(width * height * COLOURS);
    for y in 0..height {
        let rows = planes.each_ref().map(|plane| plane.enlarged(y, width));
        for x in 0..width {
            bytes.extend(pixel(rows.each_ref().map(|row| row[x])));
        }
    }
    bytes
}

/// Brightness and chroma as red, green and blue, in libjpeg's fractions of 16 bit.
pub(super) fn colour([brightness, blueness, redness]: [u8; 3]) -> [u8; COLOURS] {
    const HALF: i32 = 1 << 15;
    let (y, cb, cr) = (i32::from(brightness), i32::from(blueness) - 128, i32::from(redness) - 128);
    let red = y + ((91_881 * cr + HALF) >> 16);
    let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
    let blue = y + ((116_130 * cb + HALF) >> 16);
    [red, green, blue].map(|level| level.clamp(0, 255) as u8)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::{Jpeg, unusual};

    #[test]
    fn both_ways_of_decoding_agree() {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/jpegs");
        let mut compared = 0;
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let Ok(jpeg) = Jpeg::read(&bytes) else { continue };
            if !jpeg.unusual && jpeg.decoder.header().components.len() == 3 {
                let plainly = unusual::decode(&bytes, &jpeg.layout, false).unwrap();
                assert!(jpeg.image().unwrap().bytes() == plainly, "{}", path.display());
                compared += 1;
            }
        }
        assert!(compared > 40, "{compared} files");
    }
}
