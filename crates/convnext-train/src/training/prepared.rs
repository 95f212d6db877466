//! A job before its first step: batch, length, images and preprocessing as they will really be.

use burn::tensor::Device;
use convnext_core::Preprocessing;
use convnext_data::{BackgroundCheck, Dataset};

use crate::block_change::{BlockChanges, ModelBlocks};
use crate::error::TrainError;
use crate::recipe::length::Length;
use crate::recipe::training::TrainingRecipe;
use crate::run::meeting::meet;
use crate::run::recorded::RunBeginning;
use crate::run::run_settings::{RunSettings, said};
use crate::run::train_setup::TrainSetup;
use crate::training::block_checks::{blocks_in_words, check_blocks, warn_of_activations};
use crate::training::job::{Job, SourceOf};
use crate::training::run_length::RunLength;
use crate::training::step_timing::StepTiming;
use crate::weights::read_metadata;
use crate::words::duration_in_words;

/// A job whose settings are resolved. Nothing is written yet.
pub(crate) struct Prepared<J: Job> {
    /// The job with the batch and the length that it will have.
    pub(crate) job: J,
    pub(crate) settings: RunSettings,
    pub(crate) setup: TrainSetup<SourceOf<J>>,
    pub(crate) preprocessing: Preprocessing,
    /// The times of its steps, where a budget needed them.
    timing: Option<StepTiming>,
    /// What was found out on the way.
    remarks: Vec<String>,
}

impl<J: Job> Prepared<J> {
    /// Resolves batch, length and preprocessing under settings that differ from the job's in nothing that is recorded,
    /// and checks memory and headers of the images.
    ///
    /// # Errors
    /// Any [`TrainError`] about settings, weights, images and the folder of a resumed run.
    pub(crate) fn new(job: J, settings: RunSettings, device: &Device) -> Result<Self, TrainError> {
        let ranks = settings.ranks.clone();
        let checked = job
            .check()
            .and_then(|()| settings.check_ranks(job.training().accumulate))
            .and_then(|()| check_model(&job, device));
        let block_remarks = meet(&ranks, checked)?;
        // What rank 0 alone knows: the run folder, and the memory that counts.
        let begun = ranks.from_first(|| settings.begun_with())?;
        let batch = ranks.from_first(|| {
            let of_batch = |batch| with_batch(&job, batch).memory();
            settings.find_batch(device, job.images().len(), begun.as_ref(), of_batch)
        })?;
        meet(&ranks, Self::on_this_rank(job, settings, (begun, batch), block_remarks, device))
    }

    /// The rest of [`Self::new`], which every rank does on its own.
    fn on_this_rank(
        mut job: J,
        settings: RunSettings,
        (begun, batch): (Option<RunBeginning>, Option<usize>),
        block_remarks: Vec<String>,
        device: &Device,
    ) -> Result<Self, TrainError> {
        if let Some(batch) = batch {
            job = with_batch(&job, batch);
            // A task may refuse as few as there is room for.
            job.check()?;
        }
        let (image_size, channels) = job.input();
        let (found, why) = settings.preprocessing(image_size, channels, job.images(), begun.as_ref())?;
        let preprocessing = job.preprocessing(found);
        settings.compare_with_repeated(job.images())?;
        let mut prepared = Self::with_length(job.clone(), settings, preprocessing)?;
        prepared.job.memory()?.check(prepared.settings.free_memory(device))?;
        prepared.remarks = said(why);
        prepared.remarks.extend(block_remarks);
        // Before steps are timed, which would end at the first file that cannot be read.
        let headers = prepared.check_headers()?;
        prepared = prepared.within_budget(job, begun.and_then(|begun| begun.length), device)?;
        prepared.setup.headers = headers;
        prepared.warn_without_validation();
        Ok(prepared)
    }

    /// The job with the length of the settings, or its recipe's.
    fn with_length(
        mut job: J,
        settings: RunSettings,
        preprocessing: Preprocessing,
    ) -> Result<Self, TrainError> {
        let source = job.source(&preprocessing)?;
        let setup = TrainSetup::prepare(source, job.training_mut(), &settings)?;
        Ok(Self { job, settings, setup, preprocessing, timing: None, remarks: Vec::new() })
    }

