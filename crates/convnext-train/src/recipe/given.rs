//! Who decides a value of a recipe. This is the one place that says so:
//!
//! 1. a flag (`--mask-ratio`);
//! 2. `--set`;
//! 3. a recipe that was named, with what it extends;
//! 4. the weights to start from;
//! 5. the built-in default.
//!
//! Each goes before those below it, and nothing that was given is passed over without a word.

use convnext_core::ImageSize;
use toml::Table;

use super::asked_batch::AskedBatch;
use super::init_from::InitFrom;
use super::input::InputRecipe;
use super::keys::{is_same, is_same_value, stated};
use super::reading::recipe_error;
use super::rule::Rule;
use crate::error::TrainError;

/// A key of a recipe, its value as TOML, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Such as `masking.ratio`.
    pub key: &'static str,
    /// Such as `0.75`.
    pub value: String,
    /// Such as `--mask-ratio`.
    pub source: &'static str,
}

impl Setting {
    /// The image size of a recipe.
    pub fn of_size(size: ImageSize, source: &'static str) -> Self {
        let ImageSize { height, width } = size;
        let value = if size.is_square() { height.to_string() } else { format!("[{height}, {width}]") };
        Self { key: InputRecipe::IMAGE_SIZE, value, source }
    }

    /// A value under a key.
    pub fn new(key: &'static str, value: impl ToString, source: &'static str) -> Self {
        Self { key, value: value.to_string(), source }
    }
}

/// Settings given from outside of a recipe.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given {
    /// By flags of their own.
    pub flags: Vec<Setting>,
    /// By `--set`, as in `training.weight_decay=0.1`.
    pub settings: Vec<String>,
    /// Settings that the weights to start from were trained with.
    pub weights: Vec<Setting>,
    /// `true` if the batch size is found after the recipe, whatever that says.
    pub batch_is_found_later: bool,
    /// Claim in place of that of a recipe which was recorded for another training: its reasons do not hold either.
    pub other_claim: Option<String>,
}

/// Changes to a recipe: settings in their order, and why.
pub(super) struct Decided {
    pub(super) settings: Vec<String>,
    pub(super) reasons: Vec<String>,
}

impl Given {
    /// Puts everything into its order, over a recipe that was `named` or over the `rules` of the default.
    pub(super) fn decide(&self, named: Option<&Table>, rules: &[Rule]) -> Decided {
        self.warn_of_overruled();
        let mut settings: Vec<String> = rules.iter().map(|rule| line(rule.key, &rule.value)).collect();
        let kept_rules = rules.iter().filter(|rule| !self.is_given(rule.key));
        let mut reasons: Vec<String> =
            kept_rules.map(|rule| format!("{} = {}: {}", rule.key, rule.value, rule.why)).collect();
        for Setting { key, value, source } in &self.weights {
            match self.value_of(key, named) {
                Some(given) if is_same_value(&given, value) => {}
                Some(_) => reasons.push(format!("{key}: not {value} as in {source}, because it is given")),
                None => {
                    settings.push(line(key, value));
                    reasons.push(format!("{key} = {value}: from {source}"));
                }
            }
        }
        settings.extend(self.settings.iter().cloned());
        reasons.extend(self.settings.iter().filter_map(|setting| {
            let (key, value) = setting.split_once('=')?;
            (!self.flags.iter().any(|flag| is_same(flag.key, key)))
                .then(|| format!("{key}: {value} from --set"))
        }));
        for Setting { key, value, source } in &self.flags {
            settings.push(line(key, value));
            reasons.push(format!("{key}: {value} from {source}"));
        }
        Decided { settings, reasons }
    }

