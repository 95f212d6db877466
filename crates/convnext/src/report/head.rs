//! Head of the page of a run: what was run, on what, and how far it came.

use std::time::{Duration, UNIX_EPOCH};

use convnext_core::{ImageSize, ModelConfig, Preprocessing, counted};
use convnext_train::{
    BASE_IMAGES, Best, LossCourse, MachineRecord, Metric, RunRecord, Summary, duration_in_words,
};
use maud::Markup;

use super::kinds::Kind;
use super::run_data::RunData;
use super::whole_page;

/// Name of the model.
pub(super) fn model(run: &RunData) -> String {
    run.setting("model.encoder.name").or_else(|| run.setting("model.name")).unwrap_or_default()
}

/// Name of the model, and what its blocks have that those of this name have not.
fn model_in_words(run: &RunData) -> Option<String> {
    let model = run.config.get("model")?;
    let backbone: Option<ModelConfig> = model.get("encoder").unwrap_or(model).clone().try_into().ok();
    // Runs of earlier versions may say less of a model.
    let words = backbone.map_or_else(|| self::model(run), |backbone| backbone.to_string());
    Some(words).filter(|words| !words.is_empty())
}

/// The facts of a run. What runs of earlier versions did not record is left out.
pub(super) fn facts(run: &RunData, kind: Kind) -> Markup {
    let record = run.record.as_ref();
    let facts = [
        ("state", Some(state(run))),
        ("stability", instability(run)),
        (
            "best",
            run.summary.as_ref().and_then(|summary| summary.best.as_ref()).map(|best| best_words(run, best)),
        ),
        ("model", model_in_words(run)),
        ("task", Some(kind.task(run))),
        ("data", run.setting("data")),
        ("images", record.map(|record| images(run, record))),
        ("initial weights", Some(run.setting("init").unwrap_or_else(|| "none: from scratch".to_owned()))),
        ("image size", image_size(run)),
        ("batch size", batch_size(run)),
        ("learning rate", learning_rate(run)),
        ("length", length(run)),
        ("seed", run.setting("seed")),
        ("machine", record.map(|record| machine(&record.machine))),
        ("started", record.map(|record| date(record.started))),
        ("duration", run.summary.as_ref().map(|summary| duration_in_words(summary.seconds))),
        ("convnext", record.map(|record| format!("version {}", record.version))),
        ("command", record.and_then(command)),
    ];
    let known: Vec<(&str, String)> =
        facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    whole_page::facts(&known)
}

fn state(run: &RunData) -> String {
    match &run.summary {
        Some(Summary { steps, epochs, images, stopped_early, .. }) => {
            let how =
                stopped_early.as_ref().map_or_else(|| "finished: ".to_owned(), |stop| format!("{stop}; "));
            format!(
                "{how}{} in {} of {}",
                counted(*steps, "step", "steps"),
                counted(*epochs as usize, "epoch", "epochs"),
                counted(*images, "image", "images"),
            )
        }
        None => {
            let made = run.steps.last().map_or(0, |step| step.step);
            let of_all =
                run.record.as_ref().map_or(String::new(), |record| format!(" of {}", record.total_steps));
            let steps = format!("{made}{of_all} steps made");
            match &run.divergence {
                Some(divergence) => format!("{divergence}; {steps}"),
                None => {
                    let left = time_left(run).map_or(String::new(), |left| format!(", about {left} left"));
                    format!("not finished: {steps}{left}")
                }
            }
        }
    }
}

/// The losses of a finished run that was unstable, of whatever version.
fn instability(run: &RunData) -> Option<String> {
    run.summary.as_ref()?;
    let losses = LossCourse::of(&run.epochs).filter(LossCourse::is_unstable)?;
    Some(format!("unstable: {losses}"))
}

/// Time of the steps that are left, at the mean pace of those made; validation is not counted.
fn time_left(run: &RunData) -> Option<String> {
    let left = run.record.as_ref()?.total_steps.saturating_sub(run.steps.last()?.step);
    let images =
        run.number("recipe.training.batch_size")? * run.number("recipe.training.accumulate").unwrap_or(1.0);
    let seconds: f64 = run.steps.iter().map(|step| images / step.images_per_second).sum();
    let seconds = left as f64 * seconds / run.steps.len() as f64;
    seconds.is_finite().then(|| duration_in_words(seconds))
}

