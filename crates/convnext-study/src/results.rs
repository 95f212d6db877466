//! Results of runs: a line of JSON for each run that has ended.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use convnext_io::{EVALUATION_FILE, METRICS_FILE, SUMMARY_FILE};
use convnext_train::{EpochReport, LossCourse, Summary, ValidationResult};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{StudyError, damaged, unreadable};
use crate::plan::PlannedRun;
use crate::study::ShownMetric;

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`PlannedRun::id`].
    pub run: String,
    /// Name in the study.
    pub name: String,
    /// Seed.
    pub seed: u64,
    /// Labelled images of each class; all of them if `None`.
    pub labels: Option<usize>,
    /// The command, as one types it.
    pub command: String,
    /// Seconds of training over all processes, or of the process of another command.
    pub seconds: f64,
    /// The losses of a finished training that was unstable; results of earlier versions do not say it, and
    /// [`Ending::instability`] tells it of them as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstable: Option<LossCourse>,
    /// Networks that an analysis of several did without, because their trainings diverged: names in the study.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// The folder of the run that it is a copy of, of another study.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<PathBuf>,
    /// The way in which it ended.
    #[serde(flatten)]
    pub ending: Ending,
}

/// The way in which a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Ending {
    /// It came to its end.
    Finished {
        /// Values of the study's metrics that it has, in [0, 1] for shares; several where a metric asks for a list, in which an entry
        /// may have none. Results of earlier versions do not say which entries have none.
        values: BTreeMap<String, Vec<Option<f64>>>,
        /// Reports of its epochs; empty of a run that is no training.
        epochs: Vec<EpochReport>,
    },
    /// Its loss was not finite: a result of the study.
    Diverged {
        /// The program's message.
        error: String,
    },
    /// It failed for another reason.
    Failed {
        /// The program's message.
        error: String,
    },
}

impl RunResult {
    /// Of a run that ended in this way after so many seconds.
    pub(crate) fn of(run: &PlannedRun, (ending, seconds): (Ending, f64)) -> Self {
        Self {
            run: run.id.clone(),
            name: run.name.clone(),
            seed: run.seed,
            labels: run.labels,
            command: run.command_line(),
            seconds,
            unstable: ending.instability(),
            without: Vec::new(),
            reused_from: None,
            ending,
        }
    }
}

impl Ending {
    /// `true` for a run that failed otherwise than by divergence: it is run again when the study is resumed.
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Failed { .. })
    }

    /// The losses of a finished training that was unstable ([`LossCourse::is_unstable`]).
    pub fn instability(&self) -> Option<LossCourse> {
        match self {
            Self::Finished { epochs, .. } => LossCourse::of(epochs).filter(LossCourse::is_unstable),
            Self::Diverged { .. } | Self::Failed { .. } => None,
        }
    }

    /// The mean of a metric's values, of those that there are.
    pub fn mean(&self, metric: &str) -> Option<f64> {
        let known: Vec<f64> = self.values(metric)?.iter().copied().flatten().collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    }

    /// The values of a metric; an entry of a list may have none.
    pub(crate) fn values(&self, metric: &str) -> Option<&[Option<f64>]> {
        match self {
            Self::Finished { values, .. } => values.get(metric).map(Vec::as_slice),
            Self::Diverged { .. } | Self::Failed { .. } => None,
        }
    }
}

/// Results of a finished run, with its seconds: from its run folder, or, of a command that is no training, from what it
/// printed. `seconds` are those of the process.
///
/// # Errors
/// [`StudyError::Read`] and [`StudyError::Damaged`] with the file.
pub(crate) fn measured(
    run: &PlannedRun,
    metrics: &[ShownMetric],
    printed: Option<&Value>,
    seconds: f64,
) -> Result<(Ending, f64), StudyError> {
    if !run.stage.is_training() {
        let metrics = metrics_of(run, metrics);
        let values = values(&metrics, &[], printed.unwrap_or(&Value::Null));
        return Ok((Ending::Finished { values, epochs: Vec::new() }, seconds));
    }
    let evaluation = read_json::<Value>(&run.folder.join(EVALUATION_FILE))?.unwrap_or(Value::Null);
    let measured = serde_json::from_value::<ValidationResult>(evaluation.clone()).unwrap_or_default();
    let named: Vec<(String, f64)> =
        measured.metrics.iter().filter_map(|metric| Some((metric.name.clone(), metric.value?))).collect();
    let epochs = epochs(&run.folder.join(METRICS_FILE))?;
    let summary: Option<Summary> = read_json(&run.folder.join(SUMMARY_FILE))?;
    let seconds = summary.map_or(seconds, |summary| summary.seconds);
    Ok((Ending::Finished { values: values(metrics, &named, &evaluation), epochs }, seconds))
}

