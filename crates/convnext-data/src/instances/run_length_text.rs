//! COCO's compressed strings of run lengths (`rleToString` and `rleFrString` of the COCO API): five bits in each character, the
//! lowest first, and from the fourth number on the difference to the last but one.

/// The character of a group of five bits that are 0.
const FIRST_CHARACTER: u8 = 48;

/// The compressed string of run lengths.
pub(crate) fn text_of_counts(counts: &[u32]) -> String {
    let mut text = String::new();
    for (index, &count) in counts.iter().enumerate() {
        let before = if index > 2 { counts[index - 2] } else { 0 };
        let mut value = i64::from(count) - i64::from(before);
        loop {
            let bits = (value & 31) as u8;
            value >>= 5;
            let is_last = value == if bits & 16 != 0 { -1 } else { 0 };
            text.push(char::from(FIRST_CHARACTER + if is_last { bits } else { bits | 32 }));
            if is_last {
                break;
            }
        }
    }
    text
}

/// The run lengths of a compressed string.
///
/// # Errors
/// In words, for characters and numbers that no such string has.
pub(crate) fn counts_of_text(text: &str) -> Result<Vec<u32>, String> {
    let mut counts: Vec<u32> = Vec::new();
    let mut bytes = text.bytes();
    while let Some(mut byte) = bytes.next() {
        let (mut value, mut shift) = (0_i64, 0);
        loop {
            let bits = byte
                .checked_sub(FIRST_CHARACTER)
                .filter(|&bits| bits < 64)
                .ok_or("its run lengths are damaged")?;
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
