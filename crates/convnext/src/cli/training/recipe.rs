//! Recipe settings of the arguments.

use convnext::core::{ImageSize, WeightMetadata};
use convnext::train::{Given, InputRecipe, Setting, TrainingRecipe};

use super::TrainingArguments;
use super::batch_size::BatchSize;

/// Source, in words, of a value that comes from the weights to start from.
pub(crate) const OF_WEIGHTS: &str = "the weights of --init";

/// Keys of a recipe that flags and `--quick` decide.
const EPOCHS: &str = "training.epochs";
const BATCH_SIZE: &str = "training.batch_size";
const ACCUMULATE: &str = "training.accumulate";

/// Patches along the side of the images of a training with `--quick`.
const QUICK_PATCHES: usize = 2;

impl TrainingArguments {
    /// Values given for the recipe by flags, `--set` and weights.
    pub(crate) fn given(&self, weights: Option<&WeightMetadata>) -> Given {
        let batch = match self.batch_size {
            Some(BatchSize::Count(count)) => Some(Setting::new(BATCH_SIZE, count, "--batch-size")),
            Some(BatchSize::Auto) | None => None,
        };
        let accumulate = |count| Setting::new(ACCUMULATE, count, "--accumulate");
        let rate = |rate: f64| Setting::new("training.learning_rate", format!("{rate:?}"), "--lr");
        let size = |size| Setting::of_size(size, "--image-size");
        // Where images have sizes of their own, a training needs another answer.
        let of_weights = |weights: &WeightMetadata| {
            Some(Setting::of_size(weights.preprocessing.image_size()?, OF_WEIGHTS))
        };
        let flags = [batch, self.accumulate.map(accumulate), self.lr.map(rate), self.image_size.map(size)];
        let given = Given {
            flags: flags.into_iter().flatten().collect(),
            settings: self.settings.clone(),
            weights: weights.and_then(of_weights).into_iter().collect(),
            batch_is_found_later: self.batch_is_found_later(),
            other_claim: None,
        };
        self.warn_of_overruled(&given);
        if let Some(weights) = weights
            && weights.preprocessing.image_size().is_none()
            && self.image_size.is_none()
        {
            let geometry = weights.preprocessing.geometry;
            log::warn!(
                "the weights take images {geometry}, and a training needs one size: give --image-size"
            );
        }
        given
    }

    /// `true` where `--batch-size auto` or `--quick` decides the batch, and not the recipe.
    fn batch_is_found_later(&self) -> bool {
        match self.batch_size {
            Some(BatchSize::Auto) => true,
            Some(BatchSize::Count(_)) => false,
            None => self.quick,
        }
    }

    /// Flags that decide something after the recipe is made, without being a value of its key, each with the key: they go before
    /// `--set` and all reasons.
    fn decided_later(&self) -> Vec<(&'static str, &'static str)> {
        let is_automatic = matches!(self.batch_size, Some(BatchSize::Auto));
        let flags = [
            ("--epochs", self.length.epochs.is_some(), EPOCHS),
            ("--steps", self.length.steps.is_some(), EPOCHS),
            ("--budget", self.length.budget.is_some(), EPOCHS),
            ("--quick", self.quick && !self.length.is_given(), EPOCHS),
            ("--batch-size auto", is_automatic, BATCH_SIZE),
            ("--quick", self.quick && self.batch_size.is_none(), BATCH_SIZE),
            ("--quick", self.quick && self.accumulate.is_none(), ACCUMULATE),
            ("--quick", self.quick && self.image_size.is_none(), InputRecipe::IMAGE_SIZE),
        ];
        flags.into_iter().filter(|(_, is_given, _)| *is_given).map(|(flag, _, key)| (flag, key)).collect()
    }

    /// Warns of values of `--set` that are decided otherwise.
    fn warn_of_overruled(&self, given: &Given) {
        for (flag, key) in self.decided_later() {
            if given.is_set(key) {
                log::warn!("--set {key} may not be used as it stands: {flag} goes before it");
            }
        }
        // The warm-up keeps its share of the length.
        let warm_up =
            ["training.warmup_epochs", "training.warmup_steps"].into_iter().find(|key| given.is_set(key));
        if let Some(key) = warm_up.filter(|_| self.length.is_given()) {
            log::warn!(
                "--set {key} is rescaled with the length; to keep it as it stands, give the length by --set training.epochs or \
                 training.steps instead"
            );
        }
    }

    /// With `--quick`, makes everything small that no flag of its own decides; `patch` is the model's, in pixels. And leaves
    /// out the reasons for what was decided otherwise.
    pub(crate) fn shrink(
        &self,
        recipe: &mut TrainingRecipe,
        image_size: &mut ImageSize,
        patch: usize,
        reasons: &mut Vec<String>,
    ) {
        let (batch_size, accumulate) = (recipe.batch_size, recipe.accumulate);
        if self.quick {
            recipe.shrink();
            let batches = "batches of at most a few: from --quick";
            reasons.push(if self.image_size.is_some() {
                batches.to_owned()
            } else {
                let [height, width] =
                    [image_size.height, image_size.width].map(|side| side.min(QUICK_PATCHES * patch));
                *image_size = ImageSize { height, width };
                format!("images of {} and {batches}", image_size.with_unit())
            });
        }
        if matches!(self.batch_size, Some(BatchSize::Count(_))) {
            recipe.batch_size = batch_size;
        }
        if self.accumulate.is_some() {
            recipe.accumulate = accumulate;
        }
        let later = self.decided_later();
        let has_length = self.length.is_given() || self.quick;
        let decided =
            [(has_length, "epochs"), (self.quick, "batch_size"), (self.batch_size.is_some(), "batch_size")];
        let is_decided = |key: &str| decided.iter().any(|&(decided, end)| decided && key.ends_with(end));
        reasons.retain(|reason| {
            let key = reason.split([' ', ':']).next().unwrap_or_default();
            let is_rule = reason[key.len()..].starts_with(" = ");
            // A length has two keys.
            let of_later = if key == "training.steps" { EPOCHS } else { key };
            let is_overruled = later.iter().any(|(_, decided)| *decided == of_later);
            let is_outdated = is_overruled || (is_rule && is_decided(key));
            !is_outdated
        });
    }
}
