//! The folder of one run: resolved configuration, metrics, events, checkpoints, weights.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::module::Module;
use convnext_core::{ValueRange, WeightMetadata};
use convnext_io::{CheckpointFile, UNFINISHED_SUFFIX, replace_file};
use serde::Serialize;
use toml::{Table, Value};

use crate::error::TrainError;
use crate::run::checkpoint::{Checkpoints, Progress};
use crate::run::events::{self, EVENTS_FILE};
use crate::run::run_changes::{Continue, changes};
use crate::run::summary::Summary;
use crate::training::learner::Learner;
use crate::training::measured::Measured;
use crate::training::observer::{EpochReport, StepReport};
use crate::weights::save_weights;

/// Name of the weight file of a finished run.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Name of the weight file with the moving average of a finished run.
pub const AVERAGED_WEIGHTS_FILE: &str = "weights-ema.safetensors";
/// The weights, averaged or not, that validated best of all epochs.
pub const BEST_WEIGHTS_FILE: &str = "weights-best.safetensors";

const CONFIG_FILE: &str = "config.toml";
const METRICS_FILE: &str = "metrics.jsonl";
const SUMMARY_FILE: &str = "summary.json";
const EVALUATION_FILE: &str = "evaluation.json";
const PICTURES_FOLDER: &str = "pictures";

/// An open run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: File,
    events: File,
    checkpoints: Checkpoints,
}

/// What an opened run folder holds.
#[derive(Debug)]
pub enum Opened {
    /// A run that has steps to make.
    Unfinished(RunFolder),
    /// A run that has none.
    Finished(Summary),
}

impl RunFolder {
    /// Opens the folder of a run and writes the resolved configuration into it, so that an unwritable
    /// place is found before any work is done.
    ///
    /// A run that goes on must have the configuration that it began with, but for `out` and, with
    /// [`Continue::Extended`], a greater number of epochs.
    ///
    /// # Errors
    /// [`TrainError::OutputUsed`] when a new run finds anything in the folder, [`TrainError::NoRun`] and
    /// [`TrainError::Changed`] when the folder is not that of the run, [`TrainError::InUse`] when another
    /// process works in it, [`TrainError::BadRun`] when one of its files is damaged,
    /// [`TrainError::Output`] when it cannot be written.
    pub fn open(path: &Path, config: &impl Serialize, how: Continue) -> Result<Opened, TrainError> {
        fs::create_dir_all(path).map_err(|source| output(path, source))?;
        let config_path = path.join(CONFIG_FILE);
        let config =
            Table::try_from(config).map_err(|error| output(&config_path, io::Error::other(error)))?;
        let used = fs::read_dir(path).map_err(|source| output(path, source))?.any(|_| true);
        if used && how == Continue::New {
            return Err(TrainError::OutputUsed(path.to_owned()));
        }
        if used && !is_same_run(path, &config, how)? {
            return Err(TrainError::NoRun(path.to_owned()));
        }
        remove_unfinished(path)?;
        let begun = read_config(&config_path)?.filter(|_| used && how == Continue::Extended);
        let extended = begun.is_some_and(|begun| !changes(&begun, &config, Continue::Resumed).is_empty());
        let summary_path = path.join(SUMMARY_FILE);
        if let Some(summary) = read_summary(&summary_path)? {
            if !extended {
                return Ok(Opened::Finished(summary));
            }
            fs::remove_file(&summary_path).map_err(|source| output(&summary_path, source))?;
        }
        let text = toml::to_string(&config).map_err(|error| output(&config_path, io::Error::other(error)))?;
        replace(&config_path, text.as_bytes())?;
        let checkpoints = Checkpoints::open(path)?;
        remove_unfinished(&path.join("checkpoints"))?;
        let metrics = open_to_append(&path.join(METRICS_FILE))?;
        // The system lets the lock go with the process, however that ends. Where a file system knows no
        // locks, the run goes on without.
        if let Err(TryLockError::WouldBlock) = metrics.try_lock() {
            return Err(TrainError::InUse(path.to_owned()));
        }
        Ok(Opened::Unfinished(Self {
            metrics,
            events: open_to_append(&path.join(EVENTS_FILE))?,
            checkpoints,
            path: path.to_owned(),
        }))
    }

