//! A file of COCO results, which gets its name when it is whole.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Context;
use convnext::detect::{CocoResult, ResultsWriter};

/// A file of COCO results that is being written.
pub(super) struct ResultsFile {
    path: PathBuf,
    /// Its name until it is whole: what was there before stays until then.
    part: PathBuf,
    writer: ResultsWriter<BufWriter<File>>,
}

impl ResultsFile {
    /// Begins a file.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        let file = File::create(&part).with_context(|| cannot_write(&part))?;
        let writer = ResultsWriter::new(BufWriter::new(file)).with_context(|| cannot_write(&part))?;
        Ok(Self { path: path.to_owned(), part, writer })
    }

    /// Adds a detection.
    pub(super) fn write(&mut self, result: &CocoResult) -> anyhow::Result<()> {
        self.writer.write(result).with_context(|| cannot_write(&self.part))
    }

    /// Ends the file.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.writer.finish().with_context(|| cannot_write(&self.part))?;
        std::fs::rename(&self.part, &self.path).with_context(|| cannot_write(&self.path))
    }
}

/// What to do about a file that cannot be written.
pub(super) fn cannot_write(place: &Path) -> String {
    format!("cannot write {}; check the space on the disk", place.display())
}
