//! COCO's run lengths, as a list of numbers or as its compressed string.

use convnext_core::ImageSize;

use crate::segmentation::coco::polygon::Runs;

/// The ranges of run lengths, which begin with those outside and go down the columns. What the lengths leave over is
/// outside.
///
/// # Errors
/// In words, when they are more than the pixels of the image.
pub(crate) fn runs_of_counts(counts: &[u32], size: ImageSize) -> Result<Runs, String> {
    let mut runs = Runs::new();
    let mut at = 0_usize;
    for (index, &count) in counts.iter().enumerate() {
        let end = at + count as usize;
        if end > size.pixels() {
            return Err(format!("its run lengths go beyond {} pixels", size.pixels()));
        }
        if index % 2 == 1 && count > 0 {
            runs.push((at, end));
        }
        at = end;
    }
    Ok(runs)
}

/// The numbers of a compressed string (`rleFrString` of the COCO API): five bits in each character, the lowest first, and
/// from the fourth number on the difference to the last but one.
///
/// # Errors
/// In words, for characters and numbers that no such string has.
pub(crate) fn counts_of_string(text: &str) -> Result<Vec<u32>, String> {
    const FIRST: u8 = 48;
    let mut counts: Vec<u32> = Vec::new();
    let mut bytes = text.bytes();
    while let Some(mut byte) = bytes.next() {
        let (mut value, mut shift) = (0_i64, 0);
        loop {
            let bits =
                byte.checked_sub(FIRST).filter(|&bits| bits < 64).ok_or("its run lengths are damaged")?;
            value |= i64::from(bits & 31) << shift;
            shift += 5;
            if bits & 32 == 0 {
                // The highest bit of the last five is the sign.
                if bits & 16 != 0 {
                    value |= -1 << shift;
                }
                break;
            }
            byte = bytes.next().filter(|_| shift < 40).ok_or("its run lengths are damaged")?;
        }
        if counts.len() > 2 {
            value += i64::from(counts[counts.len() - 2]);
        }
        counts.push(u32::try_from(value).map_err(|_| "its run lengths are damaged")?);
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_and_lists_are_read() {
        let size = ImageSize { height: 2, width: 3 };
        // All inside, and all outside.
        assert_eq!(runs_of_counts(&counts_of_string("06").unwrap(), size), Ok(vec![(0, 6)]));
        assert_eq!(runs_of_counts(&counts_of_string("6").unwrap(), size), Ok(vec![]));
        // Short lists leave the rest outside.
        assert_eq!(runs_of_counts(&[1, 2], size), Ok(vec![(1, 3)]));
        assert!(runs_of_counts(&[1, 6], size).unwrap_err().contains("beyond 6"));
        for damaged in ["!", "P", "\u{7f}", "oooooooooooo"] {
            assert!(counts_of_string(damaged).is_err(), "{damaged}");
        }
    }

    /// Strings and lists of pycocotools 2.0.11, made by `tests/goldens/masks/make.py`.
    #[test]
    fn strings_are_those_of_pycocotools() {
        #[derive(serde::Deserialize)]
        struct Case {
            text: String,
            counts: Vec<u32>,
        }
        let text = include_str!("../../../tests/goldens/masks/strings.json");
        let cases: Vec<Case> = serde_json::from_str(text).unwrap();
        for Case { text, counts } in cases {
            assert_eq!(counts_of_string(&text).unwrap(), counts);
        }
    }
}
