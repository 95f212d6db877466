//! What a run folder says.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use toml::Table;

use super::ReportError;

/// Everything that the report shows.
pub(super) struct RunData {
    pub(super) folder: PathBuf,
    pub(super) config: Table,
    /// The configuration as it stands in the file.
    pub(super) config_text: String,
    pub(super) steps: Vec<Step>,
    pub(super) epochs: Vec<Epoch>,
    /// Of a finished run only.
    pub(super) summary: Option<Summary>,
    pub(super) evaluation: Option<Evaluation>,
    /// Pictures of reconstructions, in their order.
    pub(super) reconstructions: Vec<PathBuf>,
}

/// A line of the metrics about a step.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub(super) struct Step {
    pub(super) step: f64,
    pub(super) loss: f64,
    pub(super) learning_rate: f64,
    pub(super) images_per_second: f64,
}

/// A line of the metrics about an epoch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Epoch {
    pub(super) epoch: f64,
    pub(super) step: f64,
    pub(super) train_loss: f64,
    /// What was measured, by name.
    #[serde(flatten)]
    pub(super) measured: BTreeMap<String, Value>,
}

impl Epoch {
    pub(super) fn value(&self, name: &str) -> Option<f64> {
        self.measured.get(name).and_then(Value::as_f64)
    }
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Summary {
    pub(super) steps: u64,
    pub(super) epochs: u64,
    pub(super) images: u64,
    pub(super) seconds: f64,
    pub(super) best: Option<Best>,
    pub(super) corrupt: Vec<Corrupt>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Best {
    pub(super) epoch: u64,
    pub(super) measure: String,
    pub(super) value: f64,
    pub(super) checkpoint: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Corrupt {
    pub(super) name: String,
    pub(super) why: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Evaluation {
    pub(super) images: u64,
    pub(super) top1: f64,
    pub(super) top5: f64,
    pub(super) loss: f64,
    pub(super) classes: Vec<Class>,
    pub(super) confusion: Vec<Confusion>,
    pub(super) mistakes: Vec<Mistake>,
    #[serde(default)]
    pub(super) left_out: Vec<Corrupt>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Class {
    pub(super) label: String,
    pub(super) images: u64,
    pub(super) correct: u64,
    pub(super) accuracy: f64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Confusion {
    pub(super) label: String,
    pub(super) predicted: String,
    pub(super) images: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Mistake {
    pub(super) image: String,
    pub(super) label: String,
    pub(super) predicted: String,
    pub(super) probability: f64,
    pub(super) picture: Option<String>,
}

impl RunData {
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        let config_path = folder.join("config.toml");
        let config_text = text(&config_path)?.ok_or_else(|| ReportError::NoRun(folder.to_owned()))?;
        let config =
            toml::from_str(&config_text).map_err(|error| damaged(&config_path, error.to_string()))?;
        let (steps, epochs) = metrics(&folder.join("metrics.jsonl"))?;
        Ok(Self {
            config,
            config_text,
            steps,
            epochs,
            summary: read_json(&folder.join("summary.json"))?,
            evaluation: read_json(&folder.join("evaluation.json"))?,
            reconstructions: reconstructions(&folder.join("pictures"))?,
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

    /// The bytes of a picture that a file of the run names; one outside of the run is refused.
    pub(super) fn picture(&self, name: &str) -> Result<Vec<u8>, ReportError> {
        let path = self.folder.join(name);
        if !Path::new(name).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(damaged(&path, "it is not inside of the run folder".into()));
        }
        fs::read(&path).map_err(|source| ReportError::Read { path, source })
    }
}

/// Lines of steps and of epochs. A killed run may leave the last line cut.
fn metrics(path: &Path) -> Result<(Vec<Step>, Vec<Epoch>), ReportError> {
    let (mut steps, mut epochs) = (Vec::new(), Vec::new());
    let text = text(path)?.unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (number, line) in (1..).zip(whole.lines()) {
        let fail = |error: serde_json::Error| damaged(path, format!("line {number}: {error}"));
        let value: Value = serde_json::from_str(line).map_err(fail)?;
        if value.get("train_loss").is_some() {
            epochs.push(serde_json::from_value(value).map_err(fail)?);
        } else {
            steps.push(serde_json::from_value(value).map_err(fail)?);
        }
    }
    Ok((steps, epochs))
}

fn reconstructions(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let fail = |source| ReportError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("reconstruction-") && name.ends_with(".png") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
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

fn damaged(path: &Path, why: String) -> ReportError {
    ReportError::Damaged { path: path.to_owned(), why }
}
