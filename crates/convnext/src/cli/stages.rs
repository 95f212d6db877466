//! Arguments about the stages of a model: how many blocks and channels they have.

use clap::Args;
use convnext::core::{MAX_BLOCKS, MAX_CHANNELS, ModelConfig, STAGES};

/// A number for each stage.
type OfStages = [usize; STAGES];

/// Arguments about the stages of a model.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct StageArguments {
    /// Blocks of the four stages, in place of those of --model, such as 2,2,6,2
    #[arg(long, value_name = "N,N,N,N", value_parser = depths)]
    depths: Option<OfStages>,
    /// Channels of the four stages, in place of those of --model, such as 24,48,96,192
    #[arg(long, value_name = "N,N,N,N", value_parser = widths)]
    widths: Option<OfStages>,
}

impl StageArguments {
    /// A model with what was asked for, under the name that its shape has.
    pub(crate) fn apply(self, model: ModelConfig) -> ModelConfig {
        if (self.depths, self.widths) == (None, None) {
            return model;
        }
        let (depths, widths) = (self.depths.unwrap_or(model.depths), self.widths.unwrap_or(model.widths));
        ModelConfig { depths, widths, ..model }.named()
    }
}

/// The arguments that give a model its stages.
pub(crate) fn arguments_of_stages(model: &ModelConfig) -> [(&'static str, String); 2] {
    let words = |counts: OfStages| counts.map(|count| count.to_string()).join(",");
    [("--depths", words(model.depths)), ("--widths", words(model.widths))]
}

fn depths(text: &str) -> Result<OfStages, String> {
    of_stages(text, MAX_BLOCKS)
}

fn widths(text: &str) -> Result<OfStages, String> {
    of_stages(text, MAX_CHANNELS)
}

fn of_stages(text: &str, most: usize) -> Result<OfStages, String> {
    let number = |word: &str| word.trim().parse().ok().filter(|number| (1..=most).contains(number));
    let numbers: Option<Vec<usize>> = text.split(',').map(number).collect();
    let found = numbers.and_then(|numbers| numbers.try_into().ok());
    found.ok_or_else(|| format!("expected {STAGES} whole numbers from 1 to {most}, with commas between them"))
}

#[cfg(test)]
mod tests {
    use convnext::core::find_model;

    use super::*;

    #[test]
    fn stages_are_replaced_and_the_name_with_them() {
        let micro = find_model("micro").unwrap().config();
        let asked = |depths, widths| StageArguments { depths, widths }.apply(micro.clone());
        assert_eq!(asked(None, None), micro);
        let wide = asked(None, Some([32, 64, 128, 256]));
        assert_eq!(
            (wide.name.as_str(), wide.depths, wide.widths),
            ("custom", micro.depths, [32, 64, 128, 256])
        );
        assert_eq!(asked(Some([2, 2, 6, 2]), Some([40, 80, 160, 320])).name, "atto");
        let [depths, widths_of] = arguments_of_stages(&wide).map(|(_, value)| value);
        assert_eq!(
            (super::depths(&depths).unwrap(), widths(&widths_of).unwrap()),
            (wide.depths, wide.widths)
        );
    }

    #[test]
    fn four_numbers_are_expected() {
        for text in ["", "2", "2,2,6", "2,2,6,2,2", "2,2,0,2", "2,2,x,2", "2,2,1001,2", "-2,2,6,2"] {
            assert!(depths(text).unwrap_err().contains("4 whole numbers from 1 to 1000"), "{text}");
        }
        assert_eq!(depths("2, 2, 6, 2"), Ok([2, 2, 6, 2]));
        assert!(widths("16,32,64,65537").is_err());
    }
}
