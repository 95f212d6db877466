//! The layout of FCMAE's UNet decoder, after the decoder of SparK (docs/facts.md, "Decoder ablations").

use crate::fcmae_config::FcmaeConfig;
use crate::limits::STAGES;

/// Widths of a UNet decoder: its steps, each of which doubles height and width of the map, from patches to pixels, and the
/// skip connections between them.
///
/// A step is a transposed convolution of 4x4 and stride 2, a 3x3 convolution with batch norm and ReLU6, and a 3x3 convolution
/// with batch norm, which halves the channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UNetLayout {
    /// Channels in front of each step, and behind it.
    pub steps: Vec<[usize; 2]>,
    /// The connection that is added behind the first step, from stage 2, then those behind the second and the third, from
    /// stages 1 and 0: channels of the stage and of the map. None is behind the last step, where kept sites would not reach
    /// the prediction of removed ones, and none in a decoder without skip connections.
    pub skips: Vec<[usize; 2]>,
}

impl UNetLayout {
    /// The layout for an autoencoder whose decoder is a UNet.
    pub fn of(config: &FcmaeConfig) -> Self {
        let (width, doublings) = (config.decoder.width, config.encoder.patch_size().ilog2() as usize);
        let behind = |step: usize| width >> (step + 1);
        let skips = |count: usize| {
            (0..count).map(|step| [config.encoder.widths[Self::stage(step)], behind(step)]).collect()
        };
        Self {
            steps: (0..doublings).map(|step| [width >> step, behind(step)]).collect(),
            skips: skips(if config.decoder.has_skips() { (STAGES - 1).min(doublings - 1) } else { 0 }),
        }
    }

    /// The stage whose connection is added behind this step.
    pub fn stage(step: usize) -> usize {
        STAGES - 2 - step
    }

    /// Channels of the map of pixels.
    pub fn last_width(&self) -> usize {
        self.steps.last().map_or(1, |&[_, behind]| behind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder_config::{DecoderConfig, DecoderKind};
    use crate::sizes::find_model;

    #[test]
    fn a_step_halves_the_channels_and_stages_join_where_their_maps_are_as_large() {
        let mut encoder = find_model("atto").unwrap().config();
        let layout = |encoder: &crate::ModelConfig, kind| {
            let mut config = FcmaeConfig::new(encoder.clone());
            config.decoder = DecoderConfig::new(kind, encoder);
            UNetLayout::of(&config)
        };
        let found = layout(&encoder, DecoderKind::UNet);
        assert_eq!(found.steps, [[512, 256], [256, 128], [128, 64], [64, 32], [32, 16]]);
        assert_eq!(
            (found.skips, layout(&encoder, DecoderKind::UNetNoSkip).skips),
            ([[160, 256], [80, 128], [40, 64]].into(), vec![])
        );
        encoder.stem_stride = 1;
        let found = layout(&encoder, DecoderKind::UNet);
        assert_eq!((found.last_width(), found.skips.len()), (64, 2));
    }
}
