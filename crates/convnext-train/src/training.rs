//! The loop: what a task brings, how a step is made, and how a job runs.

pub(crate) mod accumulation;
pub(crate) mod block_checks;
pub(crate) mod early_stopping;
pub(crate) mod epoch_report;
pub(crate) mod interruption;
pub(crate) mod job;
pub(crate) mod learner;
pub(crate) mod losses;
pub(crate) mod metric;
mod micro_batch_message;
pub(crate) mod monitored_metric;
pub(crate) mod observed;
mod observed_values;
pub(crate) mod observer;
pub(crate) mod pace;
pub(crate) mod prepared;
pub(crate) mod run_job;
pub(crate) mod run_length;
pub(crate) mod scratch_run;
pub(crate) mod stability;
pub(crate) mod step_error;
pub(crate) mod step_share;
pub(crate) mod step_timing;
pub(crate) mod task;
pub(crate) mod training_loop;
pub(crate) mod training_plan;
pub(crate) mod validation_result;
