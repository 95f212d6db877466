//! The one table of sizes (paper appendix A, Tables 14 and 15; docs/facts.md, "Configs, exact sizes").

use crate::config::{Family, ModelConfig};
use crate::error::ConfigError;
use crate::limits::STAGES;
use crate::preprocessing::COLOURS;

/// A row of the table: everything that a model's name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelSize {
    /// The name on the command line: `atto` to `huge`, `v1-atto` to `v1-xlarge`, `micro`, `v1-micro`.
    pub name: &'static str,
    /// V1 or V2.
    pub family: Family,
    /// Blocks in each stage.
    pub depths: [usize; STAGES],
    /// Channels of the first stage; each later stage doubles them.
    pub width: usize,
    /// `false` for sizes that are ours and not the paper's.
    pub in_paper: bool,
    /// Parameters with a head of 1,000 classes, stem stride 4 and 3 input channels.
    pub parameters: u64,
}

impl ModelSize {
    /// The configuration of this row: 1,000 classes, 3 input channels, stem stride 4.
    pub fn config(&self) -> ModelConfig {
        ModelConfig {
            name: self.name.to_owned(),
            depths: self.depths,
            widths: std::array::from_fn(|stage| self.width << stage),
            response_norm: self.family.response_norm(),
            layer_scale: self.family.layer_scale(),
            classes: 1000,
            input_channels: COLOURS,
            stem_stride: 4,
        }
    }

    /// The size of the paper that a configuration began as: that of its name, whatever its blocks have now. Under the name of
    /// no size with these depths and widths it is the one that has them, of V2 with a response norm and of V1 without.
    pub fn of_paper(model: &ModelConfig) -> Option<&'static Self> {
        let has_shape = |size: &&Self| {
            let plain = size.config();
            (plain.depths, plain.widths) == (model.depths, model.widths)
        };
        let of_family = |size: &&Self| size.config().response_norm.is_some() == model.response_norm.is_some();
        let named = MODELS.iter().filter(has_shape).find(|size| size.name == model.name);
        let found = named.or_else(|| MODELS.iter().filter(has_shape).find(of_family));
        found.filter(|size| size.in_paper)
    }

    /// The name without that of its family, such as `base` for V1's.
    pub fn name_in_family(&self) -> &'static str {
        self.name.trim_start_matches("v1-")
    }
}

/// The name of models that are no row of the table.
pub const CUSTOM: &str = "custom";

impl ModelConfig {
    /// The same model under the name of the row of [`MODELS`] that has its depths, widths and blocks, whatever its stem, channels
    /// and classes; [`CUSTOM`] where none has.
    pub fn named(self) -> Self {
        let shape = |model: &Self| (model.depths, model.widths, model.response_norm, model.layer_scale);
        let row = MODELS.iter().find(|size| shape(&size.config()) == shape(&self));
        Self { name: row.map_or(CUSTOM, |size| size.name).to_owned(), ..self }
    }
}

/// Looks a model up by its name.
///
/// # Errors
/// [`ConfigError::UnknownModel`] with all names that exist.
pub fn find_model(name: &str) -> Result<&'static ModelSize, ConfigError> {
    MODELS.iter().find(|size| size.name == name).ok_or_else(|| ConfigError::UnknownModel {
        name: name.to_owned(),
        known: MODELS.map(|size| size.name).join(", "),
    })
}

const fn row(
    name: &'static str,
    family: Family,
    depths: [usize; STAGES],
    width: usize,
    in_paper: bool,
    parameters: u64,
) -> ModelSize {
    ModelSize { name, family, depths, width, in_paper, parameters }
}

