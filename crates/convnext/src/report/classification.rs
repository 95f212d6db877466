//! Page sections of a classifier: each class, confusion, most confident errors and sample predictions.

use std::collections::BTreeMap;

use convnext_core::counted;
use convnext_train::{ClassResult, Evaluation, SamplePrediction};
use maud::{Markup, html};

use super::error::ReportError;
use super::samples::{Shown, Thumbnails, grid};
use super::whole_page::{percent, percent_or_dash};

/// Classes that a table of confusion can have and still be read.
const MAX_CLASSES: usize = 30;

/// Confusions that are listed when there are too many classes for a table.
const LISTED: usize = 30;

/// An evaluation.
pub(super) fn section(evaluation: Evaluation, thumbnails: &Thumbnails) -> Result<Markup, ReportError> {
    let evaluation = evaluation.scored();
    let Evaluation { images, top1, top5, loss, mistakes, samples, .. } = &evaluation;
    let measured = |value: &Option<f64>, in_words: fn(f64) -> String| {
        value.map_or_else(|| "not measured".to_owned(), in_words)
    };
    let loss = measured(loss, |loss| format!("{loss:.4}"));
    let errors: Vec<Shown> = mistakes.iter().map(|shown| prediction(shown, None)).collect();
    let drawn: Vec<Shown> =
        samples.iter().map(|shown| prediction(shown, Some(shown.label == shown.predicted))).collect();
    Ok(html! {
        h2 { "Scores" }
        p { (counted(*images, "image", "images")) ": top-1 " (measured(top1, percent)) ", top-5 " (measured(top5, percent)) ", loss " (loss) }
        (classes(&evaluation))
        h2 { "Confusion" }
        @if evaluation.classes.len() <= MAX_CLASSES { (confusion_table(&evaluation)) } @else { (confusion_list(&evaluation)) }
        (grid("Sample predictions", "Drawn by the seed, not picked; wrong ones have a red edge.", &drawn, thumbnails)?)
        (grid("Most confident errors", "Wrong predictions of the highest probability.", &errors, thumbnails)?)
    })
}

fn classes(evaluation: &Evaluation) -> Markup {
    let Evaluation { classes, macro_average: mean, images, .. } = evaluation;
    let correct: usize = classes.iter().map(|class| class.correct).sum();
    let head = ["class", "images", "predicted", "correct", "precision", "recall", "F1"];
    html! {
        div.scroll.tall { table {
            thead { tr { @for name in head { th scope="col" { (name) } } } }
            tbody {
                @for ClassResult { label, images, predicted, correct, scores, .. } in classes {
                    tr {
                        th scope="row" { (label) } td { (images) } td { (predicted) } td { (correct) }
                        @for score in [scores.precision, scores.recall, scores.f1] { td { (percent_or_dash(score)) } }
                    }
                }
                tr.total {
                    th scope="row" { "macro average" } td { (images) } td {} td { (correct) }
                    @for score in [mean.precision, mean.recall, mean.f1] { td { (percent_or_dash(score)) } }
                }
            }
        } }
    }
}

fn prediction(shown: &SamplePrediction, is_right: Option<bool>) -> Shown<'_> {
    let SamplePrediction { image, label, predicted, probability, thumbnail, .. } = shown;
    let probability = percent(*probability);
    let caption = html! {
        @if label == predicted { b { (predicted) } ", " (probability) }
        @else { b { (predicted) } ", " (probability) "; true: " b { (label) } }
    };
    Shown { image, thumbnail: thumbnail.as_deref(), caption, is_right }
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
        div.scroll { table.confusion {
            thead { tr { th scope="col" { "true \\ predicted" } @for name in &names { th scope="col" { (name) } } } }
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
            thead { tr { th scope="col" { "true" } th scope="col" { "predicted" } th scope="col" { "images" } } }
            tbody {
                @for pair in wrong.into_iter().take(LISTED) {
                    tr { th scope="row" { (pair.label) } td.text { (pair.predicted) } td { (pair.images) } }
                }
            }
        } }
    }
}
