//! Folder of a study: what was begun, and the results so far.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use convnext_io::UNFINISHED_SUFFIX;

use crate::begun::{Begun, VERSION};
use crate::error::{StudyError, damaged, unreadable, unwritable};
use crate::lengths::Steps;
use crate::options::StudyOptions;
use crate::plan::PlannedRun;
use crate::results::RunResult;
use crate::study::Study;

/// Name of the file with a line for each ended run.
pub const RESULTS_FILE: &str = "results.jsonl";

/// Folder of a study, open for this process alone.
#[derive(Debug)]
pub struct StudyFolder {
    folder: PathBuf,
    begun: Begun,
    /// Kept open, because it is locked: the system lets the lock go with the process, however that ends.
    results_file: File,
    /// Bytes of whole lines in it.
    length: u64,
    results: Vec<RunResult>,
}

impl StudyFolder {
    /// Opens a new or empty folder, or with `resume` that of a study that was begun with the same study and options.
    ///
    /// # Errors
    /// [`StudyError::OutputUsed`], [`StudyError::NoStudy`], [`StudyError::Changed`] with every change,
    /// [`StudyError::InUse`], and what reading and writing reports.
    pub fn open(
        folder: &Path,
        study: &Study,
        options: &StudyOptions,
        resume: bool,
    ) -> Result<Self, StudyError> {
        Self::open_with(folder, study, options, &Steps::new(), resume)
    }

    /// The same with lengths of runs.
    pub(crate) fn open_with(
        folder: &Path,
        study: &Study,
        options: &StudyOptions,
        steps: &Steps,
        resume: bool,
    ) -> Result<Self, StudyError> {
        if is_used(folder)? {
            if !resume {
                return Err(StudyError::OutputUsed(folder.to_owned()));
            }
            if Begun::recorded(folder)?.is_none() {
                return Err(StudyError::NoStudy(folder.to_owned()));
            }
        }
        fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
        let mut results_file = lock_results(folder)?;
        let now = Begun::now(study, options, steps)?;
        // Another process may have begun a study since.
        let begun = match Begun::recorded(folder)? {
            Some(_) if !resume => return Err(StudyError::OutputUsed(folder.to_owned())),
            Some(recorded) => {
                let going_on = recorded.clone().going_on_as(&now, folder)?;
                if going_on != recorded {
                    going_on.write(folder)?;
                }
                going_on
            }
            None => {
                now.write(folder)?;
                now
            }
        };
        let (results, length) = read_results(folder, &mut results_file)?;
        Ok(Self { folder: folder.to_owned(), begun, results_file, length, results })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The study.
    pub fn study(&self) -> &Study {
        &self.begun.study
    }

    /// The user's decisions.
    pub fn options(&self) -> &StudyOptions {
        &self.begun.options
    }

    /// What it was begun with.
    pub(crate) fn begun(&self) -> &Begun {
        &self.begun
    }

    /// A remark where the study was begun with another version of the program.
    pub(crate) fn other_version(&self) -> Option<String> {
        let begun = &self.begun.version;
        (!begun.is_empty() && begun != VERSION).then(|| {
            format!("the study was begun with version {begun} of the program, and goes on with {VERSION}: results may differ")
        })
    }

    /// The lengths that were chosen by the budget.
    pub(crate) fn steps(&self) -> &Steps {
        &self.begun.steps
    }

    /// Records lengths, so that a study that goes on keeps them.
    pub(crate) fn set_steps(&mut self, steps: Steps) -> Result<(), StudyError> {
        self.begun.steps = steps;
        self.begun.write(&self.folder)
    }

    /// The commands of the study.
    ///
    /// # Errors
    /// [`StudyError::Options`] for options that do not fit.
    pub fn plan(&self) -> Result<Vec<PlannedRun>, StudyError> {
        self.begun.plan(&self.folder)
    }

    /// The result of a run, if it has ended: the last one, as a run that failed may have been run again.
    pub fn result(&self, id: &str) -> Option<&RunResult> {
        self.results.iter().rev().find(|result| result.run == id)
    }

    /// Writes the result of a run to the disk.
    pub(crate) fn record(&mut self, result: RunResult) -> Result<(), StudyError> {
        let path = self.folder.join(RESULTS_FILE);
        let mut line = serde_json::to_vec(&result).map_err(|error| unwritable(&path, error.into()))?;
        line.push(b'\n');
        // A line that an earlier call could write in part only goes first.
        let written = cut_back(&mut self.results_file, self.length)
            .and_then(|()| self.results_file.write_all(&line))
            .and_then(|()| self.results_file.sync_data());
        written.map_err(|source| unwritable(&path, source))?;
        self.length += line.len() as u64;
        self.results.push(result);
        Ok(())
    }
}

/// `true` if a folder holds something, besides what a killed process left half written, and its empty list of results.
fn is_used(folder: &Path) -> Result<bool, StudyError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(unreadable(folder, source)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        let name = entry.file_name();
        let is_empty = || entry.metadata().is_ok_and(|entry| entry.is_file() && entry.len() == 0);
        let is_left =
            name.to_string_lossy().ends_with(UNFINISHED_SUFFIX) || (name == RESULTS_FILE && is_empty());
        if !is_left {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The file of results, which is made if there is none, and locked.
fn lock_results(folder: &Path) -> Result<File, StudyError> {
    let path = folder.join(RESULTS_FILE);
    let opened = OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path);
    let file = opened.map_err(|source| unwritable(&path, source))?;
    // Where a file system knows no locks, the study goes on without.
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(StudyError::InUse(folder.to_owned())),
        _ => Ok(file),
    }
}

/// The results so far, and the bytes that they take. A killed process may have left the last line cut, within a letter even:
/// it is removed.
fn read_results(folder: &Path, file: &mut File) -> Result<(Vec<RunResult>, u64), StudyError> {
    let path = folder.join(RESULTS_FILE);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(|source| unreadable(&path, source))?;
    let (results, whole) = whole_results(&bytes, &path)?;
    cut_back(file, whole as u64).map_err(|source| unwritable(&path, source))?;
    Ok((results, whole as u64))
}

/// The results so far of a study that another process may be running.
pub(crate) fn results_of(folder: &Path) -> Result<Vec<RunResult>, StudyError> {
    let path = folder.join(RESULTS_FILE);
    let bytes = fs::read(&path).map_err(|source| unreadable(&path, source))?;
    Ok(whole_results(&bytes, &path)?.0)
}

/// The results in whole lines of a file, and the bytes of these.
fn whole_results(bytes: &[u8], path: &Path) -> Result<(Vec<RunResult>, usize), StudyError> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let mut results = Vec::new();
    for (number, line) in (1..).zip(bytes[..whole].split_inclusive(|byte| *byte == b'\n')) {
        let result = serde_json::from_slice(line);
        results.push(result.map_err(|error| damaged(path, format!("line {number}: {error}")))?);
    }
    Ok((results, whole))
}

/// Removes what follows so many bytes; what is written next follows these.
fn cut_back(file: &mut File, length: u64) -> io::Result<()> {
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length)).map(|_| ())
}
