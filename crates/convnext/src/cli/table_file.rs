//! A table in a CSV file, which gets its name when it is whole.

use std::fs::File;
use std::path::Path;

use super::part_file::PartFile;

/// A table that is being written.
pub(super) struct TableFile {
    writer: csv::Writer<File>,
    part: PartFile,
}

impl TableFile {
    /// Begins a table with its head; what was there before stays until it ends.
    pub(super) fn new(path: &Path, head: &[&str]) -> anyhow::Result<Self> {
        let (part, file) = PartFile::create(path)?;
        let mut table = Self { writer: csv::Writer::from_writer(file), part };
        table.write(head)?;
        Ok(table)
    }

    /// Adds a row.
    pub(super) fn write(&mut self, row: impl IntoIterator<Item = impl AsRef<[u8]>>) -> anyhow::Result<()> {
        self.writer.write_record(row).map_err(|error| self.part.cannot_write(error))
    }

    /// Ends the table.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.writer.flush().map_err(|error| self.part.cannot_write(error))?;
        self.part.finish()
    }
}
