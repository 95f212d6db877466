//! Windows that cover an image, as mmsegmentation lays them (docs/facts.md, "F. Segmentation").
//!
//! [`encoder_decoder.py`](https://github.com/open-mmlab/mmsegmentation/blob/v1.2.2/mmseg/models/segmentors/encoder_decoder.py)
//! (Apache-2.0), `slide_inference`.

use convnext_core::{ConfigError, ImageSize, MAX_IMAGE_SIDE, SIDE_RANGE};
use serde::{Deserialize, Serialize};

/// Side and stride of square windows, in pixels of the network's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SlidingWindow {
    /// Side of a window.
    pub crop: usize,
    /// Distance of neighbouring windows, at most the side.
    pub stride: usize,
}

/// The windows over an image: one for each pair of a row and a column of the grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WindowGrid {
    /// First row of each row of windows, ascending.
    pub(crate) tops: Vec<usize>,
    /// First column of each column of windows, ascending.
    pub(crate) lefts: Vec<usize>,
    /// Size of every window.
    pub(crate) window: ImageSize,
}

/// Side of windows where nothing says it.
const USUAL_CROP: usize = 512;

impl Default for SlidingWindow {
    /// Windows of 512 pixels, as in the paper's comparison.
    fn default() -> Self {
        Self::of_crop(USUAL_CROP)
    }
}

impl SlidingWindow {
    /// Windows that overlap by a third, as in the paper's comparison (512 by 341, 640 by 426).
    pub fn of_crop(crop: usize) -> Self {
        Self { crop, stride: (2 * crop / 3).max(1) }
    }

    /// Checks both against their ranges.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the one that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self { crop, stride } = *self;
        if !(1..=MAX_IMAGE_SIDE).contains(&crop) {
            let (what, found) = ("side of a window", crop.to_string());
            return Err(ConfigError::OutOfRange { what, found, expected: SIDE_RANGE });
        }
        if !(1..=crop).contains(&stride) {
            let (what, found) = ("stride of windows", stride.to_string());
            let expected = "from 1 to the side of a window, or pixels would lie between windows";
            return Err(ConfigError::OutOfRange { what, found, expected });
        }
        Ok(())
    }

    /// Checks the side against the least that a network takes.
    ///
    /// # Errors
    /// [`ConfigError::TooLittleLeft`] when it is smaller.
    pub(crate) fn check_side(&self, minimum: usize) -> Result<(), ConfigError> {
        let crop = self.crop;
        if crop >= minimum {
            return Ok(());
        }
        let (setting, value) = ("crop", crop as f64);
        Err(ConfigError::TooLittleLeft { setting, value, height: crop, width: crop, minimum })
    }

    /// The windows over an image of this size. The last ones end at its border, and along a side that is shorter than a
    /// window there is one of that length.
    pub(crate) fn grid(&self, image: ImageSize) -> WindowGrid {
        let [height, width] = [image.height, image.width].map(|side| side.min(self.crop));
        WindowGrid {
            tops: self.starts(image.height),
            lefts: self.starts(image.width),
            window: ImageSize { height, width },
        }
    }

    fn starts(&self, side: usize) -> Vec<usize> {
        let Self { crop, stride } = *self;
        let count = (side + stride - 1).saturating_sub(crop) / stride + 1;
        (0..count).map(|index| (index * stride).min(side.saturating_sub(crop))).collect()
    }
}

impl WindowGrid {
    /// The one window that is the whole image.
    pub(crate) fn whole(image: ImageSize) -> Self {
        Self { tops: vec![0], lefts: vec![0], window: image }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// mmsegmentation's loop, worked out in Python.
    #[test]
    fn windows_lie_where_mmsegmentation_has_them() {
        for (crop, stride, side, expected) in [
            (512, 341, 512, vec![0]),
            (512, 341, 513, vec![0, 1]),
            (512, 341, 853, vec![0, 341]),
            (512, 341, 854, vec![0, 341, 342]),
            (512, 341, 683, vec![0, 171]),
            (512, 341, 300, vec![0]),
            (4, 4, 9, vec![0, 4, 5]),
            (4, 1, 6, vec![0, 1, 2]),
        ] {
            let grid = SlidingWindow { crop, stride }.grid(ImageSize { height: side, width: 2 * crop });
            assert_eq!(grid.tops, expected, "{crop} {stride} {side}");
            assert_eq!(grid.window, ImageSize { height: side.min(crop), width: crop });
        }
    }

    #[test]
    fn every_pixel_is_in_a_window() {
        for side in 1..60 {
            for crop in [1, 5, 16] {
                for stride in 1..=crop {
                    let starts = SlidingWindow { crop, stride }.starts(side);
                    let mut end = 0;
                    for start in &starts {
                        assert!(*start <= end, "{side} {crop} {stride}: {starts:?}");
                        end = start + crop.min(side);
                    }
                    assert_eq!(end, side, "{crop} {stride}: {starts:?}");
                }
            }
        }
    }

    #[test]
    fn windows_without_sense_are_refused() {
        assert_eq!(SlidingWindow::of_crop(512), SlidingWindow { crop: 512, stride: 341 });
        assert_eq!(SlidingWindow::of_crop(640), SlidingWindow { crop: 640, stride: 426 });
        for (crop, stride) in [(0, 1), (8, 0), (8, 9), (20_000, 1)] {
            assert!(SlidingWindow { crop, stride }.validate().is_err(), "{crop} {stride}");
        }
    }
}
