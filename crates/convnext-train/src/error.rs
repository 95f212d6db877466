//! The errors of a training job.

use std::path::PathBuf;

use convnext_core::{ConfigError, did_you_mean};
use convnext_data::DataError;
use convnext_distributed::RankFailure;
use convnext_io::IoError;
use convnext_nn::ModelError;
use thiserror::Error;

use crate::training::interruption::Interruption;
use crate::training::step_error::StepError;

/// Why a job cannot start or go on, and what to do about it.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The images cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model does not take these settings or images.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A weight file cannot be read or written.
    #[error(transparent)]
    Io(#[from] IoError),
    /// The tensors of a weight file do not fit the model.
    #[error("{path}: {source}")]
    Weights {
        /// The weight file.
        path: PathBuf,
        /// Tensors that do not fit, and the mismatch of each.
        source: IoError,
    },
    /// The weight file holds another kind of model than is needed.
    #[error("{path} holds {found}, but {needed} is needed; {advice}")]
    WrongKind {
        /// The weight file.
        path: PathBuf,
        /// Kind of model that the file holds.
        found: String,
        /// Kind of model that the command needs.
        needed: &'static str,
        /// Suggested remedy.
        advice: &'static str,
    },
    /// The weight file holds another model than was asked for.
    #[error(
        "{path} holds the backbone '{found}', but '{asked}' was asked for; leave --model, --depths, --widths and --stem-stride out to \
         take what the file holds, or choose other weights"
    )]
    OtherModel {
        /// The weight file.
        path: PathBuf,
        /// The backbone of the file.
        found: String,
        /// The backbone asked for.
        asked: String,
    },
    /// LayerScale was asked to start at a value, but starts at what the weights learned.
    #[error(
        "{path} has LayerScale, whose factors go on from what was learned, but --layer-scale {asked} asks them to start at a \
         value; give --layer-scale on to go on with them or off to drop them, or leave it out"
    )]
    LayerScale {
        /// The weight file.
        path: PathBuf,
        /// The initial value asked for.
        asked: f64,
    },
    /// The weight file takes images of another number of channels, and cannot be adapted.
    #[error(
        "{path} takes images of {found} channel(s), but {asked} were asked for, and only weights for 3 can be adapted; \
         leave --channels out to take what the file holds, or choose other weights"
    )]
    Channels {
        /// The weight file.
        path: PathBuf,
        /// Channels of the file.
        found: usize,
        /// Channels asked for.
        asked: usize,
    },
    /// A batch norm in the place of GRN would see a single value of each channel in a batch.
    #[error(
        "batch norm in the place of GRN goes by the variance over a batch, but a batch has a single value of each channel of the \
         last stage; use a larger --batch-size or --image-size, or another --response-norm"
    )]
    BatchNorm,
    /// Activations to save were chosen for blocks that have no choice.
    #[error("--activations has no effect here: {blocks} save {saved}; leave it out")]
    FixedActivations {
        /// The blocks, in words.
        blocks: String,
        /// What such blocks save, in words.
        saved: &'static str,
    },
    /// Activations to save were chosen for blocks that are frozen.
    #[error("--activations has no effect here: with --freeze encoder the blocks save nothing; leave it out")]
    FrozenActivations,
    /// Something starts fresh in blocks that are frozen.
    #[error(
        "--freeze encoder lets the blocks learn nothing, but {additions}, and would stay as it starts; leave --freeze encoder out, \
         or --response-norm and --layer-scale"
    )]
    FrozenBlocks {
        /// What starts fresh, in sentences.
        additions: String,
    },
    /// The output folder already holds something.
    #[error(
        "output folder {0} is not empty; choose a new one with --out, go on with the run in it with --resume, or delete it"
    )]
    OutputUsed(PathBuf),
    /// The folder to resume is no run folder.
    #[error(
        "output folder {0} holds files but no config.toml, so it is no run that could be resumed; choose another --out"
    )]
    NoRun(PathBuf),
    /// The run to repeat has no configuration.
    #[error("there is no run in {0}: name a run folder or its config.toml")]
    NoConfig(PathBuf),
    /// Another process works in the output folder.
    #[error("another process is training in {0}; wait for it or stop it, or choose another --out")]
    InUse(PathBuf),
    /// A run was resumed with other settings.
    #[error(
        "the run in {path} was started with other settings: {changes}; {advice}, or choose another --out"
    )]
    Changed {
        /// The run folder.
        path: PathBuf,
        /// Changed settings by key, each with its old and its new value.
        changes: String,
        /// Suggested remedy.
        advice: &'static str,
    },
    /// A run was extended that would stop early at once.
    #[error(
        "the run in {path} {found}, so that with a patience of {patience} no step would be made; to go on, give --patience \
         more than {since_best}, or leave it out"
    )]
    OutOfPatience {
        /// The run folder.
        path: PathBuf,
        /// How it ended.
        found: String,
        /// Patience that was asked for.
        patience: usize,
        /// Comparisons since the best weights.
        since_best: usize,
    },
    /// A file of a run folder does not say what it should.
    #[error("{path} is damaged: {why}; restore it, or start anew in another --out")]
    BadRun {
        /// The file.
        path: PathBuf,
        /// Description of the fault.
        why: String,
    },
    /// A rank of the job failed.
    #[error(transparent)]
    Rank(#[from] RankFailure),
    /// The batches of a step cannot be made or shared.
    #[error(transparent)]
    Step(#[from] StepError),
    /// Whoever watches the job asked it to stop.
    #[error("stopped after step {step}; go on with the same command and --resume (checkpoint {checkpoint})")]
    Interrupted {
        /// The last step, counted from 1.
        step: usize,
        /// Checkpoint that the training can be resumed from.
        checkpoint: PathBuf,
        /// What was asked for.
        interruption: Interruption,
    },
    /// The job needs more memory than there is.
    #[error(
        "this training needs about {needed}, but {available} of memory are available; use a smaller --batch-size (with \
         --accumulate for the same step), a smaller --image-size or a smaller --model"
    )]
    Memory {
        /// Estimated memory that is needed, in words.
        needed: String,
        /// Available memory, in words.
        available: String,
    },
    /// The largest batch was asked for where nobody knows how much memory is free.
    #[error(
        "--batch-size auto needs to know how much memory is free, which only the CPU tells; name a number instead"
    )]
    UnknownMemory,
    /// A file of the output folder cannot be written.
    #[error("cannot write {path}: {source}; check that the folder exists, is writable and has space")]
    Output {
        /// The file or folder.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The loss, a weight or a result is not a number any more.
    #[error(
        "{} at step {step}: {what} is not finite; use a smaller --lr, or look for broken values in the data; {checkpoint}",
        Self::DIVERGED
    )]
    Diverged {
        /// The last step, counted from 1.
        step: usize,
        /// Loss, weight or result that is not finite.
        what: String,
        /// The last good checkpoint, in words.
        checkpoint: String,
    },
    /// The classes of a data set are not those of a classifier.
    #[error(
        "the data has class '{class}', which the classifier does not know{}; it knows: {known}",
        did_you_mean(class, known.split(", "))
    )]
    UnknownClass {
        /// The class of the data.
        class: String,
        /// The classes of the weights.
        known: String,
    },
    /// A result or a weight is not a number.
    #[error("{what} is not finite: the weights are damaged, or their training diverged")]
    NotFinite {
        /// Name of the tensor or result.
        what: String,
    },
    /// A task observed something that is no state of its model, or not all of it.
    #[error(
        "the task observed {found} values of '{name}', {}; name a state of the model by its official name",
        expected.map_or("which is no state of its model".to_owned(), |count| format!("which has {count}"))
    )]
    Observed {
        /// Name of the observed state.
        name: String,
        /// Values that were observed.
        found: usize,
        /// Values of the state, if there is one of this name.
        expected: Option<usize>,
    },
    /// A task counted something that is no counter of its model.
    #[error(
        "the task counted '{name}', which is no counter of its model; name one by its official name: {}",
        known.join(", ")
    )]
    Counted {
        /// Name of the counter.
        name: String,
        /// The counters of the model.
        known: Vec<String>,
    },
    /// The best epoch is to be told by a metric that the task does not measure.
    #[error(
        "the best epoch is to be told by the metric '{name}', which the task does not measure; choose another goal \
         among what it measures: {}",
        known.join(", ")
    )]
    UnknownMetric {
        /// The metric of the goal.
        name: String,
        /// Those that were measured.
        known: Vec<String>,
    },
    /// Not even one step fits into the time that a training may take.
    #[error(
        "--budget {budget} is too short: one step and its validation take about {needed}; give more time, a smaller --model, \
         --image-size or --batch-size, or fewer validation images"
    )]
    Budget {
        /// The time that was given.
        budget: String,
        /// The time that one step needs.
        needed: String,
    },
    /// Neither weights nor a model's name were given.
    #[error("no model was chosen: give --model NAME, or --init WEIGHTS to take the model of a weight file")]
    NoModel,
    /// A recipe cannot be parsed.
    #[error("recipe {name}: {why}")]
    Recipe {
        /// Name of the recipe or file.
        name: String,
        /// Description of the fault.
        why: String,
    },
}

impl TrainError {
    /// The beginning of the message of [`Self::Diverged`], by which a program tells it from other failures of a process.
    pub const DIVERGED: &str = "training has diverged";
}
