//! Recorded state of the run in a folder: its configuration and, of a finished one, its summary.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use convnext_core::ValueRange;
use convnext_io::{CONFIG_FILE, SUMMARY_FILE};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::error::TrainError;
use crate::recipe::length::Length;
use crate::run::files::output;
use crate::run::old_runs::in_current_form;
use crate::run::run_changes::{ResumeMode, changes};
use crate::run::summary::Summary;

/// `true` if the folder holds the run of this configuration, or no more than what a run leaves that is killed
/// at its very beginning.
///
/// # Errors
/// [`TrainError::Changed`] when it holds another run, [`TrainError::BadRun`] when its configuration is damaged,
/// [`TrainError::Output`] when the folder cannot be read.
pub(crate) fn is_same_run(run: &Path, config: &Table, how: ResumeMode) -> Result<bool, TrainError> {
    let Some(begun) = recorded_config(run)? else {
        let beginning = format!(".{CONFIG_FILE}.");
        let entries = fs::read_dir(run).map_err(|source| output(run, source))?;
        return Ok(entries
            .flatten()
            .all(|entry| entry.file_name().to_string_lossy().starts_with(&beginning)));
    };
    let found = changes(&begun, config, how);
    if found.is_empty() {
        return Ok(true);
    }
    let advice = match changes(&begun, config, ResumeMode::Extended).is_empty() {
        true => "give --extend, by which its length may grow and its patience change",
        false => "resume it with the same ones",
    };
    Err(TrainError::Changed { path: run.to_owned(), changes: found.join(", "), advice })
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
