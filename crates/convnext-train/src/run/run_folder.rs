//! The folder of one run: resolved configuration, metrics, events, checkpoints, weights.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::module::Module;
use convnext_core::WeightMetadata;
use convnext_io::{
    CHECKPOINTS_FOLDER, CONFIG_FILE, CheckpointFile, EVALUATION_FILE, SUMMARY_FILE, WEIGHTS_FILE,
};
use serde::Serialize;
use toml::Table;

use crate::error::TrainError;
use crate::run::checkpoint::{Checkpoints, Progress};
use crate::run::files::{output, remove_unfinished, replace};
use crate::run::logs::{LogLengths, Logs};
use crate::run::recorded::{check_patience, is_same_run, recorded_config, recorded_summary};
use crate::run::run_changes::{ResumeMode, changes};
use crate::run::run_record::{RUN_FILE, RunRecord};
use crate::run::summary::Summary;
use crate::training::divergence::Divergence;
use crate::training::epoch_report::EpochReport;
use crate::training::learner::Learner;
use crate::training::observer::StepReport;
use crate::training::validation_result::ValidationResult;
use crate::weights::save_weights;

const IMAGES_FOLDER: &str = "images";

/// An open run folder.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    logs: Logs,
    checkpoints: Checkpoints,
}

/// An opened run folder, with its run unfinished or finished.
#[derive(Debug)]
pub enum Opened {
    /// A run that has steps to make.
    Unfinished(RunFolder),
    /// A run that has none.
    Finished(Box<Summary>),
}

impl RunFolder {
    /// Refuses the folder of a new run that holds anything, before any work is done.
    ///
    /// # Errors
    /// [`TrainError::OutputUsed`] then.
    pub(crate) fn check_is_free(path: &Path, how: ResumeMode) -> Result<(), TrainError> {
        let is_used = || fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
        match how {
            ResumeMode::New if is_used() => Err(TrainError::OutputUsed(path.to_owned())),
            _ => Ok(()),
        }
    }

    /// Opens the folder of a run and writes the resolved configuration into it, so that an unwritable
    /// place is found before any work is done.
    ///
    /// A run that goes on must have the configuration that it began with, but for `out` and, with
    /// [`ResumeMode::Extended`], a greater number of epochs and another patience.
    ///
    /// # Errors
    /// [`TrainError::OutputUsed`] when a new run finds anything in the folder, [`TrainError::NoRun`] and
    /// [`TrainError::Changed`] when the folder is not that of the run, [`TrainError::OutOfPatience`] when a run that
    /// stopped early is extended without more patience, [`TrainError::InUse`] when another
    /// process works in it, [`TrainError::BadRun`] when one of its files is damaged,
    /// [`TrainError::Output`] when it cannot be written.
    pub fn open(path: &Path, config: &impl Serialize, how: ResumeMode) -> Result<Opened, TrainError> {
        fs::create_dir_all(path).map_err(|source| output(path, source))?;
        let config_path = path.join(CONFIG_FILE);
        let config =
            Table::try_from(config).map_err(|error| output(&config_path, io::Error::other(error)))?;
        Self::check_is_free(path, how)?;
        let used = fs::read_dir(path).map_err(|source| output(path, source))?.any(|_| true);
        if used && !is_same_run(path, &config, how)? {
            return Err(TrainError::NoRun(path.to_owned()));
        }
        let begun = recorded_config(path)?.filter(|_| used && how == ResumeMode::Extended);
        let extended = begun.is_some_and(|begun| !changes(&begun, &config, ResumeMode::Resumed).is_empty());
        let finished = recorded_summary(path)?;
        match &finished {
            Some(summary) if extended => check_patience(path, &config, summary)?,
            Some(summary) => return Ok(Opened::Finished(Box::new(summary.clone()))),
            None => {}
        }
        let text = toml::to_string(&config).map_err(|error| output(&config_path, io::Error::other(error)))?;
        // Before anything is removed or replaced: what looks half written may be what another process is writing.
        let logs = Logs::open(path)?;
        remove_unfinished(path)?;
        if finished.is_some() {
            let summary_path = path.join(SUMMARY_FILE);
            fs::remove_file(&summary_path).map_err(|source| output(&summary_path, source))?;
        }
        replace(&config_path, text.as_bytes())?;
        let checkpoints = Checkpoints::open(path)?;
        remove_unfinished(&path.join(CHECKPOINTS_FOLDER))?;
        Ok(Opened::Unfinished(Self { logs, checkpoints, path: path.to_owned() }))
    }

