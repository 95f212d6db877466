//! Semantic segmentation: a class for every pixel of an image, by UperNet on a ConvNeXt (paper Table 7, appendix A.4).
//!
//! **Invariant:** no arguments, no printing.

mod batch;
mod source;

pub use batch::SegmentationBatch;
pub use source::SegmentationSource;
