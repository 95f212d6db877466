//! Errors of the export, each with its remedy.

use convnext_core::{ConfigError, ResponseNorm};
use convnext_io::IoError;
use thiserror::Error;

/// Weights that cannot be written as ONNX.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// Logits are asked of weights without a head.
    #[error("{what} has no logits; give --features for its feature maps, or fine-tune it first")]
    NoLogits {
        /// Description of the weights.
        what: String,
    },
    /// The options of an export do not fit the model.
    #[error("the model cannot be exported: {source}")]
    CannotExport {
        /// The value that is wrong.
        source: ConfigError,
    },
    /// The blocks have something in the place of GRN that the export does not write.
    #[error(
        "the model has {} ({}) in the place of GRN, and only models with GRN or without are exported; train one with \
         --response-norm grn or none",
        norm.in_words(),
        norm.name()
    )]
    ResponseNorm {
        /// The normalisation of the hidden channels.
        norm: ResponseNorm,
    },
    /// The tensors are not those of the model, or the file cannot be written.
    #[error(transparent)]
    Io(#[from] IoError),
}
