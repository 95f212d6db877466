//! Configuration of the decode head UperNet (docs/facts.md, "F. Segmentation"; paper appendix A.4).

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::error::ConfigError;
use crate::limits::{CHANNELS_RANGE, MAX_CHANNELS, STAGES};
use crate::tensors::{TensorShape, conv_norm_tensors};

/// Cells along each side of the maps of the pyramid pooling module.
pub const POOL_SCALES: [usize; 4] = [1, 2, 3, 6];

/// UperNet around a backbone: pyramid pooling of the last stage, a feature pyramid over all four, and an auxiliary
/// head that only training uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UperNetConfig {
    /// Channels of every map of the decode head; 512 in the paper.
    pub head_width: usize,
    /// Channels of the auxiliary head on the third stage; `None` for a network without it. 256 in the paper.
    pub auxiliary_width: Option<usize>,
}

impl UperNetConfig {
    /// The paper's, for every size of the backbone.
    pub const PAPER: Self = Self { head_width: 512, auxiliary_width: Some(256) };

    /// The default for a backbone: the paper's from Tiny on. Below, 512 channels would cost many times what the backbone
    /// does, 73 times for Atto, so there are 128.
    pub fn of_backbone(backbone: &ModelConfig) -> Self {
        match backbone.last_width() {
            768.. => Self::PAPER,
            _ => Self { head_width: 128, ..Self::PAPER },
        }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`ConfigError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let check = |what, found: usize| match (1..=MAX_CHANNELS).contains(&found) {
            true => Ok(()),
            false => {
                Err(ConfigError::OutOfRange { what, found: found.to_string(), expected: CHANNELS_RANGE })
            }
        };
        check("head width", self.head_width)?;
        self.auxiliary_width.map_or(Ok(()), |width| check("auxiliary width", width))
    }

    /// Name and shape of every tensor besides the backbone's, running statistics and counters included: mmsegmentation's
    /// names without the prefix `backbone.`.
    pub fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        let (widths, head, classes) = (backbone.widths, self.head_width, backbone.classes);
        let mut tensors = Vec::new();
        for (stage, width) in widths.into_iter().enumerate() {
            tensors.extend(["weight", "bias"].map(|leaf| (format!("norm{stage}.{leaf}"), vec![width])));
        }
        let last = widths[STAGES - 1];
        let at = |name: String| format!("decode_head.{name}");
        for index in 0..POOL_SCALES.len() {
            tensors.extend(conv_norm_tensors(&at(format!("psp_modules.{index}.1")), [head, last, 1, 1]));
        }
        let pooled = last + POOL_SCALES.len() * head;
        tensors.extend(conv_norm_tensors(&at("bottleneck".into()), [head, pooled, 3, 3]));
        for (stage, width) in widths.into_iter().take(STAGES - 1).enumerate() {
            tensors.extend(conv_norm_tensors(&at(format!("lateral_convs.{stage}")), [head, width, 1, 1]));
        }
        for stage in 0..STAGES - 1 {
            tensors.extend(conv_norm_tensors(&at(format!("fpn_convs.{stage}")), [head, head, 3, 3]));
        }
        tensors.extend(conv_norm_tensors(&at("fpn_bottleneck".into()), [head, STAGES * head, 3, 3]));
        tensors.extend(classifier("decode_head", classes, head));
        if let Some(width) = self.auxiliary_width {
            tensors.extend(conv_norm_tensors("auxiliary_head.convs.0", [width, widths[STAGES - 2], 3, 3]));
            tensors.extend(classifier("auxiliary_head", classes, width));
        }
        tensors
    }
}

/// The 1x1 convolution to the classes.
fn classifier(head: &str, classes: usize, width: usize) -> [TensorShape; 2] {
    [
        (format!("{head}.conv_seg.weight"), vec![classes, width, 1, 1]),
        (format!("{head}.conv_seg.bias"), vec![classes]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizes::find_model;
    use crate::tensors::{backbone_tensors, is_trained};

    /// Table 7 and docs/facts.md, "F. Segmentation": millions of parameters, auxiliary head included.
    #[test]
    fn parameters_are_those_of_the_paper() {
        for (name, millions) in [("tiny", 60.29), ("base", 122.23), ("large", 235.18), ("huge", 706.81)] {
            let model = ModelConfig { classes: 150, ..find_model(name).unwrap().config() };
            let tensors =
                backbone_tensors("", &model).into_iter().chain(UperNetConfig::PAPER.tensors(&model));
            let values: usize = tensors
                .filter(|(name, _)| is_trained(name))
                .map(|(_, shape)| shape.iter().product::<usize>())
                .sum();
            assert_eq!((values as f64 / 1e4).round() / 100.0, millions, "{name}");
        }
    }

    /// The state dict of transformers' UperNet with Atto has 226 tensors.
    #[test]
    fn atto_has_as_many_tensors_as_in_transformers() {
        let model = ModelConfig { classes: 150, ..find_model("atto").unwrap().config() };
        let tensors = UperNetConfig::of_backbone(&model).tensors(&model);
        assert_eq!(backbone_tensors("", &model).len() + tensors.len(), 226);
    }
}
