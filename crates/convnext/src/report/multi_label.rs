//! Page sections of a multi-label classifier: its metrics, and each class.

use convnext_multilabel::{MultiLabelClass, MultiLabelEvaluation};
use maud::{Markup, html};

use super::run_data::RunData;
use super::{ReportError, metrics};

/// Results on the validation images, if there are any yet.
pub(super) fn section(run: &RunData) -> Result<Markup, ReportError> {
    let Some(MultiLabelEvaluation { images, classes, .. }) = run.details()? else { return Ok(html! {}) };
    let heads = ["class", "images", "average precision", "precision", "recall"];
    Ok(html! {
        (metrics::table(run))
        p.quiet { (images) " validation images. Precision and recall are those of the classes with a probability of 0.5 or more." }
        div.scroll { table {
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody { @for class in &classes { (row(class)) } }
        } }
    })
}

fn row(class: &MultiLabelClass) -> Markup {
    let MultiLabelClass { label, images, found, answered, average_precision } = class;
    let share = |of: usize| (of > 0).then(|| *found as f64 / of as f64);
    html! {
        tr {
            th scope="row" { (label) } td { (images) }
            @for value in [*average_precision, share(*answered), share(*images)] {
                td { (value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value))) }
            }
        }
    }
}
