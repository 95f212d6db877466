//! What the recipes of transfers to dense tasks, segmentation and detection, have in common.

use convnext_core::counted;
use serde::{Deserialize, Serialize};

use super::asked_batch::AskedBatch;
use super::auto::formulas::{layer_decay, parameters};
use super::init_from::InitFrom;
use super::recipe_context::RecipeContext;
use super::rule::Rule;
use super::start::{LayerDecayRecipe, check_alternatives};
use crate::error::TrainError;

/// Settings of a transfer that starts from weights.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferFromWeights {
    /// Layer-wise decay of the learning rate; `None` lets all layers learn alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_decay: Option<LayerDecayRecipe>,
}

/// Settings of a transfer that starts from scratch, in place of those in `training`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransferFromScratch {
    /// As [`crate::TrainingRecipe::learning_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// As [`crate::TrainingRecipe::base_learning_rate`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_learning_rate: Option<f64>,
    /// As [`crate::TrainingRecipe::warmup_epochs`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_epochs: Option<f64>,
    /// As [`crate::TrainingRecipe::warmup_steps`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<f64>,
}

impl TransferFromScratch {
    /// Refuses two warm-ups or rates, of which one would be passed over; `choice` names the recipe.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] with their keys.
    pub fn validate(&self, choice: &str) -> Result<(), TrainError> {
        let rates = [self.learning_rate, self.base_learning_rate];
        check_alternatives(rates, [self.warmup_epochs, self.warmup_steps], choice)
    }
}

/// What the default of a task goes by: settings that are known for one backbone and number of images.
#[derive(Debug, Clone, Copy)]
pub struct KnownTransfer {
    /// Images of a batch, and why so many.
    pub batch: (usize, &'static str),
    /// Parameters of the backbone that the rate is for; a larger one learns more slowly.
    pub parameters: f64,
    /// The highest rate for that backbone and batch, from scratch and from a classifier.
    pub rate: f64,
    /// The same from pre-trained weights.
    pub rate_from_pretrained: f64,
    /// `true` if early layers of deep backbones learn more slowly where they come from weights.
    pub layer_decay: bool,
    /// Training images that the steps are for.
    pub images: f64,
    /// Steps for so many images.
    pub steps: f64,
    /// The fewest and the most steps.
    pub bounds: [f64; 2],
    /// Drop path rate of backbones of up to 5, 50, 300 and of more million parameters.
    pub drop_path: [f64; 4],
}

impl KnownTransfer {
    /// Rules that change the plain recipe for this backbone and data, and for the batch that was asked for.
    ///
    /// # Errors
    /// [`TrainError::Config`] when the model is not sound.
    pub fn rules(&self, context: &RecipeContext<'_>, asked: AskedBatch) -> Result<Vec<Rule>, TrainError> {
        let parameters = parameters(context.model)?;
        let steps = self.steps(context.images);
        let images = counted(context.images, "image", "images");
        let [fewest, most] = self.bounds.map(|steps| steps / 1000.0);
        let warm_up_key = match context.init_from {
            InitFrom::Scratch => "from_scratch.warmup_steps",
            _ => "training.warmup_steps",
        };
        let mut rules = vec![
            Rule::new("training.batch_size", self.batch.0, self.batch.1),
            Rule::new(
                "training.steps",
                steps,
                format!(
                    "{images}: twice as many steps for four times as many images, from {fewest},000 to {most},000"
                ),
            ),
            Rule::new(warm_up_key, (steps / 20.0).round(), "a twentieth of the steps"),
            self.rate_rule(context, asked, parameters),
        ];
        if let Some(decay) = layer_decay(context).filter(|_| self.layer_decay) {
            rules.push(Rule::new(
                "from_weights.layer_decay",
                format!("{{ rate = {decay}, count = \"single\" }}"),
                "early layers learn more slowly, the first at about a quarter of the rate",
            ));
        }
        let [small, medium, large, huge] = self.drop_path;
        let drop_path = match parameters {
            ..5e6 => small,
            ..50e6 => medium,
            ..300e6 => large,
            _ => huge,
        };
        rules.push(Rule::new("regularization.drop_path", drop_path, "grows with the model"));
        Ok(rules)
    }

    fn steps(&self, images: usize) -> f64 {
        let [fewest, most] = self.bounds;
        let steps = self.steps * (images.max(1) as f64 / self.images).sqrt();
        (steps.clamp(fewest, most) / 100.0).round() * 100.0
    }

    /// The highest rate, for the batch that the run has.
    fn rate_rule(&self, context: &RecipeContext<'_>, asked: AskedBatch, parameters: f64) -> Rule {
        let key = match context.init_from {
            InitFrom::Scratch => "from_scratch.learning_rate",
            _ => "training.learning_rate",
        };
        let (batch, _) = self.batch;
        let images = asked.images_per_step(batch).min(context.images.max(1)) as f64;
        let of_model = (parameters / self.parameters).powf(-0.35);
        let known = match context.init_from {
            InitFrom::Pretrained => self.rate_from_pretrained,
            InitFrom::Scratch | InitFrom::Classifier { .. } => self.rate,
        };
        let rate = known * of_model * (images / batch as f64).sqrt();
        let (million, batch, start) = (parameters / 1e6, asked.in_words(batch), context.init_from);
        let rate: f64 = format!("{rate:.1e}").parse().unwrap_or(rate);
        Rule::new(key, rate, format!("for {million:.1} M parameters and {batch}, {start}"))
    }
}
