//! The page.

use std::collections::BTreeMap;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::ReportError;
use super::curves::{Curve, plot};
use super::run_data::{Best, Corrupt, Epoch, Evaluation, RunData, Step, Summary};

/// Classes that a table of confusion can have and still be read.
const MOST_CLASSES: usize = 30;

/// Confusions that are listed when there are too many classes for a table.
const LISTED: usize = 30;

/// The page of a run.
pub(super) fn render(run: &RunData) -> Result<String, ReportError> {
    let title = format!("{} run of {}", kind(run), model(run));
    let head = html! {
        @if let Some(claim) = run.setting("recipe.claim") { p.claim { (claim) } }
        (facts(run))
    };
    let body = html! {
        (curves(run)?)
        (reconstructions(run)?)
        @if let Some(evaluation) = &run.evaluation { (evaluated(run, evaluation)?) }
        (corrupt(run.summary.as_ref().map_or(&[], |summary| &summary.corrupt), "were replaced by others"))
        (corrupt(run.evaluation.as_ref().map_or(&[], |evaluation| &evaluation.left_out), "were left out of validation"))
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

fn is_pretraining(run: &RunData) -> bool {
    run.setting("model.encoder.name").is_some()
}

fn kind(run: &RunData) -> &'static str {
    match (is_pretraining(run), run.setting("init").is_some()) {
        (true, _) => "Pre-training",
        (false, true) => "Fine-tuning",
        (false, false) => "Supervised training",
    }
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
    let last = run.steps.last().map_or(0.0, |step| step.step);
    html! {
        dl {
            dt { "state" }
            @match &run.summary {
                Some(Summary { steps, epochs, images, seconds, .. }) => {
                    dd { "finished: " (steps) " steps in " (epochs) " epochs of " (images) " images, " (time(*seconds)) }
                }
                None => dd { "not finished: " (last) " steps made" },
            }
            @if let Some(Best { epoch, measure, value, checkpoint }) = run.summary.as_ref().and_then(|s| s.best.as_ref()) {
                dt { "best epoch" }
                dd { (epoch + 1) " (" (measure) " " (format!("{value:.4}")) ", " (checkpoint) ")" }
            }
            @for (label, key) in settings {
                @if let Some(value) = run.setting(key) { dt { (label) } dd { (value) } }
            }
        }
    }
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
    let by_step = |name, value: fn(&Step) -> f64| Curve {
        name,
        points: run.steps.iter().map(|step| (step.step, value(step))).collect(),
    };
    let by_epoch = |name, value: &dyn Fn(&Epoch) -> Option<f64>| Curve {
        name,
        points: run.epochs.iter().filter_map(|epoch| Some((epoch.epoch + 1.0, value(epoch)?))).collect(),
    };
    let measured = |label, name: &'static str| by_epoch(label, &move |epoch: &Epoch| epoch.value(name));
    let epoch_means = Curve {
        name: "mean of the epoch",
        points: run.epochs.iter().map(|epoch| (epoch.step, epoch.train_loss)).collect(),
    };
    let percent = |label, name: &'static str| {
        by_epoch(label, &move |epoch: &Epoch| epoch.value(name).map(|share| 100.0 * share))
    };
    let plots = [
        ("Training loss", plot("step", "loss", &[by_step("step", |step| step.loss), epoch_means])?),
        (
            "Accuracy on the validation images",
            plot(
                "epoch",
                "top-1 in %",
                &[percent("weights", "validation_top1"), percent("moving average", "ema_validation_top1")],
            )?,
        ),
        (
            "Loss on the validation images",
            plot(
                "epoch",
                "loss",
                &[measured("weights", "validation_loss"), measured("moving average", "ema_validation_loss")],
            )?,
        ),
        ("Learning rate", plot("step", "learning rate", &[by_step("rate", |step| step.learning_rate)])?),
        ("Speed", plot("step", "images a second", &[by_step("speed", |step| step.images_per_second)])?),
    ];
    Ok(html! {
        h2 { "Curves" }
        @if run.steps.is_empty() { p { "No step was made yet." } }
        @for (title, svg) in plots { (figure(title, svg)) }
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

pub(super) fn reconstructions(run: &RunData) -> Result<Markup, ReportError> {
    if run.reconstructions.is_empty() {
        return Ok(html! {});
    }
    let mut pictures = Vec::new();
    for path in &run.reconstructions {
        pictures.push(fs::read(path).map_err(|source| ReportError::Read { path: path.clone(), source })?);
    }
    Ok(html! {
        h2 { "Reconstructions" }
        p.quiet { "Each picture as it is, as the encoder saw it, and as the autoencoder restores it." }
        div.grid {
            @for bytes in pictures {
                figure {
                    (image(&bytes, "original, masked and reconstructed picture"))
                    figcaption.three { span { "original" } span { "masked" } span { "reconstructed" } }
                }
            }
        }
    })
}

fn image(bytes: &[u8], description: &str) -> Markup {
    html! { img src=(format!("data:image/png;base64,{}", STANDARD.encode(bytes))) alt=(description); }
}

fn evaluated(run: &RunData, evaluation: &Evaluation) -> Result<Markup, ReportError> {
    let Evaluation { images, top1, top5, loss, classes, mistakes, .. } = evaluation;
    let mut shown = Vec::new();
    for mistake in mistakes {
        let picture = mistake.picture.as_deref().map(|name| run.picture(name)).transpose()?;
        shown.push((mistake, picture));
    }
    Ok(html! {
        h2 { "Last evaluation" }
        p { (images) " validation images: top-1 " (percent(*top1)) ", top-5 " (percent(*top5)) ", loss " (format!("{loss:.4}")) }
        div.scroll { table {
            thead { tr { th scope="col" { "class" } th scope="col" { "images" } th scope="col" { "recognised" } th scope="col" { "accuracy" } } }
            tbody {
                @for class in classes {
                    tr { th scope="row" { (class.label) } td { (class.images) } td { (class.correct) } td { (percent(class.accuracy)) } }
                }
            }
        } }
        h2 { "Confusion" }
        @if classes.len() <= MOST_CLASSES { (confusion_table(evaluation)) } @else { (confusion_list(evaluation)) }
        @if !shown.is_empty() {
            h2 { "Worst mistakes" }
            p.quiet { "The wrong answers that the classifier was surest of." }
            div.grid.small {
                @for (mistake, picture) in shown {
                    figure {
                        @if let Some(bytes) = picture { (image(&bytes, &mistake.image)) }
                        figcaption { b { (mistake.label) } " taken for " b { (mistake.predicted) } ", " (percent(mistake.probability)) br; (mistake.image) }
                    }
                }
            }
        }
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Rows are classes, columns are answers; the darker, the larger the share of the row.
fn confusion_table(evaluation: &Evaluation) -> Markup {
    let mut names: Vec<&str> = evaluation.classes.iter().map(|class| class.label.as_str()).collect();
    for pair in &evaluation.confusion {
        if !names.contains(&pair.predicted.as_str()) {
            names.push(&pair.predicted);
        }
    }
    let counts: BTreeMap<(&str, &str), u64> = (evaluation.confusion.iter())
        .map(|pair| ((pair.label.as_str(), pair.predicted.as_str()), pair.images))
        .collect();
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "class \\ answer" } @for name in &names { th scope="col" { (name) } } } }
            tbody {
                @for class in &evaluation.classes {
                    tr {
                        th scope="row" { (class.label) }
                        @for name in &names {
                            @let count = counts.get(&(class.label.as_str(), *name)).copied().unwrap_or(0);
                            @let shade = 0.6 * count as f64 / class.images.max(1) as f64;
                            td style=(format!("background: rgba(var(--mark), {shade:.2})")) { @if count > 0 { (count) } }
                        }
                    }
                }
            }
        } }
    }
}

/// The most frequent confusions, for many classes.
fn confusion_list(evaluation: &Evaluation) -> Markup {
    let mut wrong: Vec<_> = evaluation.confusion.iter().filter(|pair| pair.label != pair.predicted).collect();
    wrong.sort_by_key(|pair| std::cmp::Reverse(pair.images));
    html! {
        div.scroll { table {
            thead { tr { th scope="col" { "class" } th scope="col" { "taken for" } th scope="col" { "images" } } }
            tbody {
                @for pair in wrong.into_iter().take(LISTED) {
                    tr { th scope="row" { (pair.label) } td.text { (pair.predicted) } td { (pair.images) } }
                }
            }
        } }
    }
}

fn corrupt(files: &[Corrupt], what_became_of_them: &str) -> Markup {
    html! {
        @if !files.is_empty() {
            h2 { "Images that could not be read" }
            p { (files.len()) " " (what_became_of_them) "." }
            ul { @for file in files { li { (file.name) ": " (file.why) } } }
        }
    }
}
