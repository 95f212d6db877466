//! Counts in words.

/// A count with its noun in the number that it asks for, such as `1 class` or `3 classes`.
///
/// ```
/// use convnext_core::counted;
///
/// assert_eq!(counted(1, "class", "classes"), "1 class");
/// assert_eq!(counted(0, "class", "classes"), "0 classes");
/// ```
pub fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
