//! Flags and values of a command line as it was typed.

use std::ffi::{OsStr, OsString};

/// `true` if a flag is typed, with its value beside it or after `=`.
pub(super) fn has_flag(typed: &[OsString], flag: &str) -> bool {
    typed.iter().any(|word| word == flag || joined_value(word, flag).is_some())
}

/// Value of a typed flag.
pub(super) fn value_of(typed: &[OsString], flag: &str) -> Option<OsString> {
    let place = typed.iter().position(|word| word == flag);
    let joined = || typed.iter().find_map(|word| joined_value(word, flag));
    place.and_then(|place| typed.get(place + 1).cloned()).or_else(joined)
}

/// The value in `--flag=value`.
fn joined_value(word: &OsStr, flag: &str) -> Option<OsString> {
    let value = word.as_encoded_bytes().strip_prefix(flag.as_bytes())?.strip_prefix(b"=")?;
    // A path that is no Unicode has to stand beside its flag.
    std::str::from_utf8(value).ok().map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_found_with_their_values() {
        let words = "convnext finetune --seed=3 --data photos --quick".split(' ');
        let typed: Vec<OsString> = words.map(OsString::from).collect();
        assert_eq!(value_of(&typed, "--seed"), Some("3".into()));
        assert_eq!(value_of(&typed, "--data"), Some("photos".into()));
        assert!(has_flag(&typed, "--quick") && !has_flag(&typed, "--see"));
    }
}
