//! ConvNeXt V2 and its masked autoencoder FCMAE as one library.
//!
//! This crate re-exports the parts that make it up and adds the two things that most programs want:
//! [`Classifier`] and [`Reconstructor`], from a weight file to answers about pictures.
//!
//! ```no_run
//! use std::path::Path;
//! use convnext::{Classifier, data::Orientation};
//!
//! let classifier = Classifier::load(Path::new("weights.safetensors"))?;
//! let bytes = std::fs::read("photo.jpg")?;
//! let picture = convnext::data::decode(&bytes, "photo.jpg", Orientation::Honour)?;
//! for prediction in &classifier.classify(&[picture])?[0][..3] {
//!     println!("{:.1} % {}", 100.0 * prediction.probability, prediction.label);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod classifier;
mod reconstructor;

pub use classifier::{Classifier, Prediction};
pub use convnext_train::Reconstruction;
pub use reconstructor::Reconstructor;

pub use convnext_core as core;
pub use convnext_data as data;
pub use convnext_io as io;
pub use convnext_nn as nn;
pub use convnext_train as train;