    /// The newest checkpoint, with metrics and events cut back to it; without one they are emptied.
    pub(crate) fn newest_checkpoint(&mut self) -> Result<Option<(CheckpointFile, Progress)>, TrainError> {
        let found = self.checkpoints.newest()?;
        let (metrics, events) =
            found.as_ref().map_or((0, 0), |(_, progress)| (progress.metrics_length, progress.events_length));
        let fail = |name: &str| {
            let path = self.path.join(name);
            move |source| output(&path, source)
        };
        cut_back(&self.metrics, metrics).map_err(fail(METRICS_FILE))?;
        if cut_back(&self.events, events).map_err(fail(EVENTS_FILE))? == 0 {
            events::begin(&mut self.events).map_err(|source| output(&self.path.join(EVENTS_FILE), source))?;
        }
        Ok(found)
    }

    /// Brings metrics and events to the disk and tells their lengths, for a checkpoint.
    fn sync(&self) -> Result<(u64, u64), TrainError> {
        let length = |file: &File, name: &str| {
            let length = file.sync_data().and_then(|()| file.metadata()).map(|metadata| metadata.len());
            length.map_err(|source| output(&self.path.join(name), source))
        };
        Ok((length(&self.metrics, METRICS_FILE)?, length(&self.events, EVENTS_FILE)?))
    }

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Where the weights go at the end.
    pub fn weights(&self) -> PathBuf {
        weights_of(&self.path)
    }

    /// Writes the weights of a model under one of the names of weight files, such as [`WEIGHTS_FILE`].
    ///
    /// # Errors
    /// Those of [`save_weights`].
    pub(crate) fn record_weights<M: Module>(
        &self,
        file: &str,
        model: &M,
        metadata: &WeightMetadata,
    ) -> Result<(), TrainError> {
        save_weights(&self.path.join(file), model, metadata)
    }

    /// Writes a checkpoint of a learner, with metrics and events brought to the disk before.
    pub(crate) fn record_checkpoint<M: Module>(
        &self,
        learner: &Learner<M>,
        metadata: &WeightMetadata,
        progress: &mut Progress,
    ) -> Result<(), TrainError> {
        (progress.metrics_length, progress.events_length) = self.sync()?;
        self.checkpoints.write(learner, metadata, progress).map(drop)
    }

    /// The folder for pictures, made where it is missing.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be made.
    pub fn pictures(&self) -> Result<PathBuf, TrainError> {
        let path = self.path.join(PICTURES_FOLDER);
        fs::create_dir_all(&path).map_err(|source| output(&path, source))?;
        Ok(path)
    }

