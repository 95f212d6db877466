//! Multi-label classification: an image has any number of classes, each with a probability of its own.
//!
//! - [`MultiLabel`]: what labels mean that are sets of classes, for [`convnext_train::finetune`];
//! - [`MultiLabelTask`]: what weights say about it;
//! - [`THRESHOLD`]: from which probability on a class counts;
//! - [`evaluate_multi_label`]: how good a network is, as a [`MultiLabelEvaluation`].
//!
//! **Invariant:** `convnext-train` does not know this crate: a task is a room that is added without moving a wall.

mod evaluation;
mod metadata;
mod shown;
mod supervision;
mod threshold;

pub use evaluation::{MultiLabelClass, MultiLabelEvaluation, evaluate_multi_label};
pub use metadata::MultiLabelTask;
pub use shown::{ClassProbability, MultiLabelMistake, MultiLabelSample};
pub use supervision::MultiLabel;
pub use threshold::THRESHOLD;
