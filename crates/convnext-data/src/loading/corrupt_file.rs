//! Corrupt files as messages have them, and the limit of their number.

use serde::{Deserialize, Serialize};

/// An image file that could not be read or decoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CorruptFile {
    /// The file.
    pub name: String,
    /// The reason.
    pub why: String,
}

/// Limit of corrupt files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    None,
    OnePercent,
}

impl Allowed {
    /// The most corrupt files of so many.
    pub(crate) fn of(self, samples: usize) -> usize {
        match self {
            Self::None => 0,
            Self::OnePercent => samples / 100,
        }
    }

    /// Text for a count above the limit.
    pub(crate) fn exceeded(self) -> &'static str {
        match self {
            Self::None => "and none may be",
            Self::OnePercent => "more than 1 %",
        }
    }
}

/// The most corrupt files that are replaced.
pub(crate) fn most_replaced(samples: usize) -> usize {
    Allowed::OnePercent.of(samples)
}

/// The first of `count` files, one a line.
pub(crate) fn listed(files: &[CorruptFile], count: usize) -> String {
    const SHOWN: usize = 10;
    let shown = files.iter().take(SHOWN);
    let mut lines: String = shown.map(|file| format!("\n  {}: {}", file.name, file.why)).collect();
    if count > SHOWN.min(files.len()) {
        lines += &format!("\n  and {} more", count - SHOWN.min(files.len()));
    }
    lines
}
