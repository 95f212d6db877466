//! `--activations`: what of the forward pass is saved for the backward pass.

use anyhow::bail;
use clap::ValueEnum;
use convnext::core::DecoderKind;
use convnext::nn::Activations;

use super::values::PrecisionName;

/// Activation checkpointing: what of the forward pass is saved for the backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ActivationsName {
    /// Save it: the fastest
    #[default]
    Save,
    /// Save it rounded to bf16: half as much, and computing in f32 goes on
    SaveBf16,
    /// Compute it again: the smallest, with the same bits as save
    Recompute,
}

impl From<ActivationsName> for Activations {
    fn from(name: ActivationsName) -> Self {
        match name {
            ActivationsName::Save => Self::Save,
            ActivationsName::SaveBf16 => Self::SaveBf16,
            ActivationsName::Recompute => Self::Recompute,
        }
    }
}

impl ActivationsName {
    /// Refuses what says the same thing twice.
    pub(crate) fn check(self, precision: PrecisionName) -> anyhow::Result<()> {
        if (self, precision) == (Self::SaveBf16, PrecisionName::Bf16) {
            bail!("--precision bf16 saves bf16 anyhow; leave --activations save-bf16 out");
        }
        Ok(())
    }

    /// Warns of a decoder that the choice does not concern.
    pub(crate) fn warn_of_decoder(self, kind: DecoderKind) {
        if let Some(words) = self.without_effect_on(kind) {
            log::warn!("{words}");
        }
    }

    fn without_effect_on(self, kind: DecoderKind) -> Option<String> {
        let has_choice = kind == DecoderKind::ConvNext || self == Self::Save;
        (!has_choice).then(|| {
            format!(
                "--activations concerns the encoder: a decoder of kind {} saves every value that its gradient needs",
                kind.name()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoders_that_a_choice_does_not_concern_are_told() {
        for kind in [DecoderKind::UNet, DecoderKind::Transformer { heads: 4 }] {
            for choice in [ActivationsName::Recompute, ActivationsName::SaveBf16] {
                let found = choice.without_effect_on(kind).unwrap();
                assert!(found.contains("--activations") && found.contains(kind.name()), "{found}");
                assert_eq!(choice.without_effect_on(DecoderKind::ConvNext), None);
            }
            assert_eq!(ActivationsName::Save.without_effect_on(kind), None);
        }
    }
}
