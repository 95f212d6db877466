//! Differences between the blocks of weights to start from and those of the model that starts: GRN or a rival of it, and
//! LayerScale, dropped, added or replaced (paper Table 2f).

use convnext_core::{BlockParameter, ModelConfig, ResponseNorm, find_model};

/// The parameters of blocks that cannot go on learning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BlockChange {
    /// The normalisations of the hidden channels, where they differ: of the weights and of the model.
    norms: Option<[Option<ResponseNorm>; 2]>,
    /// The initial values of LayerScale, where one has it and the other not.
    scales: Option<[Option<f64>; 2]>,
}

impl BlockChange {
    /// From the backbone of weights to that of a model.
    pub(crate) fn new(from: &ModelConfig, to: &ModelConfig) -> Self {
        let norms = [from.response_norm, to.response_norm];
        let scales = [from.layer_scale, to.layer_scale];
        Self {
            norms: (norms[0] != norms[1]).then_some(norms),
            scales: (scales[0].is_some() != scales[1].is_some()).then_some(scales),
        }
    }

    /// `true` if the tensor of this name starts fresh, or is left out of the weights.
    pub(crate) fn concerns(self, name: &str) -> bool {
        BlockParameter::of_name(name).is_some_and(|parameter| match parameter {
            BlockParameter::LayerScale => self.scales.is_some(),
            other => self.norms.is_some() && other.is_of_response_norm(),
        })
    }

    /// A sentence for each difference.
    pub(crate) fn in_words(self) -> Vec<String> {
        let words = |norm: ResponseNorm| norm.in_words();
        let of_norms = self.norms.and_then(|norms| match norms {
            [None, None] => None,
            [Some(old), None] => {
                Some(format!("{} of the weights is dropped, and nothing takes its place", words(old)))
            }
            [None, Some(new)] => Some(format!("{} is added to the weights and starts fresh", words(new))),
            [Some(old), Some(new)] => {
                let [old, new] = [old, new].map(words);
                Some(format!("{old} of the weights is replaced by {new}, which starts fresh"))
            }
        });
        let of_scales = self.scales.map(|[_, new]| match new {
            None => "LayerScale of the weights is dropped".to_owned(),
            Some(value) => format!("LayerScale is added to the weights and starts at {value:?}"),
        });
        of_norms.into_iter().chain(of_scales).collect()
    }
}

/// What is told of the blocks of a model before its training: where they differ from the weights that it starts from, or
/// from those of its size.
pub(crate) fn blocks_in_words(of_weights: Option<&ModelConfig>, model: &ModelConfig) -> Vec<String> {
    let mut lines = match of_weights {
        Some(weights) => BlockChange::new(weights, model).in_words(),
        None => fresh_blocks_in_words(model),
    };
    if let Some(rival) = model.response_norm.filter(|_| !model.has_grn()) {
        lines.push(format!(
            "blocks with {} run without kernels: slower, in f32, and saving their input alone",
            rival.in_words()
        ));
    }
    lines
}

/// Where fresh blocks differ from those of the model's size.
fn fresh_blocks_in_words(model: &ModelConfig) -> Vec<String> {
    let Ok(size) = find_model(&model.name) else { return Vec::new() };
    let plain = size.config();
    let norm = (model.response_norm != plain.response_norm).then(|| {
        let name = model.response_norm.map_or("no response norm", ResponseNorm::in_words);
        match plain.response_norm {
            Some(usual) => format!("blocks have {name} in the place of {}", usual.in_words()),
            None => format!("blocks have {name}"),
        }
    });
    let scale = (model.layer_scale != plain.layer_scale).then(|| match model.layer_scale {
        Some(value) => format!("blocks have LayerScale, which starts at {value:?}"),
        None => "blocks have no LayerScale".to_owned(),
    });
    norm.into_iter().chain(scale).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micro(response_norm: Option<ResponseNorm>, layer_scale: Option<f64>) -> ModelConfig {
        ModelConfig { response_norm, layer_scale, ..find_model("micro").unwrap().config() }
    }

    #[test]
    fn what_differs_is_said_and_starts_fresh() {
        let (grn, se) = (Some(ResponseNorm::Grn), Some(ResponseNorm::Se));
        for (from, to, words, concerned) in [
            ((grn, None), (grn, None), &[][..], [false, false]),
            ((grn, None), (None, None), &["GRN of the weights is dropped, and nothing"], [true, false]),
            ((None, None), (grn, None), &["GRN is added to the weights"], [true, false]),
            ((grn, None), (se, None), &["replaced by squeeze and excite", "without kernels"], [true, false]),
            ((grn, Some(1.0)), (grn, None), &["LayerScale of the weights is dropped"], [false, true]),
            ((grn, None), (grn, Some(1e-6)), &["LayerScale is added", "starts at 1e-6"][..1], [false, true]),
            ((se, Some(1.0)), (se, Some(1e-6)), &["without kernels"], [false, false]),
        ] {
            let (from, to) = (micro(from.0, from.1), micro(to.0, to.1));
            let found = blocks_in_words(Some(&from), &to);
            assert_eq!(found.len(), words.len(), "{found:?}");
            assert!(found.iter().zip(words).all(|(line, word)| line.contains(word)), "{found:?}");
            let change = BlockChange::new(&from, &to);
            let names = ["encoder.stages.0.0.grn.gamma", "stages.2.1.gamma"];
            assert_eq!(names.map(|name| change.concerns(name)), concerned, "{found:?}");
            assert!(!change.concerns("stages.0.0.norm.weight") && !change.concerns("norm.weight"));
        }
    }

    #[test]
    fn fresh_blocks_are_compared_with_those_of_their_size() {
        assert!(blocks_in_words(None, &micro(Some(ResponseNorm::Grn), None)).is_empty());
        let found = blocks_in_words(None, &micro(None, Some(1.0)));
        assert_eq!(found[0], "blocks have no response norm in the place of GRN");
        assert_eq!(found[1], "blocks have LayerScale, which starts at 1.0");
        let v1 = find_model("v1-micro").unwrap().config();
        assert!(blocks_in_words(None, &v1).is_empty());
        let found = blocks_in_words(None, &ModelConfig { response_norm: Some(ResponseNorm::Bn), ..v1 });
        assert!(found[0] == "blocks have batch norm" && found[1].contains("without kernels"), "{found:?}");
    }
}
