//! One training from data to a finished run folder, whatever is learned.

use std::path::PathBuf;

use burn::tensor::Device;
use convnext_core::{WeightMetadata, counted};
use convnext_data::{Cache, Dataset};
use serde::Serialize;

use crate::block_change::ModelBlocks;
use crate::error::TrainError;
use crate::recipe::writing::in_toml;
use crate::run::files::output;
use crate::run::meeting::meet;
use crate::run::replicas::{check_program, check_settings};
use crate::run::resolved::Resolved;
use crate::run::run_folder::{Opened, RunFolder, weights_of};
use crate::run::run_record::RunRecord;
use crate::run::run_settings::RunSettings;
use crate::run::summary::Summary;
use crate::training::job::{Job, ModelOf};
use crate::training::learner::Learner;
use crate::training::observer::Observer;
use crate::training::prepared::Prepared;
use crate::training::step_error::StepError;
use crate::training::training_loop::train;
use crate::training::training_plan::TrainingPlan;
use crate::weights::{StartParts, start_from_with};
use crate::words::duration_in_words;

/// Result of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Trained {
    /// The weight file.
    pub weights: PathBuf,
    /// Summary of the run, with the last validation.
    pub summary: Summary,
}

/// Trains and leaves a run folder with weights. Does nothing for a run that goes on and is finished.
///
/// # Errors
/// Any [`TrainError`]; settings, folders and weights are checked before the first step.
pub fn run_training<J: Job>(
    job: J,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Trained, TrainError> {
    let settings = job.settings().clone();
    let ranks = &settings.ranks.clone();
    ranks.from_first(|| RunFolder::check_is_free(&settings.out, settings.resume))?;
    let prepared = Prepared::new(job, settings, device)?;
    let announcement = prepared.announcement(device)?;
    let Prepared { job, settings, setup, preprocessing, .. } = prepared;
    let resolved = Resolved::new(&job, preprocessing.clone(), job.images()).measured_on(job.validation());
    check_program(ranks, settings.precision)?;
    check_settings(ranks, &meet(ranks, in_toml(&resolved))?)?;
    let (mut run, finished) = open_folder(&settings, &resolved)?;
    if let Some(summary) = finished {
        observer.start(&finished_in_words(&summary));
        return Ok(Trained { weights: weights_of(&settings.out), summary });
    }
    let facts = record(&job, setup.schedule.total_steps, device);
    meet(ranks, run.as_mut().map_or(Ok(()), |run| run.record_run(&facts)))?;
    let model = meet(ranks, initial_model(&job, device))?;
    observer.start(&announcement);
    let task = meet(ranks, job.task(preprocessing, device))?;
    let learner = Learner::new(model, job.training(), job.rules());
    let summary = train(&task, learner, &setup, run.as_mut(), observer)?;
    Ok(Trained { weights: weights_of(&settings.out), summary })
}

/// Opens the run folder on rank 0; the summary of a run that is finished, on all ranks.
fn open_folder(
    settings: &RunSettings,
    config: &impl Serialize,
) -> Result<(Option<RunFolder>, Option<Summary>), TrainError> {
    let ranks = &settings.ranks;
    let opened =
        ranks.is_first().then(|| RunFolder::open(&settings.out, config, settings.resume)).transpose();
    let (run, finished) = match meet(ranks, opened)? {
        Some(Opened::Unfinished(run)) => (Some(run), None),
        Some(Opened::Finished(summary)) => (None, Some(*summary)),
        None => (None, None),
    };
    // In JSON, because a summary leaves out what is not set.
    let bad = |error: serde_json::Error| output(&settings.out, error.into());
    let text = || finished.as_ref().map(serde_json::to_string).transpose().map_err(bad);
    let finished = ranks.from_first(text)?.map(|text| serde_json::from_str(&text)).transpose();
    Ok((run, meet(ranks, finished.map_err(bad))?))
}

/// Plans a training and times a few of its steps, on its own images. Leaves nothing behind, not even in the folder of a cache,
/// and does not look at the run folder.
///
/// # Errors
/// Any [`TrainError`] that [`run_training`] would meet before its first step, but for those of the run folder and of the
/// tensors of the weights.
pub fn plan_training<J: Job>(job: J, device: &Device) -> Result<TrainingPlan, TrainError> {
    let mut settings = job.settings().clone();
    if !settings.ranks.is_alone() {
        let ranks = settings.ranks.size();
        return Err(StepError::PlanOfRanks { ranks }.into());
    }
    if matches!(settings.cache, Cache::Folder(_)) {
        settings.cache = Cache::Off;
    }
    let prepared = Prepared::new(job, settings, device)?;
    Ok(TrainingPlan {
        announcement: prepared.announcement(device)?,
        length: prepared.length(),
        timing: prepared.timing(device)?,
    })
}

/// The facts of a job that begins now.
fn record<J: Job>(job: &J, total_steps: usize, device: &Device) -> RunRecord {
    let validation = job.validation().map_or(0, Dataset::len);
    RunRecord::new(job.settings(), device, [total_steps, job.images().len(), validation])
}

/// The model before its first step, from the weights to start from if there are any.
fn initial_model<J: Job>(job: &J, device: &Device) -> Result<ModelOf<J>, TrainError> {
    let model = job.model(&device.clone().autodiff())?;
    let Some(path) = &job.settings().init else { return Ok(model) };
    let head = |metadata: &WeightMetadata| match job.keeps_head(metadata) {
        true => &[][..],
        false => job.head_parts(),
    };
    let blocks = job.backbone().map(|backbone| ModelBlocks { backbone, decoder: job.decoder() });
    start_from_with(model, path, &StartParts { left_out: &head, fresh: job.fresh_parts(), blocks })
}

/// Such as `the run is finished already: 10 epochs, 310 steps in 12m 34s; to go on, give --extend and more --epochs or
/// --steps`.
fn finished_in_words(summary: &Summary) -> String {
    let Summary { steps, epochs, seconds, stopped_early, .. } = summary;
    let [epochs, steps] = [(*epochs as usize, "epoch", "epochs"), (*steps, "step", "steps")]
        .map(|(count, one, many)| counted(count, one, many));
    let (duration, more) = (duration_in_words(*seconds), "give --extend and more --epochs or --steps");
    let (stopped, more) = match stopped_early {
        Some(stop) => (format!(", {stop}"), "give --extend and more --patience, or none"),
        None => (String::new(), more),
    };
    format!("the run is finished already: {epochs}, {steps} in {duration}{stopped}; to go on, {more}")
}
