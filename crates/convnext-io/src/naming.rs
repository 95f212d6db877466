//! Names of the same tensor in the official code, in timm and in Hugging Face's transformers (docs/facts.md,
//! "Official dense `.pt`", "timm names", "HF names").

use std::sync::LazyLock;

use convnext_core::{BLOCK_PARAMETERS, BlockParameter, ENCODER_PREFIX};

/// A convention of names. Those of this program are the official ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Naming {
    /// `downsample_layers.0.0.weight`, `stages.0.0.dwconv.weight`: the paper's code.
    Official,
    /// `stem.0.weight`, `stages.0.blocks.0.conv_dw.weight`: timm.
    Timm,
    /// `convnextv2.embeddings.patch_embeddings.weight`: transformers.
    HuggingFace,
}

/// Names outside of blocks: official, timm, transformers. `#` stands for a number, `*` for the rest of the
/// name.
const OUTSIDE_BLOCKS: [[&str; 3]; 5] = [
    ["downsample_layers.0.0.*", "stem.0.*", "embeddings.patch_embeddings.*"],
    ["downsample_layers.0.1.*", "stem.1.*", "embeddings.layernorm.*"],
    ["downsample_layers.#.#.*", "stages.#.downsample.#.*", "encoder.stages.#.downsampling_layer.#.*"],
    ["norm.*", "head.norm.*", "layernorm.*"],
    ["head.*", "head.fc.*", "classifier.*"],
];

/// Prefixes of the names in a block.
const BLOCKS: [&str; 3] = ["stages.#.#.", "stages.#.blocks.#.", "encoder.stages.#.layers.#."];

/// The names of a block's parameter in the block; `None` for what only blocks of this program have. Of a layer with weight
/// and bias both are brought along, and what files of a training have in their place (`kernel`, `linear.weight`).
const fn in_block(parameter: BlockParameter) -> Option<[&'static str; 3]> {
    use BlockParameter as P;
    Some(match parameter {
        P::DepthwiseWeight | P::DepthwiseBias => ["dwconv.*", "conv_dw.*", "dwconv.*"],
        P::NormWeight | P::NormBias => ["norm.*", "norm.*", "layernorm.*"],
        P::ExpandWeight | P::ExpandBias => ["pwconv1.*", "mlp.fc1.*", "pwconv1.*"],
        P::ProjectWeight | P::ProjectBias => ["pwconv2.*", "mlp.fc2.*", "pwconv2.*"],
        P::GrnGamma => ["grn.gamma", "mlp.grn.weight", "grn.weight"],
        P::GrnBeta => ["grn.beta", "mlp.grn.bias", "grn.bias"],
        P::LayerScale => ["gamma", "gamma", "layer_scale_parameter"],
        P::BatchNormWeight
        | P::BatchNormBias
        | P::RunningMean
        | P::RunningVariance
        | P::BatchCounter
        | P::LayerNormWeight
        | P::LayerNormBias
        | P::SqueezeWeight
        | P::ExciteWeight
        | P::ChannelGateReduce
        | P::ChannelGateExpand
        | P::SpatialGateWeight => return None,
    })
}

/// Parts of the names in blocks: official, and in OpenMMLab (mmpretrain's ConvNeXt, on which mmsegmentation builds).
pub(crate) const PARTS_OF_OPENMMLAB: [[&str; 2]; 3] =
    [["dwconv", "depthwise_conv"], ["pwconv1", "pointwise_conv1"], ["pwconv2", "pointwise_conv2"]];

/// All names.
static NAMES: LazyLock<Vec<[String; 3]>> = LazyLock::new(|| {
    let of_block = |parameter| {
        let names = in_block(parameter)?;
        Some(std::array::from_fn(|column| format!("{}{}", BLOCKS[column], names[column])))
    };
    let outside = OUTSIDE_BLOCKS.into_iter().map(|row| row.map(str::to_owned));
    outside.chain(BLOCK_PARAMETERS.into_iter().filter_map(|row| of_block(row.parameter))).collect()
});

/// Prefix that transformers puts before the names of a backbone, in its classes with a head.
const TRANSFORMERS_PREFIXES: [&str; 2] = ["convnextv2.", "convnext."];

impl Naming {
    /// The official name of a tensor that is called `name` here; `None` when it is no tensor of a ConvNeXt.
    pub(crate) fn official(self, name: &str) -> Option<String> {
        match self {
            Self::Official | Self::Timm => translate(name, self.column(), 0),
            Self::HuggingFace => {
                let bare = TRANSFORMERS_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
                translate(bare.unwrap_or(name), self.column(), 0)
            }
        }
    }

    /// Name here of a tensor with this official name, in a model with GRN or without; `None` for tensors that
    /// only an autoencoder has.
    pub(crate) fn of_official(self, name: &str, grn: bool) -> Option<String> {
        let name = self.bare_of_official(name)?;
        let prefix = match self {
            Self::HuggingFace if !name.starts_with("classifier.") => TRANSFORMERS_PREFIXES[usize::from(!grn)],
            _ => "",
        };
        Some(format!("{prefix}{name}"))
    }

