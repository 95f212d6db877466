//! Names and values as the formats write them, one after the other.

use std::io;

/// Names as text, a name a line.
#[derive(Debug, Default)]
pub(super) struct Lines(pub(super) String);

impl Lines {
    pub(super) fn push(&mut self, name: &str) {
        self.0.extend(name.chars().map(|letter| if matches!(letter, '\n' | '\r') { ' ' } else { letter }));
        self.0.push('\n');
    }
}

/// Writes numbers in little-endian order.
pub(super) fn write_values(mut out: impl io::Write, values: &[f32]) -> io::Result<()> {
    values.iter().try_for_each(|value| out.write_all(&value.to_le_bytes()))
}
