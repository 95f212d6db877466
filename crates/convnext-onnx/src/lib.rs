//! ConvNeXt as ONNX: the network as operators that other runtimes know, with its weights.
//!
//! - [`write_onnx`]: weights in, a file out, or two when they are large;
//! - [`OnnxOptions`]: the size of the images, how many at once ([`OnnxBatch`]), and what comes out ([`OnnxOutput`]);
//! - [`write_part`]: the same with an [`OnnxPart`] of another task behind the backbone, made with a [`GraphBuilder`].
//!
//! **Invariant:** equal weights and options give equal bytes, and whatever does not fit is refused before anything is
//! written.

mod error;
mod export;
mod file;
mod graph_builder;
mod messages;
mod network;
mod options;
mod part;
mod part_output;
mod properties;
#[cfg(test)]
mod tests;

pub use error::OnnxError;
pub use export::{write_onnx, write_part};
pub use graph_builder::GraphBuilder;
pub use messages::Attribute;
pub use options::{OnnxBatch, OnnxOptions, OnnxOutput};
pub use part::{Features, Logits, OnnxPart, StageMaps};
pub use part_output::PartOutput;

/// The example of the README is compiled as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
