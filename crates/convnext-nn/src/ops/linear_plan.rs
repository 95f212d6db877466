//! The settings of a linear layer.

use convnext_kernels::Precision;

use crate::ops::packing::PackingCache;

/// The settings of a linear layer.
#[derive(Debug, Clone, Default)]
pub struct LinearPlan {
    /// Precision of the GEMM's inputs on the CPU. GPUs compute in f32.
    pub precision: Precision,
    /// Cache of the kernels' packed weight between inferences.
    pub packing: PackingCache,
}

impl LinearPlan {
    pub(crate) fn new(precision: Precision) -> Self {
        Self { precision, packing: PackingCache::default() }
    }
}
