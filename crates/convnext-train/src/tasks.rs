//! The two tasks of this crate: FCMAE and classification.

pub(crate) mod classification;
pub(crate) mod finetuning;
pub(crate) mod loss;
pub(crate) mod pretraining;
pub(crate) mod reconstruction;
pub(crate) mod supervision;
