//! The default: a recipe made for a model, what it starts from, and the images at hand.
//!
//! The rules stand here, one after the other, and each says why it chose what it chose. How they were found, and how
//! far from the best of a search they are: `docs/results/2026-11-25-auto.md`.

use convnext_core::{COLOURS, Cost, ModelConfig};

use super::situation::{Origin, Situation};
use crate::error::TrainError;

/// The choice that asks for these rules.
pub(super) const AUTO: &str = "auto";

/// A key of a recipe, its value as TOML, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) key: &'static str,
    pub(super) value: String,
    pub(super) why: String,
}

fn rule(key: &'static str, value: impl ToString, why: impl Into<String>) -> Rule {
    Rule { key, value: value.to_string(), why: why.into() }
}

/// Where fine-tuning is easy to oversee: `micro` with 500 images was searched by hand.
const KNOWN_IMAGES: f64 = 500.0;

/// Parameters of `micro`, for which rates were searched.
const KNOWN_PARAMETERS: f64 = 0.4e6;

/// What changes in `finetune-plain.toml`.
///
/// # Errors
/// [`TrainError::Config`] when the model is not sound.
pub(super) fn finetuning(situation: &Situation<'_>) -> Result<Vec<Rule>, TrainError> {
    let images = situation.images.max(1) as f64;
    let parameters = parameters(situation.model)?;
    let batch = batch(situation.images);
    let is_weighed = imbalance(situation.class_sizes) >= UNBALANCED;
    let share = if is_weighed { counted_share(situation.class_sizes) } else { 1.0 };
    let epochs = bounded(epochs(images) * share);
    let warm_up = tenths(epochs * warm_up_share(situation.origin));
    let few = few_classes(situation);
    let rate = match situation.head_only {
        true => HEAD_RATE,
        false => round(rate(parameters, batch, situation.origin) * few),
    };
    // A start from scratch has keys of its own for these two.
    let [warm_up_key, rate_key] = match situation.origin {
        Origin::Scratch => ["from_scratch.warmup_epochs", "from_scratch.learning_rate"],
        _ => ["training.warmup_epochs", "training.learning_rate"],
    };
    let million = parameters / 1e6;
    let mut rules = vec![
        rule(
            "training.batch_size",
            batch,
            format!("{images} images: a dozen steps an epoch, where possible"),
        ),
        rule(
            "training.epochs",
            epochs,
            "few images are seen more often, but in all fewer times than many; all less often where small classes weigh more",
        ),
        rule(warm_up_key, warm_up, "a tenth of the epochs; a fifth from scratch"),
        rule(
            rate_key,
            rate,
            match situation.head_only {
                true => "a head alone bears a high rate, whatever is below it".to_owned(),
                false => {
                    let classes = if few < 1.0 { ", few classes" } else { "" };
                    let start = situation.origin.in_words();
                    format!("{million:.1} M parameters, steps of {batch}, {start}{classes}")
                }
            },
        ),
    ];
    if let Some(decay) = layer_decay(situation) {
        rules.push(rule(
            "from_weights.layer_decay",
            format!("{{ rate = {decay}, count = \"single\" }}"),
            "early layers learn more slowly, the first at about a quarter of the rate",
        ));
    }
    let drop_path = drop_path(parameters);
    rules.push(rule("regularization.drop_path", drop_path, "grows with the model"));
    if epochs >= MANY_EPOCHS && !situation.head_only {
        rules.extend(strong_augmentation(situation.model));
    }
    if is_weighed {
        rules.push(rule(
            "regularization.class_weights",
            "\"balanced\"",
            format!("the largest class has at least {UNBALANCED} times the images of the smallest"),
        ));
    }
    Ok(rules)
}

/// What changes in `pretrain-plain.toml`.
///
/// # Errors
/// [`TrainError::Config`] when the model is not sound.
pub(super) fn pretraining(situation: &Situation<'_>) -> Result<Vec<Rule>, TrainError> {
    let images = situation.images.max(1) as f64;
    // A million visits, but each image at least 20 and at most 800 times (Table 8's shorter length).
    let epochs = (1e6 / images).clamp(20.0, 800.0).round();
    let parameters = parameters(situation.model)?;
    let rate = round(3e-3 * (parameters / KNOWN_PARAMETERS).powf(-0.2));
    Ok(vec![
        rule("training.batch_size", batch(situation.images), format!("{images} images")),
        rule("training.epochs", epochs, "a million visits in all, each image 20 to 800 times"),
        rule("training.warmup_epochs", tenths(epochs * 0.1), "a tenth of the epochs"),
        rule("training.learning_rate", rate, format!("{:.1} M parameters", parameters / 1e6)),
    ])
}

