//! Recipes, schedules, the optimiser and the one training loop of convnext.
//!
//! - [`pretrain`] and [`finetune`] run a whole job: data in, run folder out;
//! - [`train`] is the loop, generic over a [`Task`]; [`Learner`] is what one of its steps changes;
//! - [`evaluate`] measures a classifier; [`for_each_batch`] is how images reach a network that does not learn;
//! - [`load_classifier`], [`load_fcmae`], [`save_weights`] bind names to parameters.
//!
//! **Invariant:** no argument parsing and no printing: whoever runs a job passes an [`Observer`].

mod accumulation;
mod average;
mod backbone_part;
mod checkpoint;
mod error;
mod evaluation;
mod events;
mod features;
mod finetuning;
mod frozen_stages;
mod goal;
mod gradients;
mod inference;
mod input_channels;
mod job;
mod layer_decay;
mod learner;
mod logits;
mod loss;
mod losses;
mod measured;
mod memory;
mod metric;
mod neighbours;
mod observer;
mod old_runs;
mod optimizer;
mod parameter_rules;
mod pretraining;
mod recipe;
mod reconstruction;
mod run_changes;
mod run_folder;
mod run_settings;
mod schedule;
mod summary;
mod tally;
mod task;
mod training_loop;
mod weights;

pub use accumulation::{Accumulation, MicroBatch};
pub use average::MovingAverage;
pub use checkpoint::Best;
pub use error::TrainError;
pub use evaluation::{ClassResult, Confusion, Evaluation, Mistake, evaluate};
pub use features::Features;
pub use finetuning::{FinetuneJob, Finetuned, Freeze, LabelChoice, finetune};
pub use frozen_stages::FrozenStages;
pub use goal::Goal;
pub use gradients::NamedGradients;
pub use inference::{Reading, for_each_batch};
pub use job::{Job, ModelOf, SourceOf, Trained, run_training};
pub use layer_decay::{LayerCount, LayerDecay};
pub use learner::{Lap, Learner};
pub use logits::log_probabilities;
pub use loss::Targets;
pub use losses::{Loss, LossValues, Observed};
pub use measured::Measured;
pub use memory::{MemoryNeed, available_memory};
pub use metric::{Direction, Metric, Unit};
pub use neighbours::classify_by_neighbours;
pub use observer::{EpochReport, Observer, Silent, StepReport};
pub use optimizer::AdamW;
pub use parameter_rules::{ParameterRule, ParameterRules, decays};
pub use pretraining::{PretrainJob, Pretrained, pretrain};
pub use recipe::{
    AugmentationRecipe, ClassWeights, CurveRecipe, Departure, FinetuneRecipe, FromScratchRecipe,
    FromWeightsRecipe, Given, LayerDecayRecipe, Length, MaskingRecipe, MilestonesRecipe, MixingRecipe,
    Origin, PretrainRecipe, RegularizationRecipe, Setting, Situation, Start, TrainingRecipe,
};
pub(crate) use recipe::{in_lines, in_toml};
pub use reconstruction::{Reconstruction, reconstruct};
pub use run_changes::Continue;
pub use run_folder::{AVERAGED_WEIGHTS_FILE, BEST_WEIGHTS_FILE, Opened, RunFolder, WEIGHTS_FILE};
pub use run_settings::{Lesson, RunSettings};
pub use schedule::{RateCurve, Schedule};
pub use summary::Summary;
pub use task::{BatchOf, Task, batch_images};
pub use training_loop::{CHECKPOINT_EVERY, train};
pub use weights::{
    load_backbone, load_classifier, load_fcmae, load_network, read_metadata, save_weights, start_from,
};
