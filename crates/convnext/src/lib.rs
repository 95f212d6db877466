//! ConvNeXt V2 and its masked autoencoder FCMAE as one library.
//!
//! This crate re-exports the parts that make it up and adds what most programs want: [`Classifier`] and
//! [`Reconstructor`], from a weight file to answers about pictures; [`write_report`], from a run folder to a
//! page; and [`Quickstart`], the whole job on the digits that travel along.
//!
//! ```no_run
//! use std::path::Path;
//! use convnext::{Classifier, data::Orientation};
//!
//! let classifier = Classifier::load(Path::new("weights.safetensors"))?;
//! let bytes = std::fs::read("photo.jpg")?;
//! let channels = classifier.preprocessing().channels();
//! let picture = convnext::data::decode(&bytes, "photo.jpg", channels, Orientation::Honour)?;
//! for prediction in &classifier.classify(&[picture])?[0][..3] {
//!     println!("{:.1} % {}", 100.0 * prediction.probability, prediction.label);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod classifier;
mod mask_file;
mod quickstart;
mod reconstructor;
mod report;
mod samples;

pub use classifier::{Classifier, Prediction};
pub use convnext_train::Reconstruction;
pub use mask_file::{MaskFileError, read_mask};
pub use quickstart::{
    COMPARISON_FILE, Comparison, LABELS_PER_CLASS, Quickstart, QuickstartError, SeedResult, Spread,
};
pub use reconstructor::Reconstructor;
pub use report::{REPORT_FILE, ReportError, write_contact_sheet, write_report};
pub use samples::{SamplesError, write_samples};

pub use convnext_core as core;
pub use convnext_data as data;
pub use convnext_io as io;
pub use convnext_nn as nn;
pub use convnext_train as train;
