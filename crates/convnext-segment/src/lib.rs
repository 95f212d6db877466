//! Semantic segmentation: a class for every pixel of an image, by UperNet on a ConvNeXt (paper Table 7, appendix A.4).
//!
//! - [`UperNet`]: the network, its logits, and what training gets of it;
//! - [`write_segmentation_onnx`]: the network as ONNX, for other runtimes.
//!
//! **Invariant:** no arguments, no printing.

mod head_dropout;
mod onnx;
mod upernet;

pub use head_dropout::HeadDropout;
pub use onnx::write_segmentation_onnx;
pub use upernet::auxiliary_head::AuxiliaryHead;
pub use upernet::decode_head::DecodeHead;
pub use upernet::{TrainingLogits, UperNet};
