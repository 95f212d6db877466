//! A profiler of the kernels: the seconds of each, summed over threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

static ENABLED: AtomicBool = AtomicBool::new(false);
static NANOSECONDS: [AtomicU64; KERNELS.len()] = [const { AtomicU64::new(0) }; KERNELS.len()];

/// The kernels that are timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kernel {
    DepthwiseForward,
    DepthwiseInputGradient,
    DepthwiseWeightGradient,
    LayerNorm,
    LayerNormGradient,
    Packing,
    Rounding,
    GemmForward,
    GemmInputGradient,
    GemmWeightGradient,
    ConvolutionForward,
    ConvolutionInputGradient,
    ConvolutionWeightGradient,
    BatchNorm,
    BatchNormGradient,
    Resampling,
    RoiAlign,
    RoiAlignGradient,
    Expansion,
    ExpansionGradient,
    Residual,
    Gather,
    Loss,
    Optimizer,
}

const KERNELS: [(Kernel, &str); 24] = [
    (Kernel::DepthwiseForward, "depthwise forward"),
    (Kernel::DepthwiseInputGradient, "depthwise input gradient"),
    (Kernel::DepthwiseWeightGradient, "depthwise weight gradient"),
    (Kernel::LayerNorm, "LayerNorm forward"),
    (Kernel::LayerNormGradient, "LayerNorm gradient"),
    (Kernel::Packing, "packing of weights"),
    (Kernel::Rounding, "rounding to bf16 and back"),
    (Kernel::GemmForward, "linear layers forward"),
    (Kernel::GemmInputGradient, "linear layers input gradient"),
    (Kernel::GemmWeightGradient, "linear layers weight gradient"),
    (Kernel::ConvolutionForward, "convolution forward"),
    (Kernel::ConvolutionInputGradient, "convolution input gradient"),
    (Kernel::ConvolutionWeightGradient, "convolution weight gradient"),
    (Kernel::BatchNorm, "batch norm forward"),
    (Kernel::BatchNormGradient, "batch norm gradient"),
    (Kernel::Resampling, "resampling of maps"),
    (Kernel::RoiAlign, "RoIAlign forward"),
    (Kernel::RoiAlignGradient, "RoIAlign gradient"),
    (Kernel::Expansion, "GELU and GRN forward"),
    (Kernel::ExpansionGradient, "GELU and GRN gradient"),
    (Kernel::Residual, "residual and drop path"),
    (Kernel::Gather, "gathers"),
    (Kernel::Loss, "loss of patches"),
    (Kernel::Optimizer, "optimiser"),
];

/// Runs `work`, and adds its time to the kernel's while profiling is on.
#[inline]
pub(crate) fn timed<T>(kernel: Kernel, work: impl FnOnce() -> T) -> T {
    if !ENABLED.load(Relaxed) {
        return work();
    }
    let begin = Instant::now();
    let result = work();
    NANOSECONDS[kernel as usize].fetch_add(begin.elapsed().as_nanos() as u64, Relaxed);
    result
}

/// Starts profiling from zero.
pub fn start_profile() {
    NANOSECONDS.iter().for_each(|sum| sum.store(0, Relaxed));
    ENABLED.store(true, Relaxed);
}

/// Stops profiling: the name of each kernel and its seconds, summed over threads.
pub fn end_profile() -> Vec<(&'static str, f64)> {
    ENABLED.store(false, Relaxed);
    let seconds = |kernel: Kernel| NANOSECONDS[kernel as usize].load(Relaxed) as f64 * 1e-9;
    KERNELS.iter().map(|&(kernel, name)| (name, seconds(kernel))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_its_place() {
        for (index, (kernel, _)) in KERNELS.iter().enumerate() {
            assert_eq!(*kernel as usize, index);
        }
    }
}
