//! Colours as greyscale.

/// Pillow's conversion to greyscale (`L`): ITU-R BT.601 in 16 bit fractions, with Pillow's rounding.
pub(crate) fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

/// [`grey`] of 16 bit.
pub(crate) fn grey_of_16(colour: [u16; 3]) -> u16 {
    grey_of_reals(colour.map(f64::from)).round() as u16
}

/// [`grey`] without rounding.
pub(crate) fn grey_of_reals([red, green, blue]: [f64; 3]) -> f64 {
    (red * 19_595.0 + green * 38_470.0 + blue * 7_471.0) / 65_536.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grey_colour_keeps_its_level() {
        assert!((0..=255).all(|level| grey([level; 3]) == level));
        assert!((0..=u16::MAX).all(|level| grey_of_16([level; 3]) == level));
    }

    #[test]
    fn colours_have_the_levels_of_pillow() {
        // Pillow 13: Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0)).
        for (colour, expected) in
            [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([1, 2, 3], 2), ([200, 100, 50], 124)]
        {
            assert_eq!(grey(colour), expected, "{colour:?}");
        }
    }
}
