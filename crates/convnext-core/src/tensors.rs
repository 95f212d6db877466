//! Names and shapes of the official PyTorch code (docs/facts.md, "Official dense `.pt`", "Sparse FCMAE
//! training checkpoint keys"), for a configuration.
//!
//! Parameters of our models have the same names and shapes, see `names.rs` of `convnext-nn`, and so have weight files of
//! any origin once they are read.

use crate::block_layout::BlockLayout;
use crate::config::ModelConfig;

/// The name of a tensor with its shape, slowest axis first.
pub type TensorShape = (String, Vec<usize>);

/// Prefix of the names of an autoencoder's encoder.
pub const ENCODER_PREFIX: &str = "encoder.";

/// Last part of the name of a batch norm's counter, the one tensor of a network that holds an integer.
pub const BATCH_COUNTER: &str = "num_batches_tracked";

/// Last parts of the names of a batch norm's running statistics.
const RUNNING_STATISTICS: [&str; 2] = ["running_mean", "running_var"];

/// The tensors of the stem, the downsampling layers and the blocks, in the order of the model, each behind `prefix`.
pub fn backbone_tensors(prefix: &str, model: &ModelConfig) -> Vec<TensorShape> {
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
            shapes.extend(block_tensors(&name, BlockLayout::of_stage(model, stage)));
        }
    }
    shapes
}

/// The weight of the stem (stage 0) or of the downsampling layer in front of a stage.
pub fn downsampling_weight(prefix: &str, model: &ModelConfig, stage: usize) -> TensorShape {
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

/// The tensors of the norm behind a classifier's pooling.
pub fn final_norm_tensors(model: &ModelConfig) -> [TensorShape; 2] {
    affine("norm", vec![model.last_width()])
}

/// The tensors of a classifier's head.
pub fn head_tensors(model: &ModelConfig) -> [TensorShape; 2] {
    [
        ("head.weight".into(), vec![model.classes, model.last_width()]),
        ("head.bias".into(), vec![model.classes]),
    ]
}

/// The tensors of a ConvNeXt block.
pub(crate) fn block_tensors(name: &str, block: BlockLayout) -> Vec<TensorShape> {
    block.rows().map(|row| (row.parameter.in_block(name), row.shape(block.channels))).collect()
}

/// `false` for running statistics and counters.
pub(crate) fn is_trained(name: &str) -> bool {
    let leaf = name.rsplit('.').next().unwrap_or(name);
    leaf != BATCH_COUNTER && !RUNNING_STATISTICS.contains(&leaf)
}

/// Learned values of these tensors.
pub(crate) fn trained_values(tensors: impl IntoIterator<Item = TensorShape>) -> u64 {
    let trained = tensors.into_iter().filter(|(name, _)| is_trained(name));
    trained.map(|(_, shape)| shape.iter().product::<usize>() as u64).sum()
}

/// A convolution without bias and its batch norm.
pub(crate) fn conv_norm_tensors(name: &str, shape: [usize; 4]) -> Vec<TensorShape> {
    let mut tensors = vec![(format!("{name}.conv.weight"), shape.to_vec())];
    let vectors = ["weight", "bias"].into_iter().chain(RUNNING_STATISTICS);
    tensors.extend(vectors.map(|leaf| (format!("{name}.bn.{leaf}"), vec![shape[0]])));
    tensors.push((format!("{name}.bn.{BATCH_COUNTER}"), Vec::new()));
    tensors
}

/// A weight and a bias of this shape.
pub(crate) fn affine(name: &str, shape: Vec<usize>) -> [TensorShape; 2] {
    [(format!("{name}.weight"), shape.clone()), (format!("{name}.bias"), shape)]
}

#[cfg(test)]
mod tests {
    use crate::config::ModelConfig;
    use crate::sizes::MODELS;

    use super::*;

    /// The parameters of the table were computed from timm's models.
    #[test]
    fn every_row_of_the_table_has_its_parameters() {
        for size in MODELS {
            let model: ModelConfig = size.config();
            let mut shapes = backbone_tensors("", &model);
            shapes.extend(final_norm_tensors(&model));
            shapes.extend(head_tensors(&model));
            let parameters: usize = shapes.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
            assert_eq!(parameters as u64, size.parameters, "{}", size.name);
        }
    }

    /// docs/facts.md, "timm names": the official state dict has 140 tensors in Atto and 200 in Tiny.
    #[test]
    fn official_files_have_this_many_tensors() {
        for (name, count) in [("atto", 140), ("tiny", 200)] {
            let model = crate::find_model(name).unwrap().config();
            assert_eq!(backbone_tensors("", &model).len() + 4, count, "{name}");
        }
    }
}
