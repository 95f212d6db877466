//! Decoders of others that may panic on damaged data.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    static IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// The result of `decode`, or `None` if it panicked: a file must never end a run.
pub(crate) fn caught<T>(decode: impl FnOnce() -> T) -> Option<T> {
    let outside = IS_CAUGHT.replace(true);
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    IS_CAUGHT.set(outside);
    decoded.ok()
}

/// `true` if a panic of this thread comes from a decoder and becomes an error that names the file. A
/// program's panic hook asks, so as not to print a trace that tells its user nothing.
pub fn panic_is_caught() -> bool {
    IS_CAUGHT.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_caught_and_told_from_others() {
        assert!(!panic_is_caught());
        assert_eq!(caught(panic_is_caught), Some(true));
        assert_eq!(caught(|| caught(|| ()).is_some() && panic_is_caught()), Some(true));
        let failed: Option<u8> = caught(|| std::panic::panic_any("damaged"));
        assert!(failed.is_none() && !panic_is_caught());
    }
}