    /// Appends a step to metrics and events.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub fn record_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        self.append(report)?;
        let values = [
            ("loss", f64::from(report.loss)),
            ("learning_rate", report.learning_rate),
            ("images_per_second", report.images_per_second),
        ];
        let parts: Vec<(String, f64)> =
            report.parts.iter().map(|(name, &value)| (format!("loss/{name}"), f64::from(value))).collect();
        let parts = parts.iter().map(|(name, value)| (name.as_str(), *value));
        self.record_events(report.step, values.into_iter().chain(parts))
    }

    /// Appends an epoch to metrics and events.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub fn record_epoch(&mut self, report: &EpochReport) -> Result<(), TrainError> {
        self.append(report)?;
        let measured = report.validation.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        self.record_events(report.step, measured.chain([("train_loss", report.train_loss)]))
    }

    /// Writes what the last validation found.
    ///
    /// # Errors
    /// [`TrainError::Output`] when they cannot be written.
    pub fn record_evaluation(&self, measured: &Measured) -> Result<(), TrainError> {
        let path = self.path.join(EVALUATION_FILE);
        let mut text = serde_json::to_vec_pretty(measured).map_err(|error| output(&path, error.into()))?;
        text.push(b'\n');
        replace(&path, &text)
    }

    /// Writes that the run is finished.
    pub(crate) fn finish(&self, summary: &Summary) -> Result<(), TrainError> {
        let path = self.path.join(SUMMARY_FILE);
        let text = serde_json::to_vec_pretty(summary).map_err(|error| output(&path, error.into()))?;
        replace(&path, &text)
    }

    fn append(&mut self, entry: &impl Serialize) -> Result<(), TrainError> {
        let path = self.path.join(METRICS_FILE);
        let mut line = serde_json::to_vec(entry).map_err(|error| output(&path, error.into()))?;
        line.push(b'\n');
        self.metrics.write_all(&line).map_err(|source| output(&path, source))
    }

    fn record_events<'a>(
        &mut self,
        step: usize,
        values: impl Iterator<Item = (&'a str, f64)>,
    ) -> Result<(), TrainError> {
        let written = events::record(&mut self.events, step, values);
        written.map_err(|source| output(&self.path.join(EVENTS_FILE), source))
    }
}

/// The weight file of a run folder.
pub(crate) fn weights_of(run: &Path) -> PathBuf {
    run.join(WEIGHTS_FILE)
}

/// Whether the folder holds the run of this configuration, or no more than what a run leaves that is
/// killed at its very beginning.
fn is_same_run(path: &Path, config: &Table, how: Continue) -> Result<bool, TrainError> {
    let Some(begun) = read_config(&path.join(CONFIG_FILE))? else {
        let beginning = format!(".{CONFIG_FILE}.");
        let entries = fs::read_dir(path).map_err(|source| output(path, source))?;
        return Ok(entries
            .flatten()
            .all(|entry| entry.file_name().to_string_lossy().starts_with(&beginning)));
    };
    let changes = changes(&begun, config, how);
    if changes.is_empty() {
        return Ok(true);
    }
    Err(TrainError::Changed { path: path.to_owned(), changes: changes.join(", ") })
}

fn read_config(path: &Path) -> Result<Option<Table>, TrainError> {
    let bad = |why: String| TrainError::BadRun { path: path.to_owned(), why };
    match fs::read_to_string(path) {
        Ok(text) => toml::from_str(&text).map(Some).map_err(|error| bad(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// The batch that a run began with, if there is one.
pub(crate) fn recorded_batch(run: &Path) -> Result<Option<usize>, TrainError> {
    let config = read_config(&run.join(CONFIG_FILE))?;
    let batch = config.as_ref().and_then(|config| config.get("recipe")?.get("training")?.get("batch_size"));
    Ok(batch.and_then(Value::as_integer).and_then(|batch| usize::try_from(batch).ok()))
}

/// The range of values of the run in this folder; `None` when there is no run yet.
///
/// # Errors
/// [`TrainError::BadRun`] when its configuration is damaged.
pub(crate) fn recorded_range(run: &Path) -> Result<Option<ValueRange>, TrainError> {
    let path = run.join(CONFIG_FILE);
    let Some(config) = read_config(&path)? else { return Ok(None) };
    // Runs that know no range have none.
    let range = config.get("preprocessing").and_then(|preprocessing| preprocessing.get("range"));
    let Some(range) = range else { return Ok(Some(ValueRange::Unstated)) };
    let bad = |error: toml::de::Error| TrainError::BadRun { path, why: format!("its range: {error}") };
    range.clone().try_into().map(Some).map_err(bad)
}

fn read_summary(path: &Path) -> Result<Option<Summary>, TrainError> {
    let bad = |why: String| TrainError::BadRun { path: path.to_owned(), why };
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(error.to_string())),
    }
}

/// Removes what a killed process left half written.
fn remove_unfinished(folder: &Path) -> Result<(), TrainError> {
    let fail = |source| output(folder, source);
    for entry in fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(UNFINISHED_SUFFIX) {
            fs::remove_file(entry.path()).map_err(|source| output(&entry.path(), source))?;
        }
    }
    Ok(())
}

/// Cuts a file to a length, if it is longer; tells the new one.
fn cut_back(file: &File, length: u64) -> io::Result<u64> {
    let length = length.min(file.metadata()?.len());
    file.set_len(length)?;
    Ok(length)
}

fn open_to_append(path: &Path) -> Result<File, TrainError> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|source| output(path, source))
}

