//! Contents of a run folder, as the report needs them.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use convnext_io::{CONFIG_FILE, EVALUATION_FILE, METRICS_FILE, SUMMARY_FILE};
use convnext_train::{
    Direction, Divergence, EpochReport, Metric, RUN_FILE, RunRecord, StepReport, Summary, ValidationResult,
    in_current_form,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Table;

use super::error::ReportError;

/// Everything that the report shows.
#[derive(Debug)]
pub(super) struct RunData {
    pub(super) folder: PathBuf,
    /// The configuration in the form of this version.
    pub(super) config: Table,
    /// The configuration as it stands in the file.
    pub(super) config_text: String,
    pub(super) steps: Vec<StepReport>,
    pub(super) epochs: Vec<EpochReport>,
    /// Of a run that ended so.
    pub(super) divergence: Option<Divergence>,
    /// Of a finished run only.
    pub(super) summary: Option<Summary>,
    /// Facts that are no settings; earlier versions did not record them.
    pub(super) record: Option<RunRecord>,
    /// Result of the last validation.
    pub(super) evaluation: Option<ValidationResult>,
}

impl RunData {
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        let config_path = folder.join(CONFIG_FILE);
        let config_text = text(&config_path)?.ok_or_else(|| ReportError::NoRun(folder.to_owned()))?;
        let config =
            toml::from_str(&config_text).map_err(|error| damaged(&config_path, error.to_string()))?;
        let Lines { steps, epochs, divergence } = metrics(&folder.join(METRICS_FILE))?;
        Ok(Self {
            config: in_current_form(config),
            config_text,
            steps,
            epochs,
            divergence,
            summary: read_json(&folder.join(SUMMARY_FILE))?,
            record: read_json(&folder.join(RUN_FILE))?,
            evaluation: read_json(&folder.join(EVALUATION_FILE))?,
            folder: folder.to_owned(),
        })
    }

    /// The text at a dotted key of the configuration.
    pub(super) fn setting(&self, key: &str) -> Option<String> {
        let mut keys = key.split('.');
        let first = self.config.get(keys.next()?)?;
        match keys.try_fold(first, |value, key| value.get(key))? {
            toml::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The number at a dotted key of the configuration.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.setting(key)?.parse().ok()
    }

    /// The share of an epoch that a step is; `None` before the first epoch was reported.
    pub(super) fn epochs_per_step(&self) -> Option<f64> {
        let last = self.epochs.iter().rev().find(|epoch| epoch.step > 0)?;
        Some(last.epochs / last.step as f64)
    }

    /// The metrics that were measured. Where no evaluation says more about them, their names must do: the direction is
    /// then a guess, which a plot does not show.
    pub(super) fn metrics(&self) -> Vec<Metric> {
        if let Some(measured) = &self.evaluation {
            return measured.metrics.clone();
        }
        let mut names: Vec<&str> = self.epochs.iter().flat_map(EpochReport::measured_names).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| Metric::new(name, None, Direction::LowerIsBetter)).collect()
    }

    /// The bytes of an image that a file of the run names; one outside of the run is refused.
    pub(super) fn image(&self, name: &str) -> Result<Vec<u8>, ReportError> {
        let path = self.folder.join(name);
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(damaged(&path, "it is not inside of the run folder".into()));
        }
        fs::read(&path).map_err(|source| ReportError::Read { path, source })
    }

    /// The bytes of the images called `NAME-01.png` and so on, in their order.
    pub(super) fn numbered_images(&self, name: &str) -> Result<Vec<Vec<u8>>, ReportError> {
        // Runs of before 0.1 called their folder `pictures`; one that went on has newer ones in `images`.
        let mut paths = found(&self.folder.join("images"), name)?;
        if paths.is_empty() {
            paths = found(&self.folder.join("pictures"), name)?;
        }
        let mut images = Vec::new();
        for path in paths {
            images.push(fs::read(&path).map_err(|source| ReportError::Read { path, source })?);
        }
        Ok(images)
    }
}

/// The numbered images of a name in a folder, in their order.
fn found(folder: &Path, name: &str) -> Result<Vec<PathBuf>, ReportError> {
    let fail = |source| ReportError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if file.starts_with(&format!("{name}-")) && file.ends_with(".png") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The lines of a run's metrics, by what they are of.
#[derive(Default)]
struct Lines {
    steps: Vec<StepReport>,
    epochs: Vec<EpochReport>,
    divergence: Option<Divergence>,
}

/// Reads the lines of metrics. A killed run may leave the last line cut.
fn metrics(path: &Path) -> Result<Lines, ReportError> {
    let mut lines = Lines::default();
    let text = text(path)?.unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (number, line) in (1..).zip(whole.lines()) {
        let fail = |error: serde_json::Error| damaged(path, format!("line {number}: {error}"));
        let value: Value = serde_json::from_str(line).map_err(fail)?;
        if value.get("train_loss").is_some() {
            lines.epochs.push(serde_json::from_value(value).map_err(fail)?);
        } else if value.get("diverged").is_some() {
            lines.divergence = Some(serde_json::from_value(value).map_err(fail)?);
        } else {
            lines.steps.push(serde_json::from_value(value).map_err(fail)?);
        }
    }
    Ok(lines)
}

/// A JSON file; `None` when it does not exist.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ReportError> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| damaged(path, error.to_string()))
}

/// The text of a file; `None` when it does not exist.
fn text(path: &Path) -> Result<Option<String>, ReportError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ReportError::Read { path: path.to_owned(), source }),
    }
}

/// The error of a file that does not say what it should.
pub(super) fn damaged(path: &Path, why: String) -> ReportError {
    ReportError::Damaged { path: path.to_owned(), why }
}