/// Parameters of the backbone; those of a head say nothing about its rate.
fn parameters(model: &ModelConfig) -> Result<f64, TrainError> {
    let backbone = ModelConfig { classes: 0, ..model.clone() };
    let side = model.patch_size();
    Ok(Cost::of(&backbone, side, side)?.parameters as f64)
}

fn batch(images: usize) -> usize {
    match images {
        0..320 => 16,
        320..2_000 => 32,
        _ => 64,
    }
}

/// A hundred at 500 images, half of that at ten times as many, twice as many at a fifth.
fn epochs(images: f64) -> f64 {
    let power = if images < KNOWN_IMAGES { 0.43 } else { 0.3 };
    bounded(100.0 * (KNOWN_IMAGES / images).powf(power))
}

fn bounded(epochs: f64) -> f64 {
    epochs.clamp(10.0, 200.0).round()
}

fn warm_up_share(origin: Origin) -> f64 {
    if origin == Origin::Scratch { 0.2 } else { 0.1 }
}

/// The highest rate. Larger models want smaller ones, larger batches larger ones.
fn rate(parameters: f64, batch: usize, origin: Origin) -> f64 {
    let larger = parameters / KNOWN_PARAMETERS;
    let of_model = match origin {
        Origin::Scratch => 7e-4 * larger.powf(-0.2),
        Origin::Pretrained => 4e-3 * larger.powf(-0.35),
        // Its features tell classes apart already.
        Origin::Classifier { .. } => 2e-3 * larger.powf(-0.35),
    };
    of_model * (batch as f64 / 64.0).sqrt()
}

/// What a rate from weights is multiplied by: at the rate of ten classes two that are hard to tell apart were not
/// learned at all, at a fifth of it they were.
fn few_classes(situation: &Situation<'_>) -> f64 {
    match (situation.origin, situation.class_sizes.len()) {
        (Origin::Scratch, _) | (_, 0) => 1.0,
        (_, classes) => (classes as f64 / 10.0).clamp(0.2, 1.0),
    }
}

/// The highest rate of a head that learns alone: AdamW on one linear layer.
const HEAD_RATE: f64 = 1e-2;

/// One digit after the point is enough for epochs.
fn tenths(epochs: f64) -> f64 {
    (10.0 * epochs).round() / 10.0
}

/// Two digits are enough for a rate.
fn round(rate: f64) -> f64 {
    format!("{rate:.1e}").parse().unwrap_or(rate)
}

/// The rate of a layer over that of the next, for models with many layers that start from weights.
fn layer_decay(situation: &Situation<'_>) -> Option<f64> {
    let layers: usize = situation.model.depths.iter().sum();
    let deep = layers >= 12 && situation.origin != Origin::Scratch && !situation.head_only;
    deep.then(|| (0.28_f64.powf(1.0 / layers as f64) * 1000.0).round() / 1000.0)
}

fn drop_path(parameters: f64) -> f64 {
    match parameters {
        ..5e6 => 0.0,
        ..50e6 => 0.1,
        ..300e6 => 0.2,
        _ => 0.3,
    }
}

/// From so many epochs on, a training learns its pictures by heart unless they change.
const MANY_EPOCHS: f64 = 150.0;

/// What Tables 9 to 13 do to pictures; RandAugment where they are in colour.
fn strong_augmentation(model: &ModelConfig) -> Vec<Rule> {
    let why = "few images that are seen often are learned by heart otherwise";
    let in_colour = model.input_channels == COLOURS;
    let colours = in_colour.then(|| rule("augmentation.rand_augment", "\"rand-m9-mstd0.5-inc1\"", why));
    let others = [("augmentation.random_erasing", 0.25), ("mixing.mixup", 0.8), ("mixing.cutmix", 1.0)];
    colours.into_iter().chain(others.map(|(key, value)| rule(key, value, why))).collect()
}

/// From so many times the images of the smallest class on, classes are weighed.
const UNBALANCED: f64 = 2.0;

/// Images of the largest class over those of the smallest; 1 without classes.
fn imbalance(class_sizes: &[usize]) -> f64 {
    let (smallest, largest) = (class_sizes.iter().min(), class_sizes.iter().max());
    smallest.zip(largest).map_or(1.0, |(&smallest, &largest)| largest as f64 / smallest.max(1) as f64)
}

/// How many images of equal weight tell as much as these with balanced class weights, over how many there are: Kish's
/// effective sample size. The rest repeats what the few images of a small class say, which are learned by heart when
/// they are seen as often as the others.
fn counted_share(class_sizes: &[usize]) -> f64 {
    let sizes = class_sizes.iter().map(|&size| size.max(1) as f64);
    let classes = class_sizes.len() as f64;
    let counted = classes * classes / sizes.clone().map(|size| 1.0 / size).sum::<f64>();
    counted / sizes.sum::<f64>()
}

#[cfg(test)]
mod tests {
    use convnext_core::find_model;

    use super::*;

