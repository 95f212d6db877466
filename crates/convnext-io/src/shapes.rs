//! Names and shapes of the official PyTorch code (facts B1, B2), for a configuration.
//!
//! Parameters of our models have the same names and shapes, see `names.rs` of `convnext-nn`.

use convnext_core::{DecoderConfig, FcmaeConfig, ModelConfig, WeightKind};

/// A name with its shape.
pub(crate) type Shaped = (String, Vec<usize>);

/// What the names of an autoencoder's encoder begin with.
pub const ENCODER_PREFIX: &str = "encoder.";

/// All tensors of a model, in its order, by the names and with the shapes of the official PyTorch code (facts B1, B2),
/// under which [`crate::read_weights`] gives tensors of any origin.
///
/// A classifier has its backbone, the final norm and, with classes, the head; an autoencoder has its encoder behind
/// [`ENCODER_PREFIX`], what stands around the decoder, and the decoder. Files of encoders alone may lack the norm.
pub fn official_shapes(kind: &WeightKind) -> Vec<(String, Vec<usize>)> {
    match kind {
        WeightKind::Classifier { model } => {
            let mut shapes = backbone("", model);
            shapes.extend(final_norm(model));
            if model.classes > 0 {
                shapes.extend(head(model));
            }
            shapes
        }
        WeightKind::Fcmae { fcmae, .. } => {
            let mut shapes = backbone(ENCODER_PREFIX, &fcmae.encoder);
            shapes.extend(decoder_ends(fcmae, fcmae.values_per_patch()));
            shapes.extend(decoder_blocks(&fcmae.decoder));
            shapes
        }
    }
}

/// All tensors of the stem, the downsampling layers and the blocks.
pub(crate) fn backbone(prefix: &str, model: &ModelConfig) -> Vec<Shaped> {
    let mut shapes = Vec::new();
    for (stage, &width) in model.widths.iter().enumerate() {
        let downsampling = format!("{prefix}downsample_layers.{stage}");
        // The stem normalises after its convolution, the others before.
        let (convolution, norm, normalised) = match stage.checked_sub(1) {
            None => (0, 1, width),
            Some(before) => (1, 0, model.widths[before]),
        };
        shapes.extend(affine(&format!("{downsampling}.{norm}"), vec![normalised]));
        shapes.push(downsampling_weight(prefix, model, stage));
        shapes.push((format!("{downsampling}.{convolution}.bias"), vec![width]));
        for index in 0..model.depths[stage] {
            let name = format!("{prefix}stages.{stage}.{index}");
            shapes.extend(block(&name, width, model.grn, model.layer_scale));
        }
    }
    shapes
}

/// The weight of the stem (stage 0) or of the downsampling layer in front of a stage.
pub(crate) fn downsampling_weight(prefix: &str, model: &ModelConfig, stage: usize) -> Shaped {
    let width = model.widths[stage];
    match stage.checked_sub(1) {
        None => {
            let side = model.stem_stride;
            (format!("{prefix}downsample_layers.0.0.weight"), vec![width, model.input_channels, side, side])
        }
        Some(before) => {
            (format!("{prefix}downsample_layers.{stage}.1.weight"), vec![width, model.widths[before], 2, 2])
        }
    }
}

/// The weight of a block's depthwise convolution, which tells its width.
pub(crate) fn depthwise_weight(block: &str, width: usize) -> Shaped {
    (format!("{block}.dwconv.weight"), vec![width, 1, 7, 7])
}

/// The final norm.
pub(crate) fn final_norm(model: &ModelConfig) -> [Shaped; 2] {
    affine("norm", vec![model.last_width()])
}

/// The head.
pub(crate) fn head(model: &ModelConfig) -> [Shaped; 2] {
    [
        ("head.weight".into(), vec![model.classes, model.last_width()]),
        ("head.bias".into(), vec![model.classes]),
    ]
}

/// What stands around an autoencoder's encoder and decoder, for this many values of a patch.
pub(crate) fn decoder_ends(fcmae: &FcmaeConfig, values: usize) -> [Shaped; 5] {
    let width = fcmae.decoder.width;
    [
        ("mask_token".into(), vec![1, width, 1, 1]),
        ("proj.weight".into(), vec![width, fcmae.encoder.last_width(), 1, 1]),
        ("proj.bias".into(), vec![width]),
        ("pred.weight".into(), vec![values, width, 1, 1]),
        ("pred.bias".into(), vec![values]),
    ]
}

/// The decoder's blocks.
pub(crate) fn decoder_blocks(decoder: &DecoderConfig) -> Vec<Shaped> {
    let block = |index| block(&format!("decoder.{index}"), decoder.width, decoder.grn, decoder.layer_scale);
    (0..decoder.depth).flat_map(block).collect()
}

fn block(name: &str, width: usize, grn: bool, layer_scale: bool) -> Vec<Shaped> {
    // Widths may come from a file; one that overflows fits no tensor, and neither does the largest number.
    let hidden = width.saturating_mul(4);
    let tensor = |leaf: &str, shape: &[usize]| (format!("{name}.{leaf}"), shape.to_vec());
    let mut shapes = vec![
        depthwise_weight(name, width),
        tensor("dwconv.bias", &[width]),
        tensor("norm.weight", &[width]),
        tensor("norm.bias", &[width]),
        tensor("pwconv1.weight", &[hidden, width]),
        tensor("pwconv1.bias", &[hidden]),
        tensor("pwconv2.weight", &[width, hidden]),
        tensor("pwconv2.bias", &[width]),
    ];
    if grn {
        shapes.push(tensor("grn.gamma", &[1, 1, 1, hidden]));
        shapes.push(tensor("grn.beta", &[1, 1, 1, hidden]));
    }
    if layer_scale {
        shapes.push(tensor("gamma", &[width]));
    }
    shapes
}

fn affine(name: &str, shape: Vec<usize>) -> [Shaped; 2] {
    [(format!("{name}.weight"), shape.clone()), (format!("{name}.bias"), shape)]
}

#[cfg(test)]
mod tests {
    use convnext_core::{MODELS, ModelConfig};

    use super::*;

    /// The parameters of the table were computed from timm's models.
    #[test]
    fn every_row_of_the_table_has_its_parameters() {
        for size in MODELS {
            let model: ModelConfig = size.config();
            let mut shapes = backbone("", &model);
            shapes.extend(final_norm(&model));
            shapes.extend(head(&model));
            let parameters: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
            assert_eq!(parameters as u64, size.parameters, "{}", size.name);
        }
    }

    /// Facts B4: the official state dict has 140 tensors in Atto and 200 in Tiny.
    #[test]
    fn official_files_have_this_many_tensors() {
        for (name, count) in [("atto", 140), ("tiny", 200)] {
            let model = convnext_core::find_model(name).unwrap().config();
            assert_eq!(backbone("", &model).len() + 4, count, "{name}");
        }
    }
}
