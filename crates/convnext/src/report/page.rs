//! The page of a run.

use convnext_core::counted;
use convnext_data::CorruptFile;
use convnext_train::StepReport;
use maud::{Markup, html};

use super::curves::{Curve, plot};
use super::error::ReportError;
use super::kinds::Kind;
use super::run_data::RunData;
use super::whole_page::{figure, image, whole};
use super::{head, loss_parts, metrics};

/// The page of a run.
pub(super) fn render(run: &RunData) -> Result<String, ReportError> {
    let kind = Kind::of(run);
    let title = format!("{} run of {}", kind.of_training(run), head::model(run));
    let body = html! {
        (curves(run, kind)?)
        (kind.section(run)?)
        (batch(run)?)
        (corrupt(run.summary.as_ref().map_or(&[], |summary| &summary.corrupt), ["was replaced by another", "were replaced by others"]))
        (corrupt(run.evaluation.as_ref().map_or(&[], |measured| &measured.left_out), ["was left out of validation", "were left out of validation"]))
        h2 { "Settings" }
        details { summary { "config.toml" } pre { (run.config_text) } }
    };
    Ok(whole(&title, &head::facts(run, kind), &body))
}

fn curves(run: &RunData, kind: Kind) -> Result<Markup, ReportError> {
    let by_step = |name: &str, value: fn(&StepReport) -> f64| {
        Curve::new(name, run.steps.iter().map(|step| (step.step as f64, value(step))).collect())
    };
    let rate = plot("steps", "learning rate", &[by_step("rate", |step| step.learning_rate)])?;
    let speed = plot("steps", "images per second", &[by_step("speed", |step| step.images_per_second)])?;
    Ok(html! {
        h2 { "Curves" }
        @if run.steps.is_empty() { p { "No step was made yet." } }
        @if softens_targets(run) {
            p.quiet { "The training loss is that of augmented images and softened targets (label smoothing, Mixup or CutMix); the validation loss is not, so that it may lie below." }
        }
        div.charts {
            (metrics::loss(run)?)
            (loss_parts::section(run)?)
            (metrics::figures(run, kind.place_of_metrics())?)
            (figure("Learning rate", rate))
            (figure("Speed", speed))
        }
    })
}

/// `true` if the training loss cannot be compared with that of the validation.
fn softens_targets(run: &RunData) -> bool {
    mixes(run) || is_on(run, "recipe.regularization.label_smoothing")
}

fn mixes(run: &RunData) -> bool {
    ["recipe.mixing.mixup", "recipe.mixing.cutmix"].iter().any(|key| is_on(run, key))
}

fn is_on(run: &RunData, key: &str) -> bool {
    run.number(key).is_some_and(|value| value > 0.0)
}

/// The first images of the first batch, as the network saw them.
fn batch(run: &RunData) -> Result<Markup, ReportError> {
    let images = run.numbered_images("batch")?;
    Ok(html! {
        @if !images.is_empty() {
            h2 { "Training images as the network sees them" }
            p.quiet {
                "The first ones of the first batch, after augmentation"
                @if mixes(run) { ", Mixup and CutMix" } "."
            }
            div.grid.small {
                @for bytes in &images { figure { (image(bytes, "an augmented training image")) } }
            }
        }
    })
}

fn corrupt(files: &[CorruptFile], [one, several]: [&str; 2]) -> Markup {
    html! {
        @if !files.is_empty() {
            h2 { "Images that could not be read" }
            p { (counted(files.len(), one, several)) "." }
            ul { @for file in files { li { (file.name) ": " (file.why) } } }
        }
    }
}
