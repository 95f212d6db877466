//! Brightness and two differences (YCbCr) as red, green and blue, with the numbers that a TIFF file may state.

use tiff::tags::Tag;

use super::{compression::JPEG, directory::Directory, pixelwise::by_pixel};
use crate::reading::sample_type::SampleType;
use crate::reading::samples::Values;

/// Luma coefficients, and the values that are black, white and no difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Differences {
    /// The shares of red, green and blue.
    shares: [f64; 3],
    /// The lowest and highest value of each.
    ends: [[f64; 2]; 3],
}

/// ITU-R BT.601, whole bytes: what JPEG data has, and TIFF files that say nothing.
const USUAL: Differences =
    Differences { shares: [0.299, 0.587, 0.114], ends: [[0.0, 255.0], [128.0, 255.0], [128.0, 255.0]] };

impl Differences {
    /// Reads the tags of the directory.
    pub(super) fn of(directory: &Directory<'_>) -> Self {
        const COEFFICIENTS: u16 = 529;
        const REFERENCE_BLACK_WHITE: u16 = 532;
        if directory.number(Tag::Compression) == Some(JPEG) {
            return USUAL;
        }
        let mut found = USUAL;
        if let Some(&[red, green, blue]) = directory.fractions(Tag::Unknown(COEFFICIENTS)).as_deref()
            && green > 0.0
        {
            found.shares = [red, green, blue];
        }
        if let Some(&[a, b, c, d, e, f]) = directory.fractions(Tag::Unknown(REFERENCE_BLACK_WHITE)).as_deref()
            && a < b
            && c < d
            && e < f
        {
            found.ends = [[a, b], [c, d], [e, f]];
        }
        found
    }

    /// The colours.
    pub(super) fn colours(self, values: Values, samples: usize, kind: SampleType) -> Values {
        let [red, green, blue] = self.shares;
        let level = |value: f64, [least, most]: [f64; 2]| (value * 255.0 - least) / (most - least);
        by_pixel(values, samples, kind, |pixel| {
            let y = level(pixel[0], self.ends[0]);
            // A difference goes as far as 127 of 255 above its middle.
            let [cb, cr] = [1, 2].map(|index| level(pixel[index], self.ends[index]) * 127.0 / 255.0);
            let (for_red, for_blue) = (2.0 - 2.0 * red, 2.0 - 2.0 * blue);
            let middle = y - for_red * red / green * cr - for_blue * blue / green * cb;
            [y + for_red * cr, middle, y + for_blue * cb].map(|level| level.clamp(0.0, 1.0))
        })
    }
}
