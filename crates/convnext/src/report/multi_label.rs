//! Page sections of a multi-label classifier: its metrics, each class, most confident errors and sample predictions.

use convnext_core::counted;
use convnext_multilabel::{MultiLabelClass, MultiLabelEvaluation, MultiLabelMistake, MultiLabelSample};
use maud::{Markup, html};

use super::error::ReportError;
use super::metrics;
use super::samples::{Shown, Thumbnails, grid};
use super::whole_page::{percent, percent_or_dash};

/// An evaluation.
pub(super) fn section(
    evaluation: MultiLabelEvaluation,
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    let evaluation = evaluation.scored();
    let errors: Vec<Shown> = evaluation.mistakes.iter().map(mistake).collect();
    let drawn: Vec<Shown> = evaluation.samples.iter().map(sample).collect();
    Ok(html! {
        h2 { "Scores" }
        (metrics::table(&evaluation.metrics()))
        p.quiet {
            (counted(evaluation.images, "image", "images"))
            ". A class of a probability of 0.5 or more is predicted; precision, recall and F1 are those of that."
        }
        (classes(&evaluation))
        (grid("Sample predictions", "Drawn by the seed, not picked; those with an error have a red edge.", &drawn, thumbnails)?)
        (grid("Most confident errors", "Wrong probabilities of single classes, the furthest from the truth first.", &errors, thumbnails)?)
    })
}

fn classes(evaluation: &MultiLabelEvaluation) -> Markup {
    let MultiLabelEvaluation { classes, macro_average: mean, .. } = evaluation;
    let heads = ["class", "images", "predicted", "correct", "average precision", "precision", "recall", "F1"];
    let precision = evaluation.metrics().first().and_then(|metric| metric.value);
    html! {
        div.scroll.tall { table {
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody {
                @for MultiLabelClass { label, images, found, answered, average_precision, scores } in classes {
                    tr {
                        th scope="row" { (label) } td { (images) } td { (answered) } td { (found) }
                        @for score in [*average_precision, scores.precision, scores.recall, scores.f1] {
                            td { (percent_or_dash(score)) }
                        }
                    }
                }
                tr.total {
                    th scope="row" { "macro average" } td {} td {} td {}
                    @for score in [precision, mean.precision, mean.recall, mean.f1] { td { (percent_or_dash(score)) } }
                }
            }
        } }
    }
}

fn sample(shown: &MultiLabelSample) -> Shown<'_> {
    let MultiLabelSample { image, labels, predicted, thumbnail, .. } = shown;
    let is_right = labels.iter().eq(predicted.iter().map(|class| &class.label));
    let listed = |names: Vec<String>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let answers = predicted.iter().map(|class| format!("{} {}", class.label, percent(class.probability)));
    let caption = html! {
        b { (listed(answers.collect())) }
        @if !is_right { "; true: " b { (listed(labels.clone())) } }
    };
    Shown { image, thumbnail: thumbnail.as_deref(), caption, is_right: Some(is_right) }
}

fn mistake(shown: &MultiLabelMistake) -> Shown<'_> {
    let MultiLabelMistake { image, label, is_in, probability, thumbnail, .. } = shown;
    let truth = if *is_in { "is in the image" } else { "is not in the image" };
    let caption = html! { b { (label) } ", " (percent(*probability)) "; it " (truth) };
    Shown { image, thumbnail: thumbnail.as_deref(), caption, is_right: None }
}