    /// [`Self::of_official`] without what transformers puts before the names of a backbone.
    pub(crate) fn bare_of_official(self, name: &str) -> Option<String> {
        translate(name, 0, self.column())
    }

    fn column(self) -> usize {
        match self {
            Self::Official => 0,
            Self::Timm => 1,
            Self::HuggingFace => 2,
        }
    }
}

/// The name with each part that stands in column `from` of a table exchanged for that in column `to`.
pub(crate) fn exchange(name: &str, table: &[[&str; 2]], from: usize, to: usize) -> String {
    let part = |part| table.iter().find(|row| row[from] == part).map_or(part, |row| row[to]);
    name.split('.').map(part).collect::<Vec<_>>().join(".")
}

/// The official name of a backbone's tensor without what stands in front of it in an autoencoder.
pub(crate) fn without_encoder(name: &str) -> &str {
    name.strip_prefix(ENCODER_PREFIX).unwrap_or(name)
}

/// The name by the first row of a table, from and to, that it fits. `#` stands for a number, `*` for the rest of the name.
pub(crate) fn translate_by(table: &[[&str; 2]], name: &str) -> Option<String> {
    table.iter().find_map(|[from, to]| Some(fill(to, &wildcards(name, from)?)))
}

fn translate(name: &str, from: usize, to: usize) -> Option<String> {
    NAMES.iter().find_map(|row| Some(fill(&row[to], &wildcards(name, &row[from])?)))
}

/// Text at the wildcards of a pattern, if the name fits it.
fn wildcards<'a>(name: &'a str, pattern: &str) -> Option<Vec<&'a str>> {
    let mut rest = Some(name);
    let mut found = Vec::new();
    for wanted in pattern.split('.') {
        let left = rest?;
        if wanted == "*" {
            found.push(left);
            return Some(found);
        }
        let (part, after) = left.split_once('.').map_or((left, None), |(part, after)| (part, Some(after)));
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        match wanted {
            "#" if is_number => found.push(part),
            _ if part == wanted => {}
            _ => return None,
        }
        rest = after;
    }
    rest.is_none().then_some(found)
}

fn fill(pattern: &str, wildcards: &[&str]) -> String {
    let mut wildcards = wildcards.iter();
    let part = |part| match part {
        "#" | "*" => wildcards.next().copied().unwrap_or(part),
        _ => part,
    };
    pattern.split('.').map(part).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use convnext_core::{MODELS, ModelConfig, classifier_tensors};

    use super::*;

    #[test]
    fn every_name_of_every_model_goes_there_and_back() {
        for size in MODELS {
            let model = ModelConfig { layer_scale: Some(1.0), ..size.config() };
            for (name, _) in classifier_tensors(&model) {
                for naming in [Naming::Official, Naming::Timm, Naming::HuggingFace] {
                    for grn in [true, false] {
                        let there = naming.of_official(&name, grn).unwrap();
                        assert_eq!(naming.official(&there), Some(name.clone()), "{naming:?}: {there}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_parameter_of_a_block_is_under_its_official_name() {
        for row in BLOCK_PARAMETERS {
            let Some([official, ..]) = in_block(row.parameter) else { continue };
            assert!(wildcards(row.name, official).is_some(), "{} is not {official}", row.name);
        }
    }

    #[test]
    fn names_are_those_of_the_packages() {
        for (official, timm, transformers) in [
            ("downsample_layers.0.1.bias", "stem.1.bias", "convnextv2.embeddings.layernorm.bias"),
            (
                "downsample_layers.2.1.weight",
                "stages.2.downsample.1.weight",
                "convnextv2.encoder.stages.2.downsampling_layer.1.weight",
            ),
            (
                "stages.3.11.grn.gamma",
                "stages.3.blocks.11.mlp.grn.weight",
                "convnextv2.encoder.stages.3.layers.11.grn.weight",
            ),
            ("norm.weight", "head.norm.weight", "convnextv2.layernorm.weight"),
            ("head.bias", "head.fc.bias", "classifier.bias"),
        ] {
            assert_eq!(Naming::Timm.of_official(official, true).as_deref(), Some(timm));
            assert_eq!(Naming::HuggingFace.of_official(official, true).as_deref(), Some(transformers));
        }
        let without_grn = Naming::HuggingFace.of_official("stages.0.0.gamma", false);
        assert_eq!(without_grn.as_deref(), Some("convnext.encoder.stages.0.layers.0.layer_scale_parameter"));
    }

    #[test]
    fn other_names_are_nobodys() {
        for name in
            ["stages.0.x.dwconv.weight", "stages.0.0.dwconv", "stages..0.gamma", "mask_token", "", "norm"]
        {
            assert_eq!(translate(name, 0, 1), None, "{name}");
        }
        assert_eq!(Naming::Timm.official("norm_pre.weight"), None);
    }
}