    /// Refuses what `--set` says about something that this training does not do.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] with the key.
    pub(super) fn check_effect(
        &self,
        choice: &str,
        init_from: InitFrom,
        head_only: bool,
    ) -> Result<(), TrainError> {
        let other = match init_from {
            InitFrom::Scratch => ("from_weights", "there are no weights to start from (--init)"),
            InitFrom::Pretrained | InitFrom::Classifier { .. } => {
                ("from_scratch", "this training starts from weights (--init)")
            }
        };
        let frozen = ["regularization.drop_path", "from_weights.layer_decay"]
            .map(|key| (key, "only norm and head learn (--freeze encoder)"));
        let without = frozen.into_iter().filter(|_| head_only).chain([other]);
        let stands_under = |key: &str, table: &str| {
            key.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        for (table, why) in without {
            let keys = self.settings.iter().filter_map(|setting| setting.split('=').next());
            if let Some(key) = keys.map(str::trim).find(|key| stands_under(key, table)) {
                let why = format!("--set {key} has no effect, because {why}; leave it out");
                return Err(recipe_error(choice, why));
            }
        }
        Ok(())
    }

    /// Refuses what `--set` says about keys without effect, each with the reason why it has none.
    ///
    /// # Errors
    /// [`TrainError::Recipe`] with the key.
    pub(super) fn check_idle(&self, choice: &str, idle: &[(&str, &str)]) -> Result<(), TrainError> {
        match idle.iter().find(|(key, _)| self.is_set(key)) {
            Some((key, why)) => {
                let why = format!("--set {key} has no effect, because {why}; leave it out");
                Err(recipe_error(choice, why))
            }
            None => Ok(()),
        }
    }

    /// The image size that is asked for.
    pub fn asked_size(&self) -> Option<ImageSize> {
        let key = InputRecipe::IMAGE_SIZE;
        let flag = self.flags.iter().find(|flag| flag.key == key).map(|flag| flag.value.as_str());
        let text = flag.or_else(|| self.set_value(key))?;
        toml::from_str::<Table>(&format!("size = {text}")).ok()?.remove("size")?.try_into().ok()
    }

    /// The batch that is asked for.
    pub fn asked_batch(&self) -> AskedBatch {
        let count = |key| self.value_of(key, None)?.trim().parse().ok();
        let (size, accumulate) = (count("training.batch_size"), count("training.accumulate"));
        AskedBatch { size, accumulate, is_found_later: self.batch_is_found_later }
    }

    /// A flag goes before a `--set` of the same key; nobody who types both means that.
    fn warn_of_overruled(&self) {
        for flag in &self.flags {
            let other = self.set_value(flag.key).filter(|value| !is_same_value(value, &flag.value));
            if let Some(value) = other {
                log::warn!(
                    "--set {}={value} is not used: {} {} goes before it",
                    flag.key,
                    flag.source,
                    flag.value
                );
            }
        }
    }

    /// `true` if `--set` names this key.
    pub fn is_set(&self, key: &str) -> bool {
        let keys = self.settings.iter().filter_map(|setting| setting.split('=').next());
        keys.map(str::trim).any(|set| is_same(set, key))
    }

    /// `true` if a flag or `--set` names this key.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.is_set(key) || self.flags.iter().any(|flag| is_same(flag.key, key))
    }

    /// Value of a key from a flag, `--set` or the named recipe, the first of them that has one.
    fn value_of(&self, key: &str, named: Option<&Table>) -> Option<String> {
        let flag = self.flags.iter().find(|flag| is_same(flag.key, key)).map(|flag| flag.value.clone());
        flag.or_else(|| self.set_value(key).map(str::to_owned))
            .or_else(|| Some(stated(named?, key)?.to_string()))
    }

    fn set_value(&self, key: &str) -> Option<&str> {
        let mut pairs = self.settings.iter().filter_map(|setting| setting.split_once('='));
        pairs.rfind(|(set, _)| is_same(set.trim(), key)).map(|(_, value)| value)
    }
}

fn line(key: &str, value: &str) -> String {
    format!("{key}={value}")
}

#[cfg(test)]
mod tests;
