//! What the runs of a study have in common, in words: rows are called as in the paper, whatever model was run.

use crate::options::RecipeChoice;
use crate::outcome::StudyOutcome;
use crate::planned_lengths::lengths_in_words;
use crate::planned_sizes::own_sizes_in_words;
use crate::stage::Stage;

impl StudyOutcome {
    /// Models, recipes, sizes, lengths and further arguments: names and values.
    pub fn conditions(&self) -> Vec<(&'static str, String)> {
        let options = &self.options;
        let mut conditions = Vec::new();
        let mut add = |name, value: Option<String>| conditions.extend(value.map(|value| (name, value)));
        add("models", Some(options.models(&self.study).join(", ")).filter(|models| !models.is_empty()));
        let recipes = match options.recipes {
            RecipeChoice::Auto => "made for model and images (auto)",
            RecipeChoice::Paper => "those of the paper",
        };
        let is_training = self.plan.iter().any(|run| run.stage.is_training());
        add("recipes", is_training.then(|| recipes.to_owned()));
        let sizes = |stages: &[Stage]| {
            stages.iter().find_map(|stage| options.stage(*stage).image_size).map(|size| format!("{size} px"))
        };
        add("images", sizes(&[Stage::Pretraining, Stage::Finetuning, Stage::Bench]));
        add("images of downstream trainings", sizes(&[Stage::Downstream]));
        add("images of single runs", own_sizes_in_words(&self.study, options, &self.plan));
        add("stem stride", options.stem_stride.map(|stride| stride.to_string()));
        add("lengths", lengths_in_words(&self.plan));
        let arguments = Stage::ALL.into_iter().filter_map(|stage| {
            let words = options.stage(stage).arguments;
            (!words.is_empty()).then(|| format!("{stage} {}", words.join(" ")))
        });
        let arguments: Vec<String> = arguments.collect();
        add("further arguments", Some(arguments.join("; ")).filter(|arguments| !arguments.is_empty()));
        conditions
    }
}
