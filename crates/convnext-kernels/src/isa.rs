//! The instruction set that the kernels run on, found at run time.

use std::sync::OnceLock;

use pulp::Arch;

/// The environment variable that forces a lower instruction set: `scalar`, `avx2` or `avx512`, which excludes
/// AVX-512 BF16.
/// A set that the CPU lacks, or an unknown name, has no effect here; the program warns. For tests and
/// comparisons.
pub const ISA_VARIABLE: &str = "CONVNEXT_INSTRUCTIONS";

/// The instruction set of the f32 kernels of this process.
pub(crate) fn isa() -> Arch {
    static CHOSEN: OnceLock<Arch> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        let wanted = std::env::var(ISA_VARIABLE).unwrap_or_default();
        isa_levels().into_iter().find(|(name, _)| *name == wanted).map_or_else(Arch::new, |(_, arch)| arch)
    })
}

/// Name of the instruction set that the kernels of this process run on.
pub fn isa_in_use() -> &'static str {
    let chosen = std::mem::discriminant(&isa());
    let found = isa_levels().into_iter().find(|(_, arch)| std::mem::discriminant(arch) == chosen);
    found.map_or("other", |(name, _)| name)
}

/// Every instruction set of this CPU, scalar first.
pub(crate) fn isa_levels() -> Vec<(&'static str, Arch)> {
    let mut levels = vec![("scalar", Arch::Scalar)];
    #[cfg(target_arch = "x86_64")]
    {
        levels.extend(pulp::x86::V3::try_new().map(|simd| ("avx2", Arch::V3(simd))));
        levels.extend(pulp::x86::V4::try_new().map(|simd| ("avx512", Arch::V4(simd))));
    }
    #[cfg(target_arch = "aarch64")]
    levels.extend(pulp::aarch64::Neon::try_new().map(|simd| ("neon", Arch::Neon(simd))));
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_instruction_set_is_used_unless_another_is_asked_for() {
        let names: Vec<&str> = isa_levels().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names[0], "scalar");
        let asked = std::env::var(ISA_VARIABLE).unwrap_or_default();
        let expected = names.iter().find(|&&name| name == asked).or(names.last()).unwrap();
        assert_eq!(isa_in_use(), *expected);
    }

    // Without this the other tests would pass there on scalar alone.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn neon_is_found_on_every_64_bit_arm_cpu() {
        let names: Vec<&str> = isa_levels().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["scalar", "neon"]);
    }
}
