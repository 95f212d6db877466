//! CMYK as red, green and blue.

use convnext_core::COLOURS;

use super::planes;

/// Cyan, magenta, yellow and black of a JPEG file as a colour, by Pillow's rule: what is light without black ink,
/// less the part that the other ink takes.
///
/// Such files hold paper as 255 and full ink as 0, which Adobe's programs began and Pillow takes for granted.
pub(super) fn colour([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; COLOURS] {
    [cyan, magenta, yellow].map(|paper| black - product(255 - paper, black))
}

/// Inks that are stored as brightness and chroma (YCCK).
pub(super) fn of_brightness([brightness, blueness, redness, black]: [u8; 4]) -> [u8; 4] {
    let [red, green, blue] = planes::colour([brightness, blueness, redness]);
    [255 - red, 255 - green, 255 - blue, black]
}

/// `a * b / 255`, rounded.
fn product(a: u8, b: u8) -> u8 {
    let product = u32::from(a) * u32::from(b) + 128;
    (((product >> 8) + product) >> 8) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_rounded() {
        for (a, b) in (0..=255).flat_map(|a| (0..=255).map(move |b| (a, b))) {
            let expected = (f64::from(a) * f64::from(b) / 255.0).round() as u8;
            assert_eq!(product(a, b), expected, "{a} x {b}");
        }
    }

    #[test]
    fn paper_is_white_and_ink_dark() {
        assert_eq!(colour([255; 4]), [255; 3]);
        assert_eq!(colour([255, 255, 255, 0]), [0; 3]);
        assert_eq!(colour([0, 255, 255, 255]), [0, 255, 255]);
        assert_eq!(colour([255, 128, 0, 200]), [200, 100, 0]);
        assert_eq!(of_brightness([255, 128, 128, 9]), [0, 0, 0, 9]);
    }
}
