//! Checkpoints: everything that a training needs to go on as if it had never stopped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn::module::Module;
use convnext_core::WeightMetadata;
use convnext_data::CorruptFile;
use convnext_io::{CHECKPOINTS_FOLDER, CheckpointFile, IoError, read_checkpoint, write_checkpoint};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::run::files::output;
use crate::training::learner::Learner;
use crate::training::stability::LossCourse;

/// Checkpoints that are kept besides the best one.
const KEPT: usize = 2;

/// Progress of a training. Random choices follow from seed, epoch and sample, so they need no state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Steps made.
    pub(crate) step: usize,
    /// The epoch, from 0.
    pub(crate) epoch: u64,
    /// Steps made in this epoch.
    pub(crate) epoch_steps: usize,
    /// Sum of the losses of these steps.
    pub(crate) epoch_loss: f64,
    /// Learning rate of the last step: a run that was extended has another schedule since. Checkpoints of earlier versions
    /// do not say it.
    #[serde(default)]
    pub(crate) learning_rate: Option<f64>,
    /// Images trained on since the last validation.
    pub(crate) unmeasured_images: usize,
    /// Steps of the whole run, as it was meant when this was written: after the last of them it was measured, and stays
    /// so when it is extended. Checkpoints of earlier versions do not say it.
    #[serde(default)]
    pub(crate) total_steps: usize,
    /// Seconds of training, over all processes.
    pub(crate) seconds: f64,
    /// The same at the beginning of the epoch; checkpoints of earlier versions do not say it.
    #[serde(default)]
    pub(crate) seconds_before_epoch: Option<f64>,
    /// The best weights so far.
    pub(crate) best: Option<Best>,
    /// Their value as it is shown; checkpoints of earlier versions do not say it.
    #[serde(default)]
    pub(crate) best_in_words: String,
    /// Comparisons by the monitored metric since then.
    #[serde(default)]
    pub(crate) since_best: usize,
    /// Losses of the epochs so far; checkpoints of earlier versions do not say it, so that only those after them count.
    #[serde(default)]
    pub(crate) losses: Option<LossCourse>,
    /// Files that could not be read.
    pub(crate) corrupt: Vec<CorruptFile>,
    /// Steps that the optimiser has made with each parameter.
    pub(crate) parameter_steps: BTreeMap<String, usize>,
    /// Bytes of the metrics at this moment.
    pub(crate) metrics_length: u64,
    /// Bytes of the TensorBoard events at this moment.
    pub(crate) events_length: u64,
}

/// The best weights of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Their epoch, from 0.
    pub epoch: u64,
    /// The last step that made them, from 1.
    pub step: usize,
    /// Name of the compared measure, such as `validation_top1`.
    pub measure: String,
    /// Its value.
    pub value: f64,
    /// The checkpoint in the run folder; it can be used as a weight file.
    pub checkpoint: String,
}

/// The checkpoints of a run.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Makes the folder where it is missing.
    pub(crate) fn open(run: &Path) -> Result<Self, TrainError> {
        let folder = run.join(CHECKPOINTS_FOLDER);
        fs::create_dir_all(&folder).map_err(|source| output(&folder, source))?;
        Ok(Self { folder })
    }

    /// The name of a checkpoint in the run folder.
    pub(crate) fn name(step: usize) -> String {
        format!("{CHECKPOINTS_FOLDER}/{}", file_name(step))
    }

    pub(crate) fn path(&self, step: usize) -> PathBuf {
        self.folder.join(file_name(step))
    }

    /// Writes a checkpoint and removes those that are no longer needed.
    pub(crate) fn write<M: Module>(
        &self,
        learner: &Learner<M>,
        metadata: &WeightMetadata,
        progress: &Progress,
    ) -> Result<PathBuf, TrainError> {
        let path = self.path(progress.step);
        let text = serde_json::to_string(progress).map_err(|error| output(&path, error.into()))?;
        write_checkpoint(&path, &learner.arrays(), metadata, &text)?;
        self.prune(progress.best.as_ref())?;
        Ok(path)
    }

    /// Removes all but the last ones and the best one.
    fn prune(&self, best: Option<&Best>) -> Result<(), TrainError> {
        let steps = self.steps()?;
        for &step in steps.iter().rev().skip(KEPT).filter(|&&step| best.is_none_or(|best| best.step != step))
        {
            let path = self.path(step);
            fs::remove_file(&path).map_err(|source| output(&path, source))?;
        }
        Ok(())
    }

    /// Reads the newest checkpoint; `None` when there is none. A damaged one is passed over for the one
    /// before it.
    pub(crate) fn newest(&self) -> Result<Option<(CheckpointFile, Progress)>, TrainError> {
        let mut damaged = None;
        for step in self.steps()?.into_iter().rev() {
            let path = self.path(step);
            match read(&path) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => {
                    log::warn!("passing over a damaged checkpoint: {error}");
                    damaged.get_or_insert(error);
                }
            }
        }
        damaged.map_or(Ok(None), Err)
    }

    /// Location of the last checkpoint, for an error message.
    pub(crate) fn last_in_words(&self) -> String {
        match self.steps().ok().and_then(|steps| steps.last().copied()) {
            Some(step) => format!("the last good checkpoint is {}", self.path(step).display()),
            None => "there is no checkpoint yet".to_owned(),
        }
    }

    /// Steps of the checkpoints, rising.
    pub(crate) fn steps(&self) -> Result<Vec<usize>, TrainError> {
        let fail = |source| output(&self.folder, source);
        let mut steps = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            steps.extend(step_of(&entry.map_err(fail)?.file_name().to_string_lossy()));
        }
        steps.sort_unstable();
        Ok(steps)
    }
}

fn read(path: &Path) -> Result<(CheckpointFile, Progress), TrainError> {
    let file = read_checkpoint(path)?;
    let progress: Progress = serde_json::from_str(&file.progress)
        .map_err(|source| IoError::BadMetadata { path: path.to_owned(), source })?;
    if progress.epoch_steps > progress.step {
        let why = format!("{} steps of an epoch, but only {} in all", progress.epoch_steps, progress.step);
        return Err(TrainError::BadRun { path: path.to_owned(), why });
    }
    Ok((file, progress))
}

fn file_name(step: usize) -> String {
    format!("step-{step:08}.safetensors")
}

/// The step of a checkpoint's file name; `None` for other files.
fn step_of(name: &str) -> Option<usize> {
    name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_and_the_best_stay() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::open(folder.path()).unwrap();
        for step in [3, 100_000_000, 20, 7, 15] {
            fs::write(checkpoints.path(step), "").unwrap();
        }
        fs::write(checkpoints.folder.join("notes.txt"), "mine").unwrap();
        let (measure, checkpoint) = ("validation_top1".to_owned(), Checkpoints::name(7));
        let best = Best { epoch: 0, step: 7, measure, value: 0.5, checkpoint };
        checkpoints.prune(Some(&best)).unwrap();
        assert_eq!(checkpoints.steps().unwrap(), [7, 20, 100_000_000]);
        assert!(folder.path().join(best.checkpoint).is_file());
        assert!(checkpoints.folder.join("notes.txt").is_file());
    }
}
