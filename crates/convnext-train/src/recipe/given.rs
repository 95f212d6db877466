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
mod tests {
    use super::*;

    fn given() -> Given {
        Given {
            flags: vec![Setting::new("training.learning_rate", 0.25, "--lr")],
            settings: vec!["training.epochs=3".into(), "training.base_learning_rate=1".into()],
            weights: vec![Setting::new("masking.ratio", 0.75, "the weights")],
            ..Given::default()
        }
    }

    fn rule(key: &'static str) -> Rule {
        Rule { key, value: "9".into(), why: "so".into() }
    }

    #[test]
    fn the_order_is_default_weights_set_flag() {
        let rules = ["training.epochs", "from_scratch.learning_rate", "training.batch_size"].map(rule);
        let Decided { settings, reasons } = given().decide(None, &rules);
        let expected = [
            "training.epochs=9",
            "from_scratch.learning_rate=9",
            "training.batch_size=9",
            "masking.ratio=0.75",
            "training.epochs=3",
            "training.base_learning_rate=1",
            "training.learning_rate=0.25",
        ];
        assert_eq!(settings, expected);
        let expected = [
            "training.batch_size = 9: so",
            "masking.ratio = 0.75: from the weights",
            "training.epochs: 3 from --set",
            "training.learning_rate: 0.25 from --lr",
        ];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn a_length_in_steps_takes_the_place_of_one_in_epochs() {
        let settings = vec!["training.steps=9".into(), "training.warmup_steps=1".into()];
        let given = Given { settings, ..Given::default() };
        let rules = ["training.epochs", "from_scratch.warmup_epochs", "training.betas"].map(rule);
        let reasons = given.decide(None, &rules).reasons;
        let expected =
            ["training.betas = 9: so", "training.steps: 9 from --set", "training.warmup_steps: 1 from --set"];
        assert_eq!(reasons, expected);
        assert!(given.is_set("training.epochs") && !given.is_set("training.curve.milestones.epochs"));
    }

    #[test]
    fn what_a_named_recipe_states_goes_before_the_weights() {
        let stated: Table = toml::from_str("[masking]\nratio = 0.6").unwrap();
        let silent: Table = toml::from_str("[masking]\nnormalize_target = true").unwrap();
        let ratio =
            |recipe| given().decide(Some(recipe), &[]).settings.contains(&"masking.ratio=0.75".to_owned());
        assert!(!ratio(&stated) && ratio(&silent));
        let reasons = given().decide(Some(&stated), &[]).reasons;
        assert!(reasons[0].contains("not 0.75 as in the weights"), "{reasons:?}");
    }

    #[test]
    fn the_same_value_as_that_of_the_weights_needs_no_reason() {
        let mentions = |given: Given, named: Option<&str>| {
            let weights = vec![Setting::new("masking.ratio", 0.75, "the weights")];
            let named = named.map(|text| toml::from_str::<Table>(text).unwrap());
            let Decided { reasons, .. } = Given { weights, ..given }.decide(named.as_ref(), &[]);
            reasons.iter().any(|reason| reason.contains("not 0.75"))
        };
        let flag = |value: f64| Given {
            flags: vec![Setting::new("masking.ratio", value, "--mask-ratio")],
            ..Given::default()
        };
        let set =
            |value: &str| Given { settings: vec![format!("masking.ratio = {value}")], ..Given::default() };
        assert!(mentions(flag(0.5), None) && !mentions(flag(0.75), None));
        assert!(mentions(set("0.5"), None) && !mentions(set("0.750"), None));
        let recipe = |value: &str| format!("[masking]\nratio = {value}");
        assert!(mentions(Given::default(), Some(&recipe("0.6"))));
        assert!(!mentions(Given::default(), Some(&recipe("0.75"))));
        // The flag decides, whatever the recipe says.
        assert!(mentions(flag(0.5), Some(&recipe("0.75"))));
        assert!(!mentions(flag(0.75), Some(&recipe("0.6"))));
    }

    #[test]
    fn settings_of_the_other_start_are_refused_by_name() {
        let of = |setting: &str| Given { settings: vec![setting.into()], ..Given::default() };
        let from_scratch = of("from_scratch.learning_rate=1");
        let message = from_scratch.check_effect("auto", InitFrom::Pretrained, false).unwrap_err().to_string();
        assert!(message.contains("from_scratch.learning_rate") && message.contains("--init"), "{message}");
        assert!(from_scratch.check_effect("auto", InitFrom::Scratch, false).is_ok());
        assert!(of("from_weights.head_init=1").check_effect("auto", InitFrom::Scratch, false).is_err());
        for setting in ["regularization.drop_path=0.1", "from_weights.layer_decay.rate=0.9"] {
            let check = |head_only| of(setting).check_effect("auto", InitFrom::Pretrained, head_only);
            assert!(check(false).is_ok() && check(true).is_err(), "{setting}");
        }
    }

    #[test]
    fn a_size_may_be_asked_for_in_two_ways() {
        let key = InputRecipe::IMAGE_SIZE;
        let set = Given { settings: vec![format!("{key}=64")], ..Given::default() };
        assert_eq!((set.asked_size(), Given::default().asked_size()), (Some(64.into()), None));
        let flags = vec![Setting::of_size(ImageSize::from([96, 128]), "--image-size")];
        let both = Given { flags, ..set };
        assert_eq!(both.asked_size(), Some([96, 128].into()));
    }
}