    /// Looks at the headers of all images; one rank is enough, because all have the same.
    fn check_headers(&self) -> Result<Option<BackgroundCheck>, TrainError> {
        if !self.settings.ranks.is_first() {
            return Ok(None);
        }
        let validation = self.job.validation().map(|images| ("validation", images));
        let parts: Vec<(&str, &Dataset)> =
            [("training", self.job.images())].into_iter().chain(validation).collect();
        self.settings.check_headers(&parts, self.job.input().1)
    }

    /// Gives the job, as it was before it got a length, the one that fits into the budget, if there is one. A resumed
    /// run has the length that it began with.
    fn within_budget(self, job: J, recorded: Option<Length>, device: &Device) -> Result<Self, TrainError> {
        let Some(budget) = self.settings.budget else { return Ok(self) };
        let timing = recorded.is_none().then(|| self.measure(device)).transpose()?;
        let length = match (recorded, timing) {
            (Some(length), _) => length,
            (None, Some(timing)) => Length::Steps(timing.steps_within(budget)?),
            (None, None) => return Ok(self),
        };
        let Self { settings, preprocessing, mut remarks, .. } = self;
        let settings = RunSettings { length: Some(length), ..settings };
        let prepared = Self::with_length(job, settings, preprocessing)?;
        let steps = prepared.setup.schedule.total_steps;
        let found = match timing {
            Some(timing) => {
                format!("{}, about {}", timing.of_steps(steps), duration_in_words(timing.seconds_of(steps)))
            }
            None => format!("{steps} steps, as the run began"),
        };
        remarks.push(format!("--budget {}: {found}", duration_in_words(budget.as_secs_f64())));
        Ok(Self { timing, remarks, ..prepared })
    }

    /// Times a few steps.
    fn measure(&self, device: &Device) -> Result<StepTiming, TrainError> {
        StepTiming::measure(&self.job, &self.setup, &self.preprocessing, device)
    }

    /// The times of its steps, measured unless they were.
    pub(crate) fn timing(&self, device: &Device) -> Result<StepTiming, TrainError> {
        self.timing.map_or_else(|| self.measure(device), Ok)
    }

    fn warn_without_validation(&self) {
        if !self.job.validation().is_some_and(Dataset::is_empty) {
            return;
        }
        let patience = self.settings.patience.map_or("", |_| ", and --patience has no effect");
        log::warn!(
            "no validation images: nothing is measured, no weights are the best{patience}; give the data a part for \
             validation, or classes of several images"
        );
    }

    /// The length in every unit.
    pub(crate) fn length(&self) -> RunLength {
        let TrainingRecipe { batch_size, accumulate, .. } = *self.job.training();
        let (steps, steps_per_epoch) = (self.setup.schedule.total_steps, self.setup.steps_per_epoch());
        RunLength { steps, steps_per_epoch, batch_size, accumulate }
    }

    /// Lines about what will be done, and why.
    ///
    /// # Errors
    /// [`TrainError::Config`] when the model cannot be.
    pub(crate) fn announcement(&self, device: &Device) -> Result<String, TrainError> {
        let first = self.job.announcement(&self.length().to_string());
        let facts = [
            self.setup.schedule.to_string(),
            self.job.memory()?.beside_available(self.settings.free_memory(device)),
        ];
        let lines = [&facts[..], self.job.reasons(), &self.remarks].map(in_lines);
        Ok(format!("{first}{}", lines.concat()))
    }
}

/// Checks the blocks of the model against settings and weights; what is special about them.
fn check_model<J: Job>(job: &J, device: &Device) -> Result<Vec<String>, TrainError> {
    let Some(backbone) = job.backbone() else { return Ok(Vec::new()) };
    let settings = job.settings();
    let weights = settings.init.as_deref().map(read_metadata).transpose()?;
    let blocks = ModelBlocks { backbone, decoder: job.decoder() };
    let changes = weights.and_then(|weights| BlockChanges::new(&weights, blocks));
    let is_frozen = job.freezes_encoder();
    check_blocks(backbone, settings.activations, is_frozen, changes)?;
    warn_of_activations(settings.activations, device);
    Ok(blocks_in_words(backbone, is_frozen, changes, device))
}

/// The job with another batch size.
fn with_batch<J: Job>(job: &J, batch_size: usize) -> J {
    let mut job = job.clone();
    job.training_mut().batch_size = batch_size;
    job
}

/// Reasons as they are shown below what a run is going to do.
fn in_lines(reasons: &[String]) -> String {
    reasons.iter().map(|reason| format!("\n  {reason}")).collect()
}
