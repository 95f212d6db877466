//! A run on disk: its settings, its folder, its checkpoints, and whether it goes on as it began.

pub(crate) mod checkpoint;
pub(crate) mod events;
pub(crate) mod files;
mod inherited;
pub(crate) mod logs;
pub(crate) mod meeting;
pub(crate) mod old_runs;
pub(crate) mod recorded;
pub(crate) mod replicas;
pub(crate) mod resolved;
pub(crate) mod run_changes;
pub(crate) mod run_folder;
pub(crate) mod run_record;
pub(crate) mod run_settings;
pub(crate) mod shared_run;
pub(crate) mod summary;
pub(crate) mod train_setup;