/// Every model by name. V1's four small sizes are those of the paper's supervised baselines.
#[rustfmt::skip]
pub const MODELS: [ModelSize; 19] = [
    row("atto",      Family::V2, [2, 2,  6, 2],  40, true,    3_708_400),
    row("femto",     Family::V2, [2, 2,  6, 2],  48, true,    5_233_240),
    row("pico",      Family::V2, [2, 2,  6, 2],  64, true,    9_066_280),
    row("nano",      Family::V2, [2, 2,  8, 2],  80, true,   15_623_800),
    row("tiny",      Family::V2, [3, 3,  9, 3],  96, true,   28_635_496),
    row("base",      Family::V2, [3, 3, 27, 3], 128, true,   88_717_800),
    row("large",     Family::V2, [3, 3, 27, 3], 192, true,  197_956_840),
    row("huge",      Family::V2, [3, 3, 27, 3], 352, true,  660_289_640),
    row("v1-atto",   Family::V1, [2, 2,  6, 2],  40, true,    3_695_520),
    row("v1-femto",  Family::V1, [2, 2,  6, 2],  48, true,    5_217_784),
    row("v1-pico",   Family::V1, [2, 2,  6, 2],  64, true,    9_045_672),
    row("v1-nano",   Family::V1, [2, 2,  8, 2],  80, true,   15_593_560),
    row("v1-tiny",   Family::V1, [3, 3,  9, 3],  96, true,   28_589_128),
    row("v1-small",  Family::V1, [3, 3, 27, 3],  96, true,   50_223_688),
    row("v1-base",   Family::V1, [3, 3, 27, 3], 128, true,   88_591_464),
    row("v1-large",  Family::V1, [3, 3, 27, 3], 192, true,  197_767_336),
    row("v1-xlarge", Family::V1, [3, 3, 27, 3], 256, true,  350_196_968),
    row("micro",     Family::V2, [1, 1,  2, 1],  16, false,     400_136),
    row("v1-micro",  Family::V1, [1, 1,  2, 1],  16, false,     398_008),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::response_norm::ResponseNorm;

    #[test]
    fn a_model_is_named_by_its_shape() {
        let micro = find_model("v1-micro").unwrap().config();
        let renamed = |model: &ModelConfig| ModelConfig { name: String::new(), ..model.clone() }.named().name;
        assert_eq!(renamed(&ModelConfig { stem_stride: 1, classes: 3, ..micro.clone() }), "v1-micro");
        assert_eq!(renamed(&ModelConfig { widths: [32, 64, 128, 256], ..micro.clone() }), CUSTOM);
        assert_eq!(renamed(&ModelConfig { depths: [1, 1, 1, 1], ..micro.clone() }), CUSTOM);
        assert_eq!(renamed(&ModelConfig { response_norm: Family::V2.response_norm(), ..micro }), CUSTOM);
    }

    #[test]
    fn names_are_unique_and_found() {
        for size in MODELS {
            assert_eq!(find_model(size.name).unwrap().name, size.name);
            assert_eq!(MODELS.iter().filter(|other| other.name == size.name).count(), 1);
        }
        let error = find_model("giant").unwrap_err().to_string();
        assert!(error.contains("giant") && error.contains("v1-xlarge"), "{error}");
    }

    #[test]
    fn a_model_is_of_the_size_that_it_is_called_after() {
        use ResponseNorm as R;
        for (name, response_norm, expected) in [
            ("base", None, Some("base")),
            ("base", Some(R::Lrn), Some("base")),
            ("v1-base", Some(R::Se), Some("v1-base")),
            ("mine", Some(R::Se), Some("base")),
            ("mine", None, Some("v1-base")),
            // A name of a size of another shape says nothing.
            ("tiny", None, Some("v1-base")),
        ] {
            let base = find_model("base").unwrap().config();
            let model = ModelConfig { name: name.to_owned(), response_norm, ..base };
            assert_eq!(
                ModelSize::of_paper(&model).map(|size| size.name),
                expected,
                "{name}, {response_norm:?}"
            );
        }
        assert_eq!(ModelSize::of_paper(&find_model("micro").unwrap().config()), None);
    }
}