/// The best weights: their value, and when they were.
pub(super) fn best_words(run: &RunData, best: &Best) -> String {
    let Best { epoch, step, measure, value, .. } = best;
    let shown = |metric: &Metric| Metric { value: Some(*value), ..metric.clone() }.to_string();
    let of_metric = run.metrics().iter().find_map(|metric| {
        let is_average = *measure == metric.averaged_key();
        let of = if is_average { " by the moving average of the weights" } else { "" };
        (is_average || *measure == metric.key()).then(|| format!("{}{of}", shown(metric)))
    });
    let what = of_metric.unwrap_or_else(|| {
        format!("{} {value:.4}", if measure == "train_loss" { "training loss" } else { measure })
    });
    format!("{what}, after step {step} in epoch {}", epoch + 1)
}

fn images(run: &RunData, record: &RunRecord) -> String {
    let validation = match record.validation_images {
        0 => String::new(),
        count => format!(", {count} for validation"),
    };
    let classes = run.number("model.classes").filter(|&classes| classes > 0.0);
    let classes = classes
        .map_or_else(String::new, |classes| format!(", {}", counted(classes as usize, "class", "classes")));
    format!("{} for training{validation}{classes}", record.images)
}

/// Size that all images get, or the geometry that gives each its own; `None` for runs of earlier versions.
fn image_size(run: &RunData) -> Option<String> {
    let preprocessing: Preprocessing = run.config.get("preprocessing")?.clone().try_into().ok()?;
    let size = preprocessing.image_size().map(ImageSize::with_unit);
    Some(size.unwrap_or_else(|| preprocessing.geometry.to_string()))
}

fn batch_size(run: &RunData) -> Option<String> {
    let batch = run.number("recipe.training.batch_size")?;
    match run.number("recipe.training.accumulate").filter(|&count| count > 1.0) {
        None => Some(batch.to_string()),
        Some(count) => {
            Some(format!("{batch}, with gradient accumulation over {count}: {} per step", batch * count))
        }
    }
}

/// The peak of the learning rate, which the recipe says absolutely or in proportion to the batch size.
fn learning_rate(run: &RunData) -> Option<String> {
    if let Some(rate) = run.number("recipe.training.learning_rate") {
        return Some(format!("{rate} at most (absolute)"));
    }
    let base = run.number("recipe.training.base_learning_rate")?;
    let batch = run.number("recipe.training.batch_size")?;
    let images = batch * run.number("recipe.training.accumulate").unwrap_or(1.0);
    let rate = base * images / BASE_IMAGES;
    Some(format!("{rate} at most ({base} per {BASE_IMAGES} images, {images} per step)"))
}

fn length(run: &RunData) -> Option<String> {
    let epochs = run.number("recipe.training.epochs").map(|epochs| format!("{} epochs", hundredths(epochs)));
    let epochs = epochs.map(|text| if text == "1 epochs" { "1 epoch".to_owned() } else { text });
    let steps = run.number("recipe.training.steps").map(|steps| steps as usize);
    let steps = run.record.as_ref().map(|record| record.total_steps).or(steps);
    let steps = steps.map(|steps| counted(steps, "step", "steps"));
    let parts: Vec<String> = epochs.into_iter().chain(steps).collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn hundredths(number: f64) -> f64 {
    (100.0 * number).round() / 100.0
}

fn machine(machine: &MachineRecord) -> String {
    let MachineRecord { processor, threads, device, instruction_set, precision } = machine;
    let threads = counted(*threads, "thread", "threads");
    let kernels = instruction_set.as_ref().map_or(String::new(), |set| format!(", {set}"));
    format!("{processor}, {threads}{kernels}; device {device}, precision {precision}")
}

fn date(started: u64) -> String {
    let text = UNIX_EPOCH.checked_add(Duration::from_secs(started)).map(|time| {
        humantime::format_rfc3339_seconds(time).to_string().replace('T', " ").replace('Z', " UTC")
    });
    text.unwrap_or_else(|| "unknown".to_owned())
}

/// The command as a shell takes it.
fn command(record: &RunRecord) -> Option<String> {
    let words = record.command.iter().map(String::as_str);
    shlex::try_join(words).ok().filter(|text| !text.is_empty())
}
