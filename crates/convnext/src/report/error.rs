//! Errors of the pages.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why a report cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder holds no run.
    #[error("{0} is no run folder: it has no config.toml; give the --out of a pre-training or fine-tuning")]
    NoRun(PathBuf),
    /// A file of the run cannot be read.
    #[error("cannot read {path}: {source}; check that it may be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
    /// A file of the run does not say what it should.
    #[error("{path} is damaged: {why}; restore it, or move it away to report on the rest")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Location and cause of the damage.
        why: String,
    },
    /// A curve cannot be drawn.
    #[error("cannot draw {what}: {why}")]
    Draw {
        /// The curve.
        what: String,
        /// Message of the plotting library.
        why: String,
    },
    /// Fewer than two runs are to be compared.
    #[error("two or more runs are compared, and {0} named; name more run folders")]
    TooFewRuns(usize),
    /// A run is to be compared with itself.
    #[error("{0} and {1} are the same run; name each run once")]
    SameRun(PathBuf, PathBuf),
    /// The report cannot be written.
    #[error("cannot write {path}: {source}; check that the folder is writable and has space")]
    Write {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
}
