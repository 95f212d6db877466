//! Recipes, schedules, the optimiser and the one training loop of convnext.
//!
//! - [`pretrain`] and [`finetune`] run a whole job: data in, run folder out; [`plan_pretraining`] and [`plan_finetuning`]
//!   tell what it would cost;
//! - [`train`] is the loop, generic over a [`Task`]; [`Learner`] is what one of its steps changes;
//! - [`evaluate`] measures a classifier; a [`SharedLoader`] is how images reach a network that does not learn;
//! - [`load_classifier`], [`load_fcmae`], [`save_weights`] bind names to parameters.
//!
//! **Invariant:** no argument parsing and no printing: whoever runs a job passes an [`Observer`].

mod analysis;
mod block_change;
mod error;
mod evaluation;
mod input_channels;
mod memory;
mod model_arrays;
mod optimization;
mod recipe;
mod run;
mod tasks;
mod training;
mod weights;
mod words;

pub use analysis::activation_maps::{SHOWN_CHANNELS, activation_maps};
pub use analysis::backbone_analysis::{BackboneAnalysis, MAX_POOLED_IMAGES, alignments};
pub use analysis::layer_statistics::{LayerMeasures, SELECTIVITY_BARS, Selectivity};
pub use convnext_distributed::{RankFailure, Ranks};
pub use error::TrainError;
pub use evaluation::best_and_worst::BestAndWorst;
pub use evaluation::class_scores::ClassScores;
pub use evaluation::evaluate::evaluate;
pub use evaluation::features::Features;
pub use evaluation::inference::EvalLoaderConfig;
pub use evaluation::logits::log_probabilities;
pub use evaluation::neighbours::classify_by_neighbours;
pub use evaluation::results::{ClassResult, Confusion, Evaluation, SamplePrediction};
pub use evaluation::shared_loader::SharedLoader;
pub use evaluation::shown_pictures::ShownPictures;
pub use evaluation::thumbnails::save_thumbnails;
pub use memory::{BesideBackbone, MemoryEstimate, available_memory};
pub use optimization::average::MovingAverage;
pub use optimization::frozen_stages::FrozenStages;
pub use optimization::gradients::NamedGradients;
pub use optimization::layer_decay::{LayerCount, LayerDecay};
pub use optimization::optimizer::AdamW;
pub use optimization::parameter_rules::{ParameterRule, ParameterRules, decays};
pub use optimization::schedule::{RateCurve, Schedule};
pub use recipe::asked_batch::AskedBatch;
pub use recipe::augmentation::{AugmentationRecipe, MixingRecipe};
pub use recipe::curve::{CurveRecipe, MilestonesRecipe};
pub use recipe::deviation::Deviation;
pub use recipe::finetune_recipe::FinetuneRecipe;
pub use recipe::given::{Given, Setting};
pub use recipe::init_from::InitFrom;
pub use recipe::input::InputRecipe;
pub use recipe::length::Length;
pub use recipe::masking::MaskingRecipe;
pub use recipe::pretrain_recipe::PretrainRecipe;
pub use recipe::ranges::check_range;
pub use recipe::reading::BuiltIn;
pub use recipe::recipe_context::RecipeContext;
pub use recipe::regularization::{ClassWeights, RegularizationRecipe};
pub use recipe::rule::Rule;
pub use recipe::start::{FromScratchRecipe, FromWeightsRecipe, LayerDecayRecipe};
pub use recipe::supervised_recipe::SupervisedRecipe;
pub use recipe::training::{BASE_IMAGES, TrainingRecipe};
pub use recipe::transfer::{KnownTransfer, TransferFromScratch, TransferFromWeights};
pub use recipe::writing::{in_toml, recipe_of};
pub use run::checkpoint::Best;
pub use run::old_runs::in_current_form;
pub use run::recorded::{config_file, read_config};
pub use run::replicas::check_program;
pub use run::run_changes::{ResumeMode, WITHOUT_EFFECT};
pub use run::run_folder::{Opened, RunFolder};
pub use run::run_record::{MachineRecord, RUN_FILE, RunRecord, processor};
pub use run::run_settings::{CHECKPOINT_EVERY, RunSettings};
pub use run::summary::Summary;
pub use run::train_setup::TrainSetup;
pub use tasks::classification::Classification;
pub use tasks::denormalized::denormalized;
pub use tasks::finetuning::{FinetuneJob, Finetuned, LabelSubset, finetune, plan_finetuning};
pub use tasks::loss::Targets;
pub use tasks::pretraining::{PretrainJob, Pretrained, plan_pretraining, pretrain};
pub use tasks::reconstruction::{Reconstruction, reconstruct};
pub use tasks::supervision::{Freeze, Supervision};
pub use training::accumulation::StepOutput;
pub use training::block_checks::check_batch_norm;
pub use training::divergence::Divergence;
pub use training::early_stopping::EarlyStop;
pub use training::epoch_report::EpochReport;
pub use training::interruption::Interruption;
pub use training::job::{Job, ModelOf, SourceOf};
pub use training::learner::Learner;
pub use training::losses::{Loss, LossValues};
pub use training::metric::{Direction, Metric, Unit};
pub use training::monitored_metric::MonitoredMetric;
pub use training::observed::Observed;
pub use training::observer::{EpochProgress, NoopObserver, Observer, StepReport};
pub use training::run_job::{Trained, plan_training, run_training};
pub use training::run_length::RunLength;
pub use training::stability::{EpochLoss, LossCourse, LossJump, UNSTABLE};
pub use training::step_error::StepError;
pub use training::step_share::GradientSum;
pub use training::step_timing::StepTiming;
pub use training::task::{BatchOf, Task, batch_images};
pub use training::training_loop::train;
pub use training::training_plan::TrainingPlan;
pub use training::validation_result::ValidationResult;
pub use weights::{
    are_same_classes, load_backbone, load_classifier, load_fcmae, load_model, load_network, read_metadata,
    save_weights, start_from,
};
pub use words::duration_in_words;
