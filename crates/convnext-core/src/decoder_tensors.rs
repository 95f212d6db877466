//! Names and shapes of the tensors that an autoencoder has besides its encoder's layers.

use crate::block_layout::BlockLayout;
use crate::decoder_config::DecoderKind;
use crate::fcmae_config::FcmaeConfig;
use crate::tensors::{TensorShape, affine, block_tensors, conv_norm_tensors, trained_values};
use crate::unet_layout::UNetLayout;

/// The mask tokens and the tensors of the decoder, for this many values of a patch. A decoder of ConvNeXt blocks has the
/// official names (docs/facts.md, "Sparse FCMAE training checkpoint keys"); the layers of others stand below `decoder.` too.
pub fn decoder_tensors(config: &FcmaeConfig, values: usize) -> Vec<TensorShape> {
    let (decoder, encoder) = (&config.decoder, &config.encoder);
    let width = decoder.width;
    let token = match config.encoder_kind.fills_removed_patches() {
        true => ("encoder_token".into(), vec![1, encoder.widths[0], 1, 1]),
        false => ("mask_token".into(), vec![1, width, 1, 1]),
    };
    let mut tensors = vec![token];
    tensors.extend(pointwise("proj", width, encoder.last_width()));
    match decoder.kind {
        DecoderKind::ConvNext => {
            tensors.extend(pointwise("pred", values, width));
            let block = |index| block_tensors(&format!("decoder.{index}"), BlockLayout::of_decoder(decoder));
            tensors.extend((0..decoder.depth).flat_map(block));
        }
        DecoderKind::UNet | DecoderKind::UNetNoSkip => {
            let layout = UNetLayout::of(config);
            let pixels = encoder.patch_size() * encoder.patch_size();
            tensors.extend(pointwise("pred", values / pixels, layout.last_width()));
            tensors.extend(unet_tensors(&layout, config));
        }
        DecoderKind::Transformer { .. } => {
            tensors.extend(pointwise("pred", values, width));
            tensors.extend((0..decoder.depth).flat_map(|index| transformer_block_tensors(index, width)));
            tensors.extend(affine("decoder.norm", vec![width]));
        }
    }
    tensors
}

/// Learned values of an autoencoder besides its encoder's layers.
pub fn decoder_parameters(config: &FcmaeConfig) -> u64 {
    trained_values(decoder_tensors(config, config.values_per_patch()))
}

/// A 1x1 convolution.
fn pointwise(name: &str, outputs: usize, inputs: usize) -> [TensorShape; 2] {
    [(format!("{name}.weight"), vec![outputs, inputs, 1, 1]), (format!("{name}.bias"), vec![outputs])]
}

fn unet_tensors(layout: &UNetLayout, config: &FcmaeConfig) -> Vec<TensorShape> {
    let mut tensors = Vec::new();
    for (index, &[inputs, outputs]) in layout.steps.iter().enumerate() {
        let name = format!("decoder.steps.{index}");
        tensors.push((format!("{name}.up.weight"), vec![inputs, inputs, 4, 4]));
        tensors.push((format!("{name}.up.bias"), vec![inputs]));
        tensors.extend(conv_norm_tensors(&format!("{name}.conv1"), [inputs, inputs, 3, 3]));
        tensors.extend(conv_norm_tensors(&format!("{name}.conv2"), [outputs, inputs, 3, 3]));
    }
    for (index, &[stage, width]) in layout.skips.iter().enumerate() {
        let name = format!("decoder.skips.{index}");
        tensors.extend(pointwise(&format!("{name}.proj"), width, stage));
        if !config.encoder_kind.fills_removed_patches() {
            tensors.push((format!("{name}.mask_token"), vec![1, width, 1, 1]));
        }
    }
    tensors
}

/// A block of MAE's decoder under timm's names.
fn transformer_block_tensors(index: usize, width: usize) -> Vec<TensorShape> {
    let linear = |name: &str, outputs: usize, inputs: usize| {
        let name = format!("decoder.blocks.{index}.{name}");
        [(format!("{name}.weight"), vec![outputs, inputs]), (format!("{name}.bias"), vec![outputs])]
    };
    let norm = |name: &str| affine(&format!("decoder.blocks.{index}.{name}"), vec![width]);
    [
        norm("norm1"),
        linear("attn.qkv", 3 * width, width),
        linear("attn.proj", width, width),
        norm("norm2"),
        linear("mlp.fc1", 4 * width, width),
        linear("mlp.fc2", width, 4 * width),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decoder_config::DecoderConfig;
    use crate::fcmae_config::EncoderKind;
    use crate::sizes::find_model;

    fn parameters(kind: DecoderKind, encoder_kind: EncoderKind) -> u64 {
        let mut config = FcmaeConfig::new(find_model("atto").unwrap().config());
        config.decoder = DecoderConfig::new(kind, &config.encoder);
        config.encoder_kind = encoder_kind;
        decoder_parameters(&config)
    }

    /// docs/facts.md, "Decoder", has 3,871,232 for Atto. A block of MAE's decoder has 12 D^2 + 13 D values, and its last
    /// norm 2 D.
    #[test]
    fn parameters_are_those_of_the_paper_and_of_mae() {
        let ends = 512 + 320 * 512 + 512 + 512 * 3072 + 3072;
        assert_eq!(parameters(DecoderKind::ConvNext, EncoderKind::Sparse), 3_871_232);
        assert_eq!(
            parameters(DecoderKind::transformer(512), EncoderKind::Sparse),
            ends + 8 * (12 * 512 * 512 + 13 * 512) + 2 * 512
        );
    }

    #[test]
    fn a_unet_is_counted_step_by_step() {
        let step = |c: u64| 16 * c * c + c + 9 * c * c + 2 * c + 9 * c * c / 2 + c;
        let ends = 512 + 320 * 512 + 512 + 16 * 3 + 3;
        let steps: u64 = [512, 256, 128, 64, 32].map(step).iter().sum();
        let skips: u64 =
            [[160, 256], [80, 128], [40, 64]].map(|[stage, width]| (stage + 2) * width).iter().sum();
        assert_eq!(parameters(DecoderKind::UNetNoSkip, EncoderKind::Sparse), ends + steps);
        assert_eq!(parameters(DecoderKind::UNet, EncoderKind::Sparse), ends + steps + skips);
    }

    #[test]
    fn an_encoder_with_tokens_has_the_only_token() {
        for (kind, tokens) in [(DecoderKind::ConvNext, 512), (DecoderKind::UNet, 512 + 256 + 128 + 64)] {
            let [sparse, filled] = [EncoderKind::Sparse, EncoderKind::Tokens].map(|of| parameters(kind, of));
            assert_eq!(filled, sparse - tokens + 40, "{kind:?}");
        }
    }
}
