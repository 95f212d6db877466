//! The two tasks of this crate: FCMAE and classification.

pub(crate) mod classification;
pub(crate) mod denormalized;
pub(crate) mod finetuning;
pub(crate) mod loss;
pub(crate) mod pretraining;
pub(crate) mod reconstruction;
pub(crate) mod shown_batch;
pub(crate) mod supervision;
