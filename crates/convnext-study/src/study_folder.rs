//! Folder of a study: what was begun, and the results so far.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use convnext_io::{UNFINISHED_SUFFIX, replace_file};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::{StudyError, damaged, unreadable, unwritable};
use crate::options::StudyOptions;
use crate::plan::{PlannedRun, Planner, Steps};
use crate::results::{RunResult, text};
use crate::study::Study;

/// Name of the file with study and options.
pub const STUDY_FILE: &str = "study.toml";

/// Name of the file with a line for each ended run.
pub const RESULTS_FILE: &str = "results.jsonl";

/// Study and options that a folder was begun with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Begun {
    /// The user's decisions.
    options: StudyOptions,
    /// Lengths that were chosen by the budget.
    #[serde(default)]
    steps: Steps,
    /// The study.
    study: Study,
}

/// Folder of a study, open for this process alone.
#[derive(Debug)]
pub struct StudyFolder {
    folder: PathBuf,
    begun: Begun,
    /// Kept open, because it is locked: the system lets the lock go with the process, however that ends.
    results_file: File,
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
        let mut begun = Begun { options: options.clone(), steps: steps.clone(), study: study.clone() };
        let path = folder.join(STUDY_FILE);
        if is_used(folder)? {
            if !resume {
                return Err(StudyError::OutputUsed(folder.to_owned()));
            }
            let text = text(&path)?.ok_or_else(|| StudyError::NoStudy(folder.to_owned()))?;
            let recorded: Begun = toml::from_str(&text).map_err(|error| damaged(&path, error.to_string()))?;
            let changes = changes(&in_table(&recorded)?, &in_table(&begun)?);
            if !changes.is_empty() {
                return Err(StudyError::Changed { folder: folder.to_owned(), changes });
            }
            begun = recorded;
        } else {
            fs::create_dir_all(folder).map_err(|source| unwritable(folder, source))?;
            write_begun(&path, &begun)?;
        }
        let (results_file, results) = open_results(folder)?;
        Ok(Self { folder: folder.to_owned(), begun, results_file, results })
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

    /// The lengths that were chosen by the budget.
    pub(crate) fn steps(&self) -> &Steps {
        &self.begun.steps
    }

    /// Records lengths, so that a study that goes on keeps them.
    pub(crate) fn set_steps(&mut self, steps: Steps) -> Result<(), StudyError> {
        self.begun.steps = steps;
        write_begun(&self.folder.join(STUDY_FILE), &self.begun)
    }

    /// The commands of the study.
    ///
    /// # Errors
    /// [`StudyError::Options`] for options that do not fit.
    pub fn plan(&self) -> Result<Vec<PlannedRun>, StudyError> {
        let Begun { options, steps, study } = &self.begun;
        Planner { study, options, folder: &self.folder, steps }.plan()
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
        let written = self.results_file.write_all(&line).and_then(|()| self.results_file.sync_data());
        written.map_err(|source| unwritable(&path, source))?;
        self.results.push(result);
        Ok(())
    }
}

/// `true` if a folder holds something, besides what a killed process left half written.
fn is_used(folder: &Path) -> Result<bool, StudyError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(unreadable(folder, source)),
    };
    for entry in entries {
        let name = entry.map_err(|source| unreadable(folder, source))?.file_name();
        if !name.to_string_lossy().ends_with(UNFINISHED_SUFFIX) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn write_begun(path: &Path, begun: &Begun) -> Result<(), StudyError> {
    let text = toml::to_string_pretty(begun).map_err(|error| damaged(path, error.to_string()))?;
    replace_file(path, |mut file| file.write_all(text.as_bytes())).map_err(|source| unwritable(path, source))
}

/// The results so far. A killed process may have left the last line cut: it is removed.
fn open_results(folder: &Path) -> Result<(File, Vec<RunResult>), StudyError> {
    let path = folder.join(RESULTS_FILE);
    let fail = |source| unwritable(&path, source);
    let mut file =
        OpenOptions::new().create(true).read(true).write(true).truncate(false).open(&path).map_err(fail)?;
    // Where a file system knows no locks, the study goes on without.
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        return Err(StudyError::InUse(folder.to_owned()));
    }
    let text = text(&path)?.unwrap_or_default();
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut results = Vec::new();
    for (number, line) in (1..).zip(text[..whole].lines()) {
        let result = serde_json::from_str(line);
        results.push(result.map_err(|error| damaged(&path, format!("line {number}: {error}")))?);
    }
    file.set_len(whole as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(fail)?;
    Ok((file, results))
}

/// Study and options as a table, without what was chosen on the way.
fn in_table(begun: &Begun) -> Result<Table, StudyError> {
    let mut table =
        Table::try_from(begun).map_err(|error| damaged(Path::new(STUDY_FILE), error.to_string()))?;
    table.remove("steps");
    Ok(table)
}

/// Every key whose value differs, in words; keys are dotted.
fn changes(begun: &Table, now: &Table) -> Vec<String> {
    let (mut before, mut after) = (Table::new(), Table::new());
    flatten("", begun, &mut before);
    flatten("", now, &mut after);
    let mut keys: Vec<&String> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let words = |value: Option<&Value>| value.map_or_else(|| "not set".to_owned(), Value::to_string);
    let differ = keys.into_iter().filter(|key| before.get(*key) != after.get(*key));
    differ.map(|key| format!("{key} was {}, is {}", words(before.get(key)), words(after.get(key)))).collect()
}

fn flatten(prefix: &str, table: &Table, flat: &mut Table) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, flat),
            other => {
                flat.insert(path, other.clone());
            }
        }
    }
}