    /// The newest checkpoint, with metrics and events cut back to it; without one they are emptied.
    pub(crate) fn newest_checkpoint(&mut self) -> Result<Option<(CheckpointFile, Progress)>, TrainError> {
        let found = self.checkpoints.newest()?;
        let lengths = found.as_ref().map_or_else(LogLengths::default, |(_, progress)| LogLengths {
            metrics: progress.metrics_length,
            events: progress.events_length,
        });
        self.logs.cut_back(lengths)?;
        Ok(found)
    }

    pub(crate) fn checkpoints(&self) -> &Checkpoints {
        &self.checkpoints
    }

    /// Writes the facts of the run, unless they are there: a run that goes on keeps those of its beginning, but for its
    /// length. Where they cannot be read, today's stand in: they decide nothing.
    ///
    /// # Errors
    /// [`TrainError::Output`] when they cannot be written.
    pub(crate) fn record_run(&self, facts: &RunRecord) -> Result<(), TrainError> {
        let path = self.path.join(RUN_FILE);
        let begun = fs::read(&path).ok().and_then(|text| serde_json::from_slice::<RunRecord>(&text).ok());
        let facts = match begun {
            Some(begun) => RunRecord { total_steps: facts.total_steps, ..begun },
            // A run of an earlier version: when and where it began is not known.
            None if !self.checkpoints.steps()?.is_empty() => return Ok(()),
            None => facts.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&facts).map_err(|error| output(&path, error.into()))?;
        text.push(b'\n');
        replace(&path, &text)
    }

    /// Path of the final weights.
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
        let lengths = self.logs.sync()?;
        (progress.metrics_length, progress.events_length) = (lengths.metrics, lengths.events);
        self.checkpoints.write(learner, metadata, progress).map(drop)
    }

    /// The folder for images, made where it is missing.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be made.
    pub fn images(&self) -> Result<PathBuf, TrainError> {
        let path = self.path.join(IMAGES_FOLDER);
        fs::create_dir_all(&path).map_err(|source| output(&path, source))?;
        Ok(path)
    }

    /// Appends a step to metrics and events.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub fn record_step(&mut self, report: &StepReport) -> Result<(), TrainError> {
        let values = [
            ("loss", f64::from(report.loss)),
            ("learning_rate", report.learning_rate),
            ("images_per_second", report.images_per_second),
        ];
        let parts: Vec<(String, f64)> =
            report.parts.iter().map(|(name, &value)| (format!("loss/{name}"), f64::from(value))).collect();
        let parts = parts.iter().map(|(name, value)| (name.as_str(), *value));
        self.logs.append(report, report.step, values.into_iter().chain(parts))
    }

    /// Appends an epoch, as far as it came, to metrics and events.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub fn record_epoch(&mut self, report: &EpochReport) -> Result<(), TrainError> {
        let measured = report.validation.iter().filter_map(|(name, value)| Some((name.as_str(), (*value)?)));
        self.logs.append(report, report.step, measured.chain([("train_loss", report.train_loss)]))
    }

    /// Appends to the metrics that the training diverged. A run that goes on cuts it off.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub(crate) fn record_divergence(&mut self, divergence: &Divergence) -> Result<(), TrainError> {
        self.logs.append_line(divergence)
    }

    /// Writes what the last validation found.
    ///
    /// # Errors
    /// [`TrainError::Output`] when they cannot be written.
    pub fn record_evaluation(&self, measured: &ValidationResult) -> Result<(), TrainError> {
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
}

/// The weight file of a run folder.
pub(crate) fn weights_of(run: &Path) -> PathBuf {
    run.join(WEIGHTS_FILE)
}

#[cfg(test)]
mod tests;
