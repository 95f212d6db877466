//! The page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{ImageSize, Preprocessing};
use convnext_data::CorruptFile;
use convnext_train::{Best, StepReport, Summary};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::ReportError;
use super::curves::{Curve, plot};
use super::kinds::Kind;
use super::metrics;
use super::run_data::RunData;

/// The page of a run.
pub(super) fn render(run: &RunData) -> Result<String, ReportError> {
    let kind = Kind::of(run);
    let title = format!("{} run of {}", kind.of_training(run), model(run));
    let head = html! {
        @if let Some(claim) = run.setting("recipe.claim") { p.claim { (claim) } }
        (facts(run))
    };
    let body = html! {
        (curves(run)?)
        (kind.section(run)?)
        (corrupt(run.summary.as_ref().map_or(&[], |summary| &summary.corrupt), "were replaced by others"))
        (corrupt(run.evaluation.as_ref().map_or(&[], |measured| &measured.left_out), "were left out of validation"))
        h2 { "Settings" }
        details { summary { "config.toml" } pre { (run.config_text) } }
    };
    Ok(whole(&title, &head, &body))
}

/// A whole page. Everything that comes from users passes through `maud`, which escapes it.
pub(super) fn whole(title: &str, head: &Markup, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header { h1 { (title) } (head) }
                main { (body) }
            }
        }
    };
    page.into_string()
}

fn model(run: &RunData) -> String {
    run.setting("model.encoder.name").or_else(|| run.setting("model.name")).unwrap_or_default()
}

fn facts(run: &RunData) -> Markup {
    let settings = [
        ("data", "data"),
        ("started from", "init"),
        ("images of a batch", "recipe.training.batch_size"),
        ("batches of a step", "recipe.training.accumulate"),
        ("epochs", "recipe.training.epochs"),
        ("seed", "seed"),
    ];
    let last = run.steps.last().map_or(0, |step| step.step);
    html! {
        dl {
            dt { "state" }
            @match &run.summary {
                Some(Summary { steps, epochs, images, seconds, .. }) => {
                    dd { "finished: " (steps) " steps in " (epochs) " epochs of " (images) " images, " (time(*seconds)) }
                }
                None => dd { "not finished: " (last) " steps made" },
            }
            @if let Some(Best { epoch, step, measure, value, checkpoint }) = run.summary.as_ref().and_then(|s| s.best.as_ref()) {
                dt { "best" }
                dd { "step " (step) " in epoch " (epoch + 1) " (" (measure) " " (format!("{value:.4}")) ", " (checkpoint) ")" }
            }
            @if let Some(size) = image_size(run) { dt { "size of the images" } dd { (size) } }
            @for (label, key) in settings {
                @if let Some(value) = run.setting(key) { dt { (label) } dd { (value) } }
            }
        }
    }
}

/// Size that all images get, or the geometry that gives each its own; `None` for runs of earlier versions.
fn image_size(run: &RunData) -> Option<String> {
    let preprocessing: Preprocessing = run.config.get("preprocessing")?.clone().try_into().ok()?;
    let size = preprocessing.image_size().map(ImageSize::with_unit);
    Some(size.unwrap_or_else(|| preprocessing.geometry.to_string()))
}

pub(super) fn time(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

fn curves(run: &RunData) -> Result<Markup, ReportError> {
    let by_step = |name, value: fn(&StepReport) -> f64| Curve {
        name,
        points: run.steps.iter().map(|step| (step.step as f64, value(step))).collect(),
    };
    let epoch_means = Curve {
        name: "mean of the epoch so far",
        points: run.epochs.iter().map(|epoch| (epoch.step as f64, epoch.train_loss)).collect(),
    };
    let loss = plot("step", "loss", &[by_step("step", |step| f64::from(step.loss)), epoch_means])?;
    let rate = plot("step", "learning rate", &[by_step("rate", |step| step.learning_rate)])?;
    let speed = plot("step", "images a second", &[by_step("speed", |step| step.images_per_second)])?;
    Ok(html! {
        h2 { "Curves" }
        @if run.steps.is_empty() { p { "No step was made yet." } }
        (figure("Training loss", loss))
        (metrics::figures(run)?)
        (figure("Learning rate", rate))
        (figure("Speed", speed))
    })
}

/// A plot under its title, if there is one.
pub(super) fn figure(title: &str, svg: Option<String>) -> Markup {
    html! {
        @if let Some(svg) = svg {
            figure role="img" aria-label=(title) { figcaption { (title) } (PreEscaped(svg)) }
        }
    }
}

/// An image inside of the page.
pub(super) fn image(bytes: &[u8], description: &str) -> Markup {
    html! { img src=(format!("data:image/png;base64,{}", STANDARD.encode(bytes))) alt=(description); }
}

fn corrupt(files: &[CorruptFile], what_became_of_them: &str) -> Markup {
    html! {
        @if !files.is_empty() {
            h2 { "Images that could not be read" }
            p { (files.len()) " " (what_became_of_them) "." }
            ul { @for file in files { li { (file.name) ": " (file.why) } } }
        }
    }
}
