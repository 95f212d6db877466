//! Rule of a default recipe: a value that suits model and data, and why.

/// A key of a recipe, its value as TOML, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Such as `training.epochs`.
    pub key: &'static str,
    /// Such as `40`.
    pub value: String,
    /// The reason in words.
    pub why: String,
}

impl Rule {
    /// A value under a key, and why.
    pub fn new(key: &'static str, value: impl ToString, why: impl Into<String>) -> Self {
        Self { key, value: value.to_string(), why: why.into() }
    }
}
