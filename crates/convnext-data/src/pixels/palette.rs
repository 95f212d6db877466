//! Colours with which classes are shown.

/// Colour of pixels without a class.
pub const IGNORED_COLOUR: [u8; 3] = [0, 0, 0];

/// The colours of so many classes: those of their own palette, or Pascal VOC's colours from its second on, none of which is
/// black.
pub fn class_colours(palette: &[[u8; 3]], classes: usize) -> Vec<[u8; 3]> {
    match palette.len() == classes {
        true => palette.to_vec(),
        false => (1..=classes).map(voc_colour).collect(),
    }
}

/// A colour of Pascal VOC: the bits of its number, spread over the high bits of red, green and blue.
fn voc_colour(number: usize) -> [u8; 3] {
    let mut colour = [0; 3];
    for place in 0..8 {
        let bits = number >> (3 * place);
        for (channel, value) in colour.iter_mut().enumerate() {
            *value |= ((bits >> channel & 1) as u8) << (7 - place);
        }
    }
    colour
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn colours_are_those_of_pascal_voc() {
        let colours = class_colours(&[], 20);
        assert_eq!(colours[..4], [[128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128]]);
        assert_eq!((colours[7], colours[19]), ([64, 0, 0], [0, 64, 128]));
        let distinct: HashSet<[u8; 3]> = class_colours(&[], 150).into_iter().collect();
        assert!(distinct.len() == 150 && !distinct.contains(&IGNORED_COLOUR));
        assert_eq!(class_colours(&[[1, 2, 3]], 1), [[1, 2, 3]]);
    }
}
