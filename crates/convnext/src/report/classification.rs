//! Page sections of a classifier: each class, confusion and the worst mistakes.

use std::collections::BTreeMap;

use convnext_train::{Evaluation, Mistake};
use maud::{Markup, html};

use super::ReportError;
use super::page::image;
use super::run_data::RunData;

/// Classes that a table of confusion can have and still be read.
const MOST_CLASSES: usize = 30;

/// Confusions that are listed when there are too many classes for a table.
const LISTED: usize = 30;

/// Results on the validation images, if there are any yet.
pub(super) fn section(run: &RunData) -> Result<Markup, ReportError> {
    let Some(evaluation) = run.details::<Evaluation>()? else { return Ok(html! {}) };
    let Evaluation { images, top1, top5, loss, classes, mistakes, .. } = &evaluation;
    let measured = |value: &Option<f64>, in_words: fn(f64) -> String| {
        value.map_or_else(|| "not measured".to_owned(), in_words)
    };
    let loss = measured(loss, |loss| format!("{loss:.4}"));
    Ok(html! {
        h2 { "Last evaluation" }
        p { (images) " validation images: top-1 " (measured(top1, percent)) ", top-5 " (measured(top5, percent)) ", loss " (loss) }
        div.scroll { table {
            thead { tr { th scope="col" { "class" } th scope="col" { "images" } th scope="col" { "recognised" } th scope="col" { "accuracy" } } }
            tbody {
                @for class in classes {
                    tr { th scope="row" { (class.label) } td { (class.images) } td { (class.correct) } td { (percent(class.accuracy)) } }
                }
            }
        } }
        h2 { "Confusion" }
        @if classes.len() <= MOST_CLASSES { (confusion_table(&evaluation)) } @else { (confusion_list(&evaluation)) }
        (worst(run, mistakes)?)
    })
}

/// The worst mistakes, with what the model saw.
fn worst(run: &RunData, mistakes: &[Mistake]) -> Result<Markup, ReportError> {
    let mut shown = Vec::new();
    for mistake in mistakes {
        let thumbnail = mistake.thumbnail.as_deref().map(|name| run.image(name)).transpose()?;
        shown.push((mistake, thumbnail));
    }
    Ok(html! {
        @if !shown.is_empty() {
            h2 { "Worst mistakes" }
            p.quiet { "The most confident errors." }
            div.grid.small {
                @for (mistake, thumbnail) in shown {
                    figure {
                        @if let Some(bytes) = thumbnail { (image(&bytes, &mistake.image)) }
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
    let counts: BTreeMap<(&str, &str), usize> = (evaluation.confusion.iter())
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
