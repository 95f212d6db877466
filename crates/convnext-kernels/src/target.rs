//! The instruction sets of f32 and bf16 kernels together.

use pulp::Arch;

use crate::bf16::implementation::{Bf16, bf16};
use crate::isa::isa;

/// The instruction sets of the f32 and the bf16 kernels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    pub(crate) arch: Arch,
    pub(crate) bf16: Bf16,
}

/// The target of this process.
pub(crate) fn target() -> Target {
    Target { arch: isa(), bf16: bf16() }
}

/// Every target of this CPU, scalar first.
#[cfg(test)]
pub(crate) fn targets() -> Vec<(&'static str, Target)> {
    let of = |(name, bf16)| match bf16 {
        Bf16::Emulated(arch) => (name, Target { arch, bf16 }),
        #[cfg(target_arch = "x86_64")]
        Bf16::Native(_) => (name, Target { arch: Arch::new(), bf16 }),
    };
    crate::bf16::implementation::bf16_isa_levels().into_iter().map(of).collect()
}
