//! Canonical class names: when two names of classes are the same.

use unicode_normalization::UnicodeNormalization;

/// A name as it is compared and kept: composed letters (NFC), without white space around it. File systems and
/// editors write one `é` in two ways, and macOS another one than most.
pub fn canonical_name(name: &str) -> String {
    let name = name.trim();
    if name.is_ascii() { name.to_owned() } else { name.nfc().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_letter_in_two_ways_is_one_name() {
        assert_eq!(canonical_name("cafe\u{301}"), "caf\u{e9}");
        assert_eq!(canonical_name(" caf\u{e9}\t"), "caf\u{e9}");
        assert_eq!(canonical_name("cat "), "cat");
        assert_ne!(canonical_name("Cat"), canonical_name("cat"));
    }
}
