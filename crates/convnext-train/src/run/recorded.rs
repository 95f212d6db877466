//! Recorded state of the run in a folder: its configuration and, of a finished one, its summary.

use std::fs::{self, DirEntry};
use std::io;
use std::path::{Path, PathBuf};

use convnext_core::ValueRange;
use convnext_io::{CONFIG_FILE, METRICS_FILE, SUMMARY_FILE};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::TrainError;
use crate::recipe::length::Length;
use crate::run::events::EVENTS_FILE;
use crate::run::files::output;
use crate::run::old_runs::in_current_form;
use crate::run::run_changes::{ResumeMode, changes, is_of_length};
use crate::run::summary::Summary;

/// `true` if the folder holds the run of this configuration, or no more than what a run leaves that is killed
/// at its very beginning.
///
/// # Errors
/// [`TrainError::Changed`] when it holds another run, [`TrainError::BadRun`] when its configuration is damaged,
/// [`TrainError::Output`] when the folder cannot be read.
pub(crate) fn is_same_run(run: &Path, config: &Table, how: ResumeMode) -> Result<bool, TrainError> {
    let Some(begun) = recorded_config(run)? else {
        let entries = fs::read_dir(run).map_err(|source| output(run, source))?;
        return Ok(entries.flatten().all(|entry| is_of_beginning(&entry)));
    };
    let found = changes(&begun, config, how);
    if found.is_empty() {
        return Ok(true);
    }
    let advice = if changes(&begun, config, ResumeMode::Extended).is_empty() {
        "give --extend, by which its length may grow and its patience change"
    } else if how == ResumeMode::Extended && found.iter().all(|change| is_of_length(change)) {
        "give at least what it had, in the same unit, because --extend lets length and patience only grow"
    } else {
        "resume it with the same ones"
    };
    Err(TrainError::Changed { path: run.to_owned(), changes: found.join(", "), advice })
}

/// `true` for what a run has before its configuration: that half written, and logs without a byte.
fn is_of_beginning(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let name = name.to_string_lossy();
    let is_log = [METRICS_FILE, EVENTS_FILE].contains(&&*name);
    let is_empty = || entry.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
    name.starts_with(&format!(".{CONFIG_FILE}.")) || (is_log && is_empty())
}

/// Refuses to extend a run whose patience is over already: it would stop where it is, without a step.
///
/// # Errors
/// [`TrainError::OutOfPatience`] then.
pub(crate) fn check_patience(run: &Path, config: &Table, summary: &Summary) -> Result<(), TrainError> {
    let patience = config.get("patience").and_then(Value::as_integer);
    let patience = patience.and_then(|patience| usize::try_from(patience).ok());
    let stop = summary.stopped_early.as_deref();
    // Summaries of earlier versions say it of an early end only.
    let since_best = stop.map_or(summary.since_best, |stop| stop.patience);
    let Some(patience) = patience.filter(|&patience| patience <= since_best) else { return Ok(()) };
    let found = match stop {
        Some(stop) => stop.to_string(),
        None => format!("ended with {since_best} validations or epochs that were no better"),
    };
    Err(TrainError::OutOfPatience { path: run.to_owned(), found, patience, since_best })
}

/// The file with the configuration of a run, which may be named itself or by its folder.
pub fn config_file(run: &Path) -> PathBuf {
    if run.is_file() { run.to_owned() } else { run.join(CONFIG_FILE) }
}

/// The settings of a run in the words of this version, from its folder or its `config.toml`.
///
/// # Errors
/// [`TrainError::NoConfig`] when there is no such file, [`TrainError::BadRun`] when it is damaged.
pub fn read_config(run: &Path) -> Result<Table, TrainError> {
    let config = recorded_config(run)?.ok_or_else(|| TrainError::NoConfig(run.to_owned()))?;
    Ok(in_current_form(config))
}

/// The configuration of the run in this folder or file; `None` when there is no run yet.
///
/// # Errors
/// [`TrainError::BadRun`] when it is damaged.
pub(crate) fn recorded_config(run: &Path) -> Result<Option<Table>, TrainError> {
    let path = config_file(run);
    let bad = |why: String| TrainError::BadRun { path: path.clone(), why };
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| bad(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// What a run that goes on takes from its beginning, unless it is asked for something else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunBeginning {
    /// Its batch.
    pub(crate) batch_size: Option<usize>,
    /// Its length.
    pub(crate) length: Option<Length>,
    /// Range of the values of its images.
    pub(crate) range: ValueRange,
}

impl RunBeginning {
    /// Reads it from the configuration in a run folder; `None` when there is no run yet.
    ///
    /// # Errors
    /// [`TrainError::BadRun`] when that is damaged.
    pub(crate) fn read(run: &Path) -> Result<Option<Self>, TrainError> {
        let Some(range) = recorded_range(run)? else { return Ok(None) };
        let config = recorded_config(run)?;
        let training = config.as_ref().and_then(|config| config.get("recipe")?.get("training"));
        let value = |key: &str| training.and_then(|training| training.get(key));
        let count =
            |key| value(key).and_then(Value::as_integer).and_then(|count| usize::try_from(count).ok());
        let epochs = value("epochs").and_then(Value::as_float);
        let length = count("steps").map(Length::Steps).or(epochs.map(Length::Epochs));
        Ok(Some(Self { batch_size: count("batch_size"), length, range }))
    }
}

/// The range of values of the run in this folder; `None` when there is no run yet.
///
/// # Errors
/// [`TrainError::BadRun`] when its configuration is damaged.
pub(crate) fn recorded_range(run: &Path) -> Result<Option<ValueRange>, TrainError> {
    let Some(config) = recorded_config(run)? else { return Ok(None) };
    // Runs that know no range have none.
    let range = config.get("preprocessing").and_then(|preprocessing| preprocessing.get("range"));
    let Some(range) = range else { return Ok(Some(ValueRange::Unstated)) };
    let path = config_file(run);
    let bad = |error: toml::de::Error| TrainError::BadRun { path, why: format!("its range: {error}") };
    range.clone().try_into().map(Some).map_err(bad)
}

/// The summary of the run in this folder; `None` when it is not finished.
///
/// # Errors
/// [`TrainError::BadRun`] when it is damaged.
pub(crate) fn recorded_summary(run: &Path) -> Result<Option<Summary>, TrainError> {
    let path = run.join(SUMMARY_FILE);
    let bad = |why: String| TrainError::BadRun { path: path.clone(), why };
    match fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
    }
}
