//! Which instruction set the kernels run on, found at run time.

use std::sync::OnceLock;

use pulp::Arch;

use crate::bf16::{Bf16, bf16};

/// The environment variable that forces a lower instruction set: `scalar`, `avx2` or `avx512`, which is without
/// the instructions for bf16.
/// A set that the processor lacks, or an unknown name, has no effect here; the program warns. For tests
/// and comparisons.
pub const ISA_VARIABLE: &str = "CONVNEXT_INSTRUCTIONS";

/// What kernels run on that work in f32 and in bf16.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Engine {
    pub(crate) arch: Arch,
    pub(crate) bf16: Bf16,
}

/// That of this process.
pub(crate) fn engine() -> Engine {
    Engine { arch: instructions(), bf16: bf16() }
}

/// What the kernels of this process run on.
pub(crate) fn instructions() -> Arch {
    static CHOSEN: OnceLock<Arch> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var(ISA_VARIABLE).unwrap_or_default();
        ladder().into_iter().find(|(name, _)| *name == wanted).map_or_else(Arch::new, |(_, arch)| arch)
    })
}

/// The name of the instruction set that the kernels of this process run on.
pub fn isa_in_use() -> &'static str {
    let chosen = std::mem::discriminant(&instructions());
    let found = ladder().into_iter().find(|(_, arch)| std::mem::discriminant(arch) == chosen);
    found.map_or("other", |(name, _)| name)
}

/// Every instruction set that this processor has, the plain one first.
pub(crate) fn ladder() -> Vec<(&'static str, Arch)> {
    let mut rungs = vec![("scalar", Arch::Scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        rungs.extend(pulp::x86::V3::try_new().map(|simd| ("avx2", Arch::V3(simd))));
        rungs.extend(pulp::x86::V4::try_new().map(|simd| ("avx512", Arch::V4(simd))));
    }
    #[cfg(target_arch = "aarch64")]
    rungs.extend(pulp::aarch64::Neon::try_new().map(|simd| ("neon", Arch::Neon(simd))));
    rungs
}

/// Every engine that this processor has, the plain one first.
#[cfg(test)]
pub(crate) fn engines() -> Vec<(&'static str, Engine)> {
    let of = |(name, bf16)| match bf16 {
        Bf16::Emulated(arch) => (name, Engine { arch, bf16 }),
        #[cfg(target_arch = "x86_64")]
        Bf16::Native(_) => (name, Engine { arch: Arch::new(), bf16 }),
    };
    crate::bf16::bf16_ladder().into_iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_instruction_set_is_used_unless_another_is_asked_for() {
        let names: Vec<&str> = ladder().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], "scalar");
        let asked = std::env::var(ISA_VARIABLE).unwrap_or_default();
        let expected = names.iter().find(|&&name| name == asked).or(names.last()).unwrap();
        assert_eq!(isa_in_use(), *expected);
    }

    // Without this the other tests would pass there on the plain rung alone.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn neon_is_found_on_every_64_bit_arm_processor() {
        let names: Vec<&str> = ladder().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["scalar", "neon"]);
    }
}
