//! The instruction set that the kernels run on, found at run time.

use std::sync::OnceLock;

use pulp::Arch;

/// The environment variable that forces a lower instruction set, for tests and comparisons: `scalar`, `avx2`, `avx512` or
/// `neon`, each with an emulation of bf16; `avx512bf16` is the best of both kinds.
/// A set that the CPU lacks, or an unknown name, has no effect ([`crate::has_wanted_instructions`]).
pub const ISA_VARIABLE: &str = "CONVNEXT_INSTRUCTIONS";

/// Name of AVX-512 BF16, which multiplies bf16 alone.
pub(crate) const AVX512_BF16: &str = "avx512bf16";

/// What [`ISA_VARIABLE`] asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wish {
    /// Nothing: the best of each kind.
    Best,
    /// This instruction set of this CPU, and no instruction for bf16.
    Level(Arch),
    /// [`AVX512_BF16`], which is the best of each kind where the CPU has it.
    Bf16,
    /// Something that this CPU lacks, or an unknown name: the best of each kind is used.
    Absent,
}

impl Wish {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        Self::of(&std::env::var(ISA_VARIABLE).unwrap_or_default())
    }

    /// The wish that a value of the variable says.
    pub(crate) fn of(value: &str) -> Self {
        match value {
            "" => Self::Best,
            AVX512_BF16 => Self::Bf16,
            _ => {
                let level = isa_levels().into_iter().find(|(name, _)| *name == value);
                level.map_or(Self::Absent, |(_, arch)| Self::Level(arch))
            }
        }
    }
}

/// The instruction set of the f32 kernels of this process.
pub(crate) fn isa() -> Arch {
    static CHOSEN: OnceLock<Arch> = OnceLock::new();
    *CHOSEN.get_or_init(|| match Wish::of_process() {
        Wish::Level(arch) => arch,
        Wish::Best | Wish::Bf16 | Wish::Absent => Arch::new(),
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

    #[test]
    fn each_value_of_the_variable_has_its_meaning() {
        assert!(matches!(Wish::of(""), Wish::Best));
        assert!(matches!(Wish::of("avx512bf16"), Wish::Bf16));
        for misspelt in ["mmx", "avx512bf61", "AVX2", " scalar"] {
            assert!(matches!(Wish::of(misspelt), Wish::Absent), "{misspelt}");
        }
        for (name, arch) in isa_levels() {
            let Wish::Level(found) = Wish::of(name) else { panic!("{name} is there") };
            assert_eq!(std::mem::discriminant(&found), std::mem::discriminant(&arch), "{name}");
        }
    }

    // Without this the other tests would pass there on scalar alone.
    #[cfg(target_arch = "aarch64")]
    #[test]
    fn neon_is_found_on_every_64_bit_arm_cpu() {
        let names: Vec<&str> = isa_levels().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["scalar", "neon"]);
    }
}
