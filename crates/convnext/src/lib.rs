//! ConvNeXt V2 and its masked autoencoder FCMAE as one library.
//!
//! ```no_run
//! use convnext::Classifier;
//!
//! let classifier = Classifier::load("weights.safetensors")?;
//! let image = classifier.open("photo.jpg")?;
//! for prediction in classifier.predict(&image)?.iter().take(3) {
//!     println!("{:.1} % {}", 100.0 * prediction.probability, prediction.label);
//! }
//! # Ok::<(), convnext::train::TrainError>(())
//! ```
//!
//! This crate re-exports the parts that make it up and adds what most programs want:
//!
//! - [`Classifier`], [`Segmenter`], [`Detector`], [`Embedder`] and [`Reconstructor`]: from a weight file to answers about
//!   images;
//! - [`Analyzer`]: what its layers compute;
//! - [`most_similar`]: a search among the embeddings of many images;
//! - [`write_report`], [`write_neighbours`]: pages; [`Quickstart`]: the whole job on the digits that travel along;
//! - [`TASKS`]: the tasks whose weights the program can describe;
//! - [`train::finetune`] and [`train::pretrain`]: whole trainings, as the program runs them.
//!
//! The folder `examples/` has a program for each: classify, extract features, fine-tune, mask and reconstruct.

mod analysis;
mod classifier;
mod detector;
mod embedder;
mod mask_file;
mod quickstart;
mod reconstructor;
mod report;
mod samples;
mod segmenter;
mod similar;
mod tasks;

pub use analysis::{Analysis, AnalyzedModel, Analyzer, LayerMaps, ModelAlignment};
pub use classifier::{Classifier, Prediction};
pub use convnext_study::Spread;
pub use convnext_train::Reconstruction;
pub use detector::Detector;
pub use embedder::Embedder;
pub use mask_file::{MaskFileError, read_mask};
pub use quickstart::comparison::{COMPARISON_FILE, Comparison, LABELS_PER_CLASS, SeedResult};
pub use quickstart::{Quickstart, QuickstartError};
pub use reconstructor::Reconstructor;
pub use report::{
    ANALYSIS_FILE, ComparedRun, EvaluationPage, Neighbour, REPORT_FILE, ReportError, RunComparison,
    SettingDifference, compare_runs, write_analysis, write_contact_sheet, write_evaluation, write_mask_sheet,
    write_neighbours, write_object_sheet, write_report, write_run_comparison, write_study,
};
pub use samples::{SamplesError, write_samples};
pub use segmenter::{ClassArea, Segmentation, Segmenter};
pub use similar::{Similar, most_similar};
pub use tasks::TASKS;

pub use convnext_core as core;
pub use convnext_data as data;
pub use convnext_detect as detect;
pub use convnext_distributed as distributed;
pub use convnext_hub as hub;
pub use convnext_io as io;
pub use convnext_multilabel as multilabel;
pub use convnext_nn as nn;
pub use convnext_onnx as onnx;
pub use convnext_segment as segment;
pub use convnext_study as study;
pub use convnext_train as train;