/// The metrics of a command that is no training: of an analysis of several networks, those of each.
fn metrics_of(run: &PlannedRun, metrics: &[ShownMetric]) -> Vec<ShownMetric> {
    match run.needs.len() {
        0 | 1 => metrics.to_vec(),
        networks => {
            let of_network = |place| metrics.iter().map(move |metric| metric.of_network(place));
            (0..networks).flat_map(of_network).collect()
        }
    }
}

/// The values of metrics among those of a name, or at their paths in a file.
fn values(
    metrics: &[ShownMetric],
    named: &[(String, f64)],
    file: &Value,
) -> BTreeMap<String, Vec<Option<f64>>> {
    let of = |metric: &ShownMetric| match metric.name.strip_prefix('/') {
        Some(path) => numbers_at(file, path),
        None => {
            named.iter().filter(|(name, _)| *name == metric.name).map(|(_, value)| Some(*value)).collect()
        }
    };
    let found = metrics.iter().map(|metric| (metric.name.clone(), of(metric)));
    found.filter(|(_, values)| !values.is_empty()).collect()
}

/// The numbers at a path of keys and places, in which `*` is every entry of a list, and `part=output` those whose key
/// `part` is `output`; a `null` keeps its place among them.
fn numbers_at(value: &Value, path: &str) -> Vec<Option<f64>> {
    let (key, rest) = match path.split_once('/') {
        Some((key, rest)) => (key, Some(rest)),
        None => (path, None),
    };
    let entries: Vec<&Value> = match value {
        Value::Array(list) => {
            list.iter().enumerate().filter(|entry| is_meant(key, *entry)).map(|(_, entry)| entry).collect()
        }
        _ => value.get(key).into_iter().collect(),
    };
    let numbers = |entry: &&Value| match rest {
        Some(rest) => numbers_at(entry, rest),
        None if entry.is_null() => vec![None],
        None => entry.as_f64().map(Some).into_iter().collect(),
    };
    entries.iter().flat_map(numbers).collect()
}

/// `true` for an entry of a list that a part of a path asks for.
fn is_meant(key: &str, (place, entry): (usize, &Value)) -> bool {
    match key.split_once('=') {
        Some((name, value)) => entry.get(name).and_then(Value::as_str) == Some(value),
        None => key == "*" || key.parse() == Ok(place),
    }
}

/// The reports of epochs among the lines of a run's metrics.
fn epochs(path: &Path) -> Result<Vec<EpochReport>, StudyError> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text(path)?.unwrap_or_default().lines()) {
        if line.contains("\"train_loss\"") {
            let report = serde_json::from_str(line)
                .map_err(|error| damaged(path, format!("line {number}: {error}")))?;
            found.push(report);
        }
    }
    Ok(found)
}

/// A JSON file; `None` when it does not exist.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StudyError> {
    let Some(text) = text(path)? else { return Ok(None) };
    serde_json::from_str(&text).map(Some).map_err(|error| damaged(path, error.to_string()))
}

/// The text of a file; `None` when it does not exist.
pub(crate) fn text(path: &Path) -> Result<Option<String>, StudyError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(unreadable(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_read_as_it_was_written() {
        let report = r#"{"epoch":1,"step":8,"epochs":2.0,"train_loss":0.1,"validation_top1":0.75}"#;
        let risen = r#"{"epoch":2,"step":12,"epochs":3.0,"train_loss":0.7}"#;
        for ending in [
            Ending::Finished {
                values: BTreeMap::from([("top1".to_owned(), vec![Some(0.1 + 0.2), None])]),
                epochs: Vec::from([report, risen].map(|report| serde_json::from_str(report).unwrap())),
            },
            Ending::Diverged { error: "training has diverged".into() },
            Ending::Failed { error: "no space".into() },
        ] {
            let result = RunResult {
                run: "a-seed0".into(),
                name: "a".into(),
                seed: 0,
                labels: Some(10),
                command: "convnext pretrain".into(),
                seconds: 0.3,
                unstable: ending.instability(),
                without: vec!["b".into()],
                reused_from: Some("a/runs/b".into()),
                ending,
            };
            let line = serde_json::to_string(&result).unwrap();
            assert_eq!(serde_json::from_str::<RunResult>(&line).unwrap(), result, "{line}");
        }
    }

    #[test]
    fn numbers_are_found_at_their_paths() {
        let file = serde_json::json!({ "speed": 2.5, "peak": null, "layers": [
            { "d": null, "part": "in" }, { "d": 0.5, "part": "in" }, { "d": 0.25, "part": "out" }, { "e": 1.0 },
        ] });
        for (path, expected) in [
            ("speed", vec![Some(2.5)]),
            ("peak", vec![None]),
            // What has no value keeps its place among the others.
            ("layers/*/d", vec![None, Some(0.5), Some(0.25)]),
            ("layers/2/d", vec![Some(0.25)]),
            ("layers/part=out/d", vec![Some(0.25)]),
            ("layers/part=none/d", vec![]),
            ("layers/7/d", vec![]),
            ("layers", vec![]),
            ("none/d", vec![]),
        ] {
            assert_eq!(numbers_at(&file, path), expected, "{path}");
        }
    }
}
