//! The page of a quickstart: its runs side by side.

use std::path::Path;

use convnext_study::Spread;
use convnext_train::duration_in_words;
use maud::{Markup, html};

use super::curves::{Curve, plot};
use super::error::ReportError;
use super::metrics::{EPOCHS, axis, capitalised, points, train_losses};
use super::reconstructions;
use super::run_data::{RunData, read_json};
use super::whole_page::{figure, whole};
use crate::quickstart::comparison::{COMPARISON_FILE, Comparison, SeedResult};

pub(super) fn render(folder: &Path) -> Result<String, ReportError> {
    let path = folder.join(COMPARISON_FILE);
    let comparison: Comparison = read_json(&path)?.ok_or_else(|| ReportError::NoRun(folder.to_owned()))?;
    let seeds: Vec<u64> = comparison.seeds.iter().map(|result| result.seed).collect();
    let read = |name: &str| -> Result<Vec<RunData>, ReportError> {
        seeds.iter().map(|seed| RunData::read(&folder.join(format!("seed-{seed}")).join(name))).collect()
    };
    let (pretrained, fcmae, scratch) = (read("pretrained")?, read("from-fcmae")?, read("from-scratch")?);
    let verdict = comparison.verdict();
    let head = html! {
        p.claim { (capitalised(&verdict)) "." }
        p.quiet {
            "Top-1 on 360 handwritten digits that no choice was made by. Each seed pre-trains on 1,437 digits without "
            "labels, then fine-tunes; from scratch, the same labels and the same number of steps. "
            "Training took " (duration_in_words(comparison.seconds)) "."
        }
    };
    let accuracy = monitored(&fcmae, &scratch)?;
    let losses = plot(
        EPOCHS,
        "loss",
        &[mean("from FCMAE", &fcmae, train_losses), mean("from scratch", &scratch, train_losses)],
    )?;
    let pretraining = plot(EPOCHS, "loss", &[mean("pre-training", &pretrained, train_losses)])?;
    let body = html! {
        h2 { "Result" }
        (table(&comparison))
        h2 { "Curves" }
        @if seeds.len() > 1 { p.quiet { "Means over the " (seeds.len()) " seeds." } }
        div.charts {
            (figure("Accuracy on the test digits", accuracy))
            (figure("Training loss with few labels", losses))
            (figure("Loss of the pre-training", pretraining))
        }
        @if let Some(first) = pretrained.first() { (reconstructions::section(first)?) }
    };
    Ok(whole("Pre-trained without labels, or trained from scratch?", &head, &body))
}

fn table(comparison: &Comparison) -> Markup {
    let deviation = |spread: &Spread| {
        spread.deviation.map_or_else(|| "-".to_owned(), |value| format!("{:.2}", 100.0 * value))
    };
    let Comparison { from_fcmae, from_scratch, difference, .. } = comparison;
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "seed" } th scope="col" { "from FCMAE" } th scope="col" { "from scratch" }
                th scope="col" { "difference" } th.text scope="col" { "reports" }
            } }
            tbody {
                @for result in &comparison.seeds { (row(result)) }
                // Of one seed they say nothing.
                @if comparison.seeds.len() > 1 {
                    tr.total {
                        th scope="row" { "mean" }
                        td { (percent(from_fcmae.mean)) } td { (percent(from_scratch.mean)) } td { (in_points(difference.mean)) } td {}
                    }
                    tr {
                        th scope="row" { "standard deviation across seeds" }
                        td { (deviation(from_fcmae)) } td { (deviation(from_scratch)) } td { (deviation(difference)) } td {}
                    }
                }
            }
        } }
    }
}

/// The results of a seed, and where their reports are.
fn row(result: &SeedResult) -> Markup {
    html! {
        tr {
            th scope="row" { (result.seed) }
            td { (percent(result.from_fcmae)) }
            td { (percent(result.from_scratch)) }
            td { (in_points(result.difference())) }
            td.text {
                @for (name, folder) in
                    [("pre-training", "pretrained"), ("fine-tuning", "from-fcmae"), ("scratch", "from-scratch")]
                {
                    a href=(format!("seed-{}/{folder}/report.html", result.seed)) { (name) } " "
                }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}

/// A difference in percentage points.
fn in_points(share: f64) -> String {
    format!("{:+.2}", 100.0 * share)
}

/// The curves of the metric by which the epochs of both were compared.
fn monitored(fcmae: &[RunData], scratch: &[RunData]) -> Result<Option<Markup>, ReportError> {
    let said = |run: &RunData| run.summary.as_ref()?.monitored();
    let Some(metric) = fcmae.iter().chain(scratch).find_map(said) else { return Ok(None) };
    let key = metric.key();
    let of = |run: &RunData| points(run, &metric, &key);
    plot(EPOCHS, &axis(&metric), &[mean("from FCMAE", fcmae, of), mean("from scratch", scratch, of)])
}

/// The mean over runs of the same length, epoch by epoch.
fn mean(name: &str, runs: &[RunData], points: impl Fn(&RunData) -> Vec<(f64, f64)>) -> Curve {
    let runs: Vec<Vec<(f64, f64)>> = runs.iter().map(points).collect();
    let length = runs.iter().map(Vec::len).min().unwrap_or(0);
    let share = 1.0 / runs.len().max(1) as f64;
    let point = |index: usize| (runs[0][index].0, runs.iter().map(|run| share * run[index].1).sum());
    Curve::new(name, (0..length).map(point).collect())
}
