//! Pixels of images of any channels, for people to look at.

use convnext_core::COLOURS;

use crate::pixels::image::Image;

impl Image {
    /// The colour with which a pixel is shown: of one or two channels the first as grey, of more the first three, rounded to
    /// 8 bit.
    ///
    /// # Panics
    /// When the position lies outside the image.
    pub fn shown_pixel(&self, x: usize, y: usize) -> [u8; COLOURS] {
        match self.pixel(x, y) {
            [red, green, blue, ..] => [*red, *green, *blue],
            [grey, ..] => [*grey; COLOURS],
            [] => [0; COLOURS],
        }
    }
}
