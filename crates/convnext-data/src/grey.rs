//! Colours as greyscale.

/// Pillow's conversion to greyscale (`L`): ITU-R BT.601 in 16 bit fractions, with Pillow's rounding.
pub(crate) fn grey([red, green, blue]: [u8; 3]) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grey_colour_keeps_its_level() {
        assert!((0..=255).all(|level| grey([level; 3]) == level));
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
