//! A run folder that is thrown away, to time what a run writes.

use std::env;
use std::path::PathBuf;
use std::time::Instant;

use burn::module::Module;
use convnext_io::BEST_WEIGHTS_FILE;
use tempfile::TempDir;
use toml::Table;

use crate::error::TrainError;
use crate::run::checkpoint::Progress;
use crate::run::files::output;
use crate::run::run_changes::ResumeMode;
use crate::run::run_folder::{Opened, RunFolder};
use crate::training::learner::Learner;
use crate::training::task::Task;
use crate::training::validation_result::ValidationResult;

/// A run folder in the system's temporary folder, removed when it is dropped.
pub(crate) struct ScratchRun {
    run: RunFolder,
    _folder: TempDir,
}

/// Seconds of the large files of a run; 0 where they could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct FileSeconds {
    /// A checkpoint.
    pub(crate) checkpoint: f64,
    /// A weight file.
    pub(crate) weights: f64,
}

impl ScratchRun {
    /// An empty one; `None`, with a warning, where the temporary folder cannot be written to.
    pub(crate) fn open() -> Option<Self> {
        let folder = tempfile::tempdir().map_err(|source| output(&env::temp_dir(), source));
        let opened = folder.and_then(|folder| {
            let opened = RunFolder::open(folder.path(), &Table::new(), ResumeMode::New)?;
            Ok(match opened {
                Opened::Unfinished(run) => Some(Self { run, _folder: folder }),
                Opened::Finished(_) => None,
            })
        });
        opened.unwrap_or_else(warn_that_files_do_not_count)
    }

    /// The folder for images.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be made.
    pub(crate) fn images(&self) -> Result<PathBuf, TrainError> {
        self.run.images()
    }

    /// Writes what a validation found, as a run does.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be written.
    pub(crate) fn record_evaluation(&self, measured: &ValidationResult) -> Result<(), TrainError> {
        self.run.record_evaluation(measured)
    }

    /// Writes a checkpoint and weights as a run does, and times that. What is too large for the temporary folder is worth
    /// a warning: it says nothing about the folder of the run.
    pub(crate) fn time_files<T: Task>(&self, task: &T, learner: &Learner<T::Model>) -> FileSeconds {
        self.try_files(task, learner).unwrap_or_else(warn_that_files_do_not_count)
    }

    fn try_files<T: Task>(&self, task: &T, learner: &Learner<T::Model>) -> Result<FileSeconds, TrainError> {
        let clock = Instant::now();
        learner.check_finite()?;
        let mut progress = Progress { parameter_steps: learner.parameter_steps(), ..Progress::default() };
        self.run.record_checkpoint(learner, task.metadata(), &mut progress)?;
        let checkpoint = clock.elapsed().as_secs_f64();
        self.run.record_weights(BEST_WEIGHTS_FILE, &learner.model().valid(), task.metadata())?;
        Ok(FileSeconds { checkpoint, weights: clock.elapsed().as_secs_f64() - checkpoint })
    }
}

fn warn_that_files_do_not_count<T: Default>(error: TrainError) -> T {
    log::warn!("the time of checkpoints and weights is not counted: {error}");
    T::default()
}