fn replace(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    replace_file(path, |mut file| file.write_all(bytes)).map_err(|source| output(path, source))
}

pub(crate) fn output(path: &Path, source: io::Error) -> TrainError {
    TrainError::Output { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn step(step: usize) -> StepReport {
        StepReport {
            step,
            total_steps: 9,
            epoch: 0,
            loss: 0.5,
            parts: BTreeMap::new(),
            learning_rate: 0.1,
            images_per_second: 2.0,
        }
    }

    fn open(path: &Path, seed: i32, how: Continue) -> Result<RunFolder, TrainError> {
        match RunFolder::open(path, &BTreeMap::from([("seed", seed)]), how)? {
            Opened::Unfinished(run) => Ok(run),
            Opened::Finished(_) => unreachable!("the run is not finished"),
        }
    }

    #[test]
    fn a_used_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = open(folder.path(), 1, Continue::New).unwrap();
        run.record_step(&step(1)).unwrap();
        let metrics = fs::read_to_string(folder.path().join(METRICS_FILE)).unwrap();
        assert!(metrics.starts_with("{\"step\":1,") && metrics.ends_with("}\n"), "{metrics}");
        let error = open(folder.path(), 1, Continue::New).unwrap_err();
        assert!(matches!(error, TrainError::OutputUsed(_)), "{error}");
        drop(run);
        let error = open(folder.path(), 2, Continue::Resumed).unwrap_err().to_string();
        assert!(error.contains("seed was 1, is 2"), "{error}");
    }

    #[test]
    fn a_folder_of_something_else_is_not_resumed() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["thesis.txt", ".draft.tmp"] {
            fs::write(folder.path().join(name), "precious").unwrap();
            let error = open(folder.path(), 1, Continue::Resumed).unwrap_err();
            assert!(matches!(error, TrainError::NoRun(_)), "{error}");
            assert!(folder.path().join(name).exists());
        }
    }

    #[test]
    fn two_processes_cannot_work_in_one_folder() {
        let folder = tempfile::tempdir().unwrap();
        let first = open(folder.path(), 1, Continue::New).unwrap();
        let error = open(folder.path(), 1, Continue::Resumed).unwrap_err();
        assert!(matches!(error, TrainError::InUse(_)), "{error}");
        drop(first);
        open(folder.path(), 1, Continue::Resumed).unwrap();
    }

    #[test]
    fn resuming_without_a_checkpoint_starts_from_the_beginning() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".config.toml.x1.tmp"), "half").unwrap();
        let mut run = open(folder.path(), 1, Continue::Resumed).unwrap();
        run.record_step(&step(1)).unwrap();
        drop(run);
        let mut run = open(folder.path(), 1, Continue::Resumed).unwrap();
        assert!(run.newest_checkpoint().unwrap().is_none());
        run.record_step(&step(1)).unwrap();
        let metrics = fs::read_to_string(folder.path().join(METRICS_FILE)).unwrap();
        assert_eq!(metrics.lines().count(), 1);
        assert!(!folder.path().join(".config.toml.x1.tmp").exists());
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("taken");
        fs::write(&file, "").unwrap();
        let error = open(&file, 1, Continue::New).unwrap_err().to_string();
        assert!(error.contains("taken"), "{error}");
    }
}
