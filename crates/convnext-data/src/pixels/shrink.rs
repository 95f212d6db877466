//! Smaller images, to show.

use crate::pixels::image::Image;
use crate::pixels::resample::{Region, resize};

impl Image {
    /// The same image, at most `side` pixels wide and high, in its proportions; never larger than it is.
    #[must_use]
    pub fn shrunk(&self, side: usize) -> Self {
        let long = self.width().max(self.height());
        let scaled = |of: usize| match long > side {
            true => ((of * side) as f64 / long as f64).round().max(1.0) as usize,
            false => of,
        };
        resize(self, Region::whole(self), scaled(self.width()), scaled(self.height()))
    }
}
