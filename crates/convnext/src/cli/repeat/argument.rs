//! An argument of a recorded run, and where its value stands in the record.

use std::ffi::OsString;

use toml::{Table, Value};

/// A flag and its value; an empty value for one that takes none.
pub(super) type Argument = (&'static str, OsString);

/// The value below these keys.
pub(super) fn nested<'t>(table: &'t Table, path: &[&str]) -> Option<&'t Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}