    fn value(rules: &[Rule], key: &str) -> Option<f64> {
        rules.iter().find(|rule| rule.key == key).and_then(|rule| rule.value.parse().ok())
    }

    fn of(model: &str, origin: Origin, class_sizes: &[usize]) -> Vec<Rule> {
        let model = find_model(model).unwrap().config();
        let images = class_sizes.iter().sum();
        finetuning(&Situation { model: &model, origin, head_only: false, images, class_sizes }).unwrap()
    }

    #[test]
    fn few_images_are_seen_more_often_and_larger_models_learn_more_slowly() {
        let few = of("atto", Origin::Pretrained, &[10; 10]);
        let many = of("atto", Origin::Pretrained, &[1000; 10]);
        for (key, falls) in [("training.epochs", true), ("training.batch_size", false)] {
            let [few, many] = [&few, &many].map(|rules| value(rules, key).unwrap());
            assert_eq!(few > many, falls, "{key}: {few}, {many}");
            assert!(few != many, "{key}");
        }
        let rate = |model, origin| {
            let rules = of(model, origin, &[500; 10]);
            let key = if origin == Origin::Scratch { "from_scratch" } else { "training" };
            value(&rules, &format!("{key}.learning_rate")).unwrap()
        };
        assert!(rate("atto", Origin::Pretrained) > 2.0 * rate("base", Origin::Pretrained));
        assert!(rate("atto", Origin::Pretrained) > rate("atto", Origin::Scratch));
    }

    #[test]
    fn few_classes_are_learned_slowly_from_weights() {
        let rate = |origin, sizes: &[usize], key| value(&of("micro", origin, sizes), key).unwrap();
        let from_weights = |sizes| rate(Origin::Pretrained, sizes, "training.learning_rate");
        assert!(from_weights(&[250; 2]) < 0.25 * from_weights(&[50; 10]));
        assert_eq!(from_weights(&[50; 10]), from_weights(&[5; 100]));
        let from_scratch = |sizes| rate(Origin::Scratch, sizes, "from_scratch.learning_rate");
        assert_eq!(from_scratch(&[250; 2]), from_scratch(&[50; 10]));
    }

    #[test]
    fn a_head_alone_learns_fast_whatever_the_model() {
        for model in ["micro", "base"] {
            let model = find_model(model).unwrap().config();
            let (origin, class_sizes) = (Origin::Pretrained, &[50; 10][..]);
            let situation = Situation { model: &model, origin, head_only: true, images: 500, class_sizes };
            let rules = finetuning(&situation).unwrap();
            assert_eq!(value(&rules, "training.learning_rate"), Some(HEAD_RATE));
            assert!(rules.iter().all(|rule| rule.key != "from_weights.layer_decay"));
        }
    }

    #[test]
    fn few_images_are_changed_a_lot() {
        let is_strong = |origin, sizes: &[usize]| {
            of("micro", origin, sizes).iter().any(|rule| rule.key == "mixing.mixup")
        };
        for origin in [Origin::Scratch, Origin::Pretrained] {
            assert!(is_strong(origin, &[10; 10]) && !is_strong(origin, &[100; 10]));
        }
        let grey = ModelConfig { input_channels: 1, ..find_model("micro").unwrap().config() };
        assert!(strong_augmentation(&grey).iter().all(|rule| rule.key != "augmentation.rand_augment"));
    }

    #[test]
    fn classes_are_weighed_only_where_they_are_unbalanced() {
        let weighs = |sizes: &[usize]| {
            of("micro", Origin::Pretrained, sizes)
                .iter()
                .any(|rule| rule.key == "regularization.class_weights")
        };
        assert!(!weighs(&[100, 60]) && weighs(&[100, 50]) && !weighs(&[]));
    }

    #[test]
    fn images_are_seen_less_often_where_small_classes_weigh_more() {
        let epochs =
            |sizes: &[usize]| value(&of("micro", Origin::Pretrained, sizes), "training.epochs").unwrap();
        assert_eq!(epochs(&[330, 330]), epochs(&[66; 10]));
        // 4 / (1/600 + 1/60) of 660 images.
        assert_eq!(epochs(&[600, 60]), (0.3306 * epochs(&[330, 330])).round());
        assert!(epochs(&[600, 60]) < epochs(&[600, 300]) && epochs(&[600, 300]) < epochs(&[450, 450]));
        assert_eq!(epochs(&[5_000, 1]), 10.0);
    }

    #[test]
    fn only_deep_models_from_weights_have_layer_decay() {
        let decays = |model, origin| {
            of(model, origin, &[50; 10]).iter().any(|rule| rule.key == "from_weights.layer_decay")
        };
        assert!(decays("tiny", Origin::Pretrained) && !decays("tiny", Origin::Scratch));
        assert!(!decays("micro", Origin::Pretrained));
    }
}
