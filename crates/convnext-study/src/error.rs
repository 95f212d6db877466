//! Errors of studies.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a study cannot be read or run, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// There is no study of this name, and no file.
    #[error("there is no study '{name}'{meant}; give the path of a TOML file, or one of: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// A suggestion, or nothing.
        meant: String,
        /// The names of all built-in studies.
        known: String,
    },
    /// The file of a study does not say what it should.
    #[error("study {name}: {why}")]
    Invalid {
        /// The study.
        name: String,
        /// The mistake, and what was expected.
        why: String,
    },
    /// The options do not fit the study.
    #[error("{0}")]
    Options(String),
    /// The folder already holds something.
    #[error(
        "output folder {0} is not empty; choose a new one with --out, go on with the study in it with --resume, or delete it"
    )]
    OutputUsed(PathBuf),
    /// The folder holds something else than a study.
    #[error(
        "output folder {0} holds files but no study.toml, so it is no study that could be resumed; choose another --out"
    )]
    NoStudy(PathBuf),
    /// There is no study whose runs could be taken over.
    #[error(
        "{0} holds no study, so that nothing of it can be reused; name the --out of a study that was run"
    )]
    NothingToReuse(PathBuf),
    /// A study is resumed with other options.
    #[error("the study in {folder} was begun with other settings: {}; give those, or choose another --out", changes.join("; "))]
    Changed {
        /// The folder of the study.
        folder: PathBuf,
        /// Each change, in words.
        changes: Vec<String>,
    },
    /// Another process runs the study.
    #[error("another process runs the study in {0}; wait for it or stop it, or choose another --out")]
    InUse(PathBuf),
    /// A file cannot be read.
    #[error("cannot read {path}: {source}; check that it may be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
    /// A file of the study does not say what it should.
    #[error("{path} is damaged: {why}; restore it, or begin again with another --out")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Place and kind of the damage.
        why: String,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {source}; check that the folder is writable and has space")]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
    /// The time does not suffice for the shortest runs.
    #[error(
        "{runs} runs take about {least} before their first epochs, and the budget is {budget}; give more time with --resume, or begin \
         again with fewer seeds or rows"
    )]
    Budget {
        /// Number of runs.
        runs: usize,
        /// Their least time, in words.
        least: String,
        /// The budget, in words.
        budget: String,
    },
    /// A run that was to be timed did not end well.
    #[error("the length cannot be chosen, because {run} failed when it was timed: {why}")]
    Timing {
        /// The run.
        run: String,
        /// Its error.
        why: String,
    },
    /// Somebody stopped the study.
    #[error("interrupted; go on with the same command and --resume")]
    Interrupted,
}

/// The error of a file that cannot be read.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> StudyError {
    StudyError::Read { path: path.to_owned(), source }
}

/// The error of a file or folder that cannot be written.
pub(crate) fn unwritable(path: &Path, source: io::Error) -> StudyError {
    StudyError::Write { path: path.to_owned(), source }
}

/// The error of a file that does not say what it should.
pub(crate) fn damaged(path: &Path, why: String) -> StudyError {
    StudyError::Damaged { path: path.to_owned(), why }
}
