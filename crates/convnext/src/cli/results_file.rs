//! A file of COCO results, which gets its name when it is whole.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use convnext::detect::{CocoResult, ResultsWriter};

use super::part_file::PartFile;

/// A file of COCO results that is being written.
pub(super) struct ResultsFile {
    writer: ResultsWriter<BufWriter<File>>,
    part: PartFile,
}

impl ResultsFile {
    /// Begins a file; what was there before stays until it ends.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        let (part, file) = PartFile::create(path)?;
        let writer = ResultsWriter::new(BufWriter::new(file)).map_err(|error| part.cannot_write(error))?;
        Ok(Self { writer, part })
    }

    /// Adds a detection.
    pub(super) fn write(&mut self, result: &CocoResult) -> anyhow::Result<()> {
        self.writer.write(result).map_err(|error| self.part.cannot_write(error))
    }

    /// Adds a detection by its text.
    pub(super) fn write_text(&mut self, result: &str) -> anyhow::Result<()> {
        self.writer.write_text(result).map_err(|error| self.part.cannot_write(error))
    }

    /// Ends the file.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { writer, part } = self;
        writer.finish().map_err(|error| part.cannot_write(error))?;
        part.finish()
    }
}
