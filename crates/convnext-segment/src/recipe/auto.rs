//! The default: a recipe made for a backbone, what it starts from, and the images at hand.

use convnext_core::{Cost, ModelConfig, counted};
use convnext_train::{AskedBatch, InitFrom, RecipeContext, Rule, TrainError};

/// Images of a batch; each batch norm sees one batch.
const BATCH: usize = 8;

/// Parameters of the backbone that the rate below is for (Atto). A first guess, which no search has seen.
const KNOWN_PARAMETERS: f64 = 3.4e6;

/// The highest rate for that backbone and [`BATCH`].
const KNOWN_RATE: f64 = 1e-3;

/// Training images that the number of steps below is for (CamVid's). A first guess as well.
const KNOWN_IMAGES: f64 = 367.0;

/// Rules that change `plain` for this backbone and data, and for the batch that was asked for.
///
/// # Errors
/// [`TrainError::Config`] when the model is not sound.
pub(super) fn rules(context: &RecipeContext<'_>, asked: AskedBatch) -> Result<Vec<Rule>, TrainError> {
    let parameters = parameters(context.model)?;
    let steps = steps(context.images.max(1) as f64);
    let images = counted(context.images, "image", "images");
    let warm_up_key = match context.init_from {
        InitFrom::Scratch => "from_scratch.warmup_steps",
        _ => "training.warmup_steps",
    };
    let mut rules = vec![
        Rule::new("training.batch_size", BATCH, "batch norm needs several images, and memory has its limits"),
        Rule::new(
            "training.steps",
            steps,
            format!("{images}: twice as many steps for four times as many images, from 1,000 to 40,000"),
        ),
        Rule::new(warm_up_key, (steps / 20.0).round(), "a twentieth of the steps"),
        rate_rule(context, asked, parameters),
    ];
    if let Some(decay) = layer_decay(context) {
        rules.push(Rule::new(
            "from_weights.layer_decay",
            format!("{{ rate = {decay}, count = \"single\" }}"),
            "early layers learn more slowly, the first at about a quarter of the rate",
        ));
    }
    rules.push(Rule::new("regularization.drop_path", drop_path(parameters), "grows with the model"));
    Ok(rules)
}

/// The highest rate, for the batch that the run has.
fn rate_rule(context: &RecipeContext<'_>, asked: AskedBatch, parameters: f64) -> Rule {
    let key = match context.init_from {
        InitFrom::Scratch => "from_scratch.learning_rate",
        _ => "training.learning_rate",
    };
    let images = asked.images_per_step(BATCH) as f64;
    let rate = KNOWN_RATE * (parameters / KNOWN_PARAMETERS).powf(-0.35) * (images / BATCH as f64).sqrt();
    let (million, batch, start) = (parameters / 1e6, asked.in_words(BATCH), context.init_from);
    let rate: f64 = format!("{rate:.1e}").parse().unwrap_or(rate);
    Rule::new(key, rate, format!("for {million:.1} M parameters and {batch}, {start}"))
}

/// Parameters of the backbone; those of a head say nothing about its rate.
fn parameters(model: &ModelConfig) -> Result<f64, TrainError> {
    let backbone = ModelConfig { classes: 0, ..model.clone() };
    let side = model.patch_size();
    Ok(Cost::of(&backbone, side, side)?.parameters as f64)
}

/// Steps of a training: 4,000 for the images of CamVid.
fn steps(images: f64) -> f64 {
    let steps = 4000.0 * (images / KNOWN_IMAGES).sqrt();
    (steps.clamp(1000.0, 40_000.0) / 100.0).round() * 100.0
}

/// The rate of a layer over that of the next, for models with many layers that start from weights.
fn layer_decay(context: &RecipeContext<'_>) -> Option<f64> {
    let layers: usize = context.model.depths.iter().sum();
    let deep = layers >= 12 && context.init_from != InitFrom::Scratch && !context.head_only;
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
