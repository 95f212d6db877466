//! The default: a recipe made for a model, what it starts from, and the images at hand.
//!
//! The rules stand here, one after the other, and each says why it chose what it chose. How they were found, and how
//! far from the best of a search they are: `docs/results/2026-11-25-auto.md`.

pub(super) mod formulas;

use convnext_core::{COLOURS, ModelConfig, counted};

use self::formulas::{
    HEAD_RATE, KNOWN_PARAMETERS, UNBALANCED, batch, bounded, counted_share, drop_path, epochs, few_classes,
    imbalance, layer_decay, parameters, rate, round, tenths, warm_up_share,
};
use super::asked_batch::AskedBatch;
use super::init_from::InitFrom;
use super::recipe_context::RecipeContext;
use super::rule::Rule;
use crate::error::TrainError;

/// The choice that asks for these rules.
pub(super) const AUTO: &str = "auto";

/// The recipe that the default starts from.
pub(super) const PLAIN: &str = "plain";

/// Claim of the default recipe.
pub(super) const CLAIM: &str = "Made for this model and these images.";

/// Rules that change `finetune-plain.toml` for this model and data, and for the batch that was asked for.
///
/// # Errors
/// [`TrainError::Config`] when the model is not sound.
pub(super) fn finetuning(context: &RecipeContext<'_>, asked: AskedBatch) -> Result<Vec<Rule>, TrainError> {
    let parameters = parameters(context.model)?;
    let is_weighted = imbalance(context.class_sizes) >= UNBALANCED;
    let share = if is_weighted { counted_share(context.class_sizes) } else { 1.0 };
    let epochs = bounded(epochs(context.images.max(1) as f64) * share);
    let mut rules = length_rules(context, epochs);
    rules.push(rate_rule(context, asked, parameters));
    if let Some(decay) = layer_decay(context) {
        rules.push(Rule::new(
            "from_weights.layer_decay",
            format!("{{ rate = {decay}, count = \"single\" }}"),
            "early layers learn more slowly, the first at about a quarter of the rate",
        ));
    }
    let drop_path = drop_path(parameters);
    rules.push(Rule::new("regularization.drop_path", drop_path, "grows with the model"));
    if epochs >= MANY_EPOCHS && !context.head_only {
        rules.extend(strong_augmentation(context.model, epochs));
    }
    if is_weighted {
        rules.push(Rule::new(
            "regularization.class_weights",
            "\"balanced\"",
            format!("the largest class has at least {UNBALANCED} times the images of the smallest"),
        ));
    }
    Ok(rules)
}

/// Batch, epochs and warm-up of a fine-tuning.
fn length_rules(context: &RecipeContext<'_>, epochs: f64) -> Vec<Rule> {
    // A start from scratch has a key of its own, and so it has for the rate.
    let warm_up_key = match context.init_from {
        InitFrom::Scratch => "from_scratch.warmup_epochs",
        _ => "training.warmup_epochs",
    };
    let images = counted(context.images, "image", "images");
    let weighted = match imbalance(context.class_sizes) >= UNBALANCED {
        true => "; fewer where small classes weigh more, as here",
        false => "",
    };
    let share = if context.init_from == InitFrom::Scratch { "a fifth" } else { "a tenth" };
    vec![
        Rule::new(
            "training.batch_size",
            batch(context.images),
            format!("{images}: few images get small batches, for more steps an epoch"),
        ),
        Rule::new(
            "training.epochs",
            epochs,
            format!("{images}: fewer images get more epochs, but fewer steps in all{weighted}"),
        ),
        Rule::new(
            warm_up_key,
            tenths(epochs * warm_up_share(context.init_from)),
            format!("{share} of the epochs, {}", context.init_from),
        ),
    ]
}

/// The highest rate of a fine-tuning, for the batch that the run has.
fn rate_rule(context: &RecipeContext<'_>, asked: AskedBatch, parameters: f64) -> Rule {
    let key = match context.init_from {
        InitFrom::Scratch => "from_scratch.learning_rate",
        _ => "training.learning_rate",
    };
    if context.head_only {
        return Rule::new(key, HEAD_RATE, "a head alone bears a high rate, whatever is below it");
    }
    let (of_auto, few) = (batch(context.images), few_classes(context));
    let classes = if few < 1.0 { ", few classes" } else { "" };
    let (million, start) = (parameters / 1e6, context.init_from);
    let (images, batch) =
        (asked.images_per_step(of_auto).min(context.images.max(1)), asked.in_words(of_auto));
    Rule::new(
        key,
        round(rate(parameters, images, context.init_from) * few),
        format!("for {million:.1} M parameters and {batch}, {start}{classes}"),
    )
}

/// Rules that change `pretrain-plain.toml` for this model and data.
///
/// # Errors
/// [`TrainError::Config`] when the model is not sound.
pub(super) fn pretraining(context: &RecipeContext<'_>) -> Result<Vec<Rule>, TrainError> {
    let images = context.images.max(1) as f64;
    // A million images in all, but at least 20 and at most 800 epochs (Table 8's shorter length).
    let epochs = (1e6 / images).clamp(20.0, 800.0).round();
    let parameters = parameters(context.model)?;
    let rate = round(3e-3 * (parameters / KNOWN_PARAMETERS).powf(-0.2));
    Ok(vec![
        Rule::new("training.batch_size", batch(context.images), counted(context.images, "image", "images")),
        Rule::new(
            "training.epochs",
            epochs,
            "a million images in all, but at least 20 and at most 800 epochs",
        ),
        Rule::new("training.warmup_epochs", tenths(epochs * 0.1), "a tenth of the epochs"),
        Rule::new("training.learning_rate", rate, format!("for {:.1} M parameters", parameters / 1e6)),
    ])
}

/// From so many epochs on, a training overfits its images unless they change.
const MANY_EPOCHS: f64 = 150.0;

/// Data augmentation of Tables 9 to 13; RandAugment where images are in colour.
fn strong_augmentation(model: &ModelConfig, epochs: f64) -> Vec<Rule> {
    let why = format!("few images are overfitted without it in the {epochs} epochs of auto");
    let why = why.as_str();
    let in_colour = model.input_channels == COLOURS;
    let colours = in_colour.then(|| Rule::new("augmentation.rand_augment", "\"rand-m9-mstd0.5-inc1\"", why));
    let others = [("augmentation.random_erasing", 0.25), ("mixing.mixup", 0.8), ("mixing.cutmix", 1.0)];
    colours.into_iter().chain(others.map(|(key, value)| Rule::new(key, value, why))).collect()
}

#[cfg(test)]
mod tests;
