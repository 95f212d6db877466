//! A file of COCO results, which gets its name when it is whole.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use convnext::detect::{CocoResult, ResultsWriter};

/// A file of COCO results that is being written.
pub(super) struct ResultsFile {
    writer: ResultsWriter<BufWriter<File>>,
    part: Part,
}

/// A file that is not whole yet, which is removed where it does not become so.
struct Part {
    path: PathBuf,
    /// The name that it gets; none where it is written to directly, as a pipe is.
    becomes: Option<PathBuf>,
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.becomes.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl ResultsFile {
    /// Begins a file; what was there before stays until it ends.
    pub(super) fn new(path: &Path) -> anyhow::Result<Self> {
        let part = match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                bail!("cannot write {}: it is a folder; name a file", path.display())
            }
            Ok(found) if !found.is_file() => Part { path: path.to_owned(), becomes: None },
            _ => {
                let mut name = path.as_os_str().to_owned();
                name.push(".part");
                Part { path: name.into(), becomes: Some(path.to_owned()) }
            }
        };
        let file = File::create(&part.path).with_context(|| cannot_write(&part.path))?;
        let writer = ResultsWriter::new(BufWriter::new(file)).with_context(|| cannot_write(&part.path))?;
        Ok(Self { writer, part })
    }

    /// Adds a detection.
    pub(super) fn write(&mut self, result: &CocoResult) -> anyhow::Result<()> {
        self.writer.write(result).with_context(|| cannot_write(&self.part.path))
    }

    /// Adds a detection by its text.
    pub(super) fn write_text(&mut self, result: &str) -> anyhow::Result<()> {
        self.writer.write_text(result).with_context(|| cannot_write(&self.part.path))
    }

    /// Ends the file.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        let Self { writer, mut part } = self;
        writer.finish().with_context(|| cannot_write(&part.path))?;
        match part.becomes.take() {
            None => Ok(()),
            Some(path) => fs::rename(&part.path, &path).with_context(|| cannot_write(&path)),
        }
    }
}

/// What to do about a file that cannot be written.
pub(super) fn cannot_write(place: &Path) -> String {
    format!("cannot write {}; check that its folder is there and the space on the disk", place.display())
}
