//! The precision of linear layers.

/// Input precision of the linear layers' GEMMs, which accumulate in f32. Everything else is computed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32 inputs.
    #[default]
    F32,
    /// Inputs rounded to bf16: 8 bits of mantissa, the exponents of f32.
    Bf16,
}

impl Precision {
    /// Name in commands and files: `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}
