//! Page sections of a detector about its errors: which classes it takes for which, and what kinds of errors it makes.

use convnext_detect::{DetectionEvaluation, ImageErrors, SHOWN_SCORE};
use maud::{Markup, html};

use super::whole_page::{percent, percent_or_dash};

/// Classes that a table of confusion can have and still be read.
const MAX_CLASSES: usize = 30;

/// Confusions that are listed when there are too many classes for a table.
const LISTED: usize = 30;

/// Name of what is no object.
const BACKGROUND: &str = "background";

/// Confusion and kinds of errors of an evaluation.
pub(super) fn section(evaluation: &DetectionEvaluation) -> Markup {
    html! {
        h2 { "Confusion" }
        p.quiet {
            "Rows are the true classes, columns those as which objects were found, by boxes at an IoU of 0.5 and a score of "
            (SHOWN_SCORE) "; each cell has the count and its share of the row. The column of the background holds missed \
             objects, its row detections of no object, badly placed ones and duplicates included."
        }
        @if evaluation.classes.len() <= MAX_CLASSES { (confusion_table(evaluation)) }
        @else { (confusion_list(evaluation)) }
        h2 { "Kinds of errors" }
        p.quiet {
            "By boxes at an IoU of 0.5 and a score of " (SHOWN_SCORE) ", as the confusion. Shares are those of all detections, \
             of missed objects that of all objects."
        }
        (kinds(&evaluation.errors))
    }
}

fn names(evaluation: &DetectionEvaluation) -> impl Iterator<Item = &str> {
    evaluation.classes.iter().map(|class| class.name.as_str()).chain([BACKGROUND])
}

/// The darker, the larger the share of the row.
fn confusion_table(evaluation: &DetectionEvaluation) -> Markup {
    html! {
        div.scroll.tall { table.confusion {
            thead {
                tr {
                    th scope="col" { "true \\ predicted" }
                    @for name in names(evaluation) { th scope="col" { (name) } }
                }
            }
            tbody {
                @for (name, row) in names(evaluation).zip(&evaluation.confusion) {
                    @let all = row.iter().sum::<u64>().max(1);
                    tr {
                        th scope="row" { (name) }
                        @for &count in row {
                            @let share = count as f64 / all as f64;
                            td style=(format!("background: rgba(var(--mark), {:.2})", 0.6 * share)) {
                                @if count > 0 { (count) br; (format!("{:.0} %", 100.0 * share)) }
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// The most frequent confusions, for many classes.
fn confusion_list(evaluation: &DetectionEvaluation) -> Markup {
    let mut wrong: Vec<(&str, &str, u64, f64)> = Vec::new();
    for (truth, row) in names(evaluation).zip(&evaluation.confusion) {
        let all = row.iter().sum::<u64>().max(1) as f64;
        let cells = names(evaluation).zip(row).filter(|&(name, &count)| name != truth && count > 0);
        wrong.extend(cells.map(|(predicted, &count)| (truth, predicted, count, count as f64 / all)));
    }
    wrong.sort_by_key(|&(_, _, count, _)| std::cmp::Reverse(count));
    html! {
        div.scroll { table {
            thead {
                tr {
                    th scope="col" { "true" } th.text scope="col" { "predicted" }
                    th scope="col" { "count" } th scope="col" { "share of the row" }
                }
            }
            tbody {
                @for (truth, predicted, count, share) in wrong.into_iter().take(LISTED) {
                    tr { th scope="row" { (truth) } td.text { (predicted) } td { (count) } td { (percent(share)) } }
                }
            }
        } }
    }
}

/// A kind of detection, or missed objects.
struct ErrorKind {
    name: &'static str,
    count: u64,
    /// All detections; of missed objects all objects.
    all: u64,
    meaning: &'static str,
}

fn error_kinds(errors: &ImageErrors) -> [ErrorKind; 6] {
    let ImageErrors { right, wrong_class, badly_placed, duplicates, background, missed } = *errors;
    let detections = right + wrong_class + badly_placed + duplicates + background;
    let objects = right + wrong_class + missed;
    let kind = |name, count, meaning| ErrorKind { name, count, all: detections, meaning };
    [
        kind("right", right, "An object, found as its class."),
        kind("wrong class", wrong_class, "An object, found as another class."),
        kind("badly placed", badly_placed, "Near an object of the class, at an IoU of 0.1 to 0.5."),
        kind("duplicates", duplicates, "An object that a detection of a higher score has found already."),
        kind(BACKGROUND, background, "Nothing of the class is there."),
        ErrorKind {
            all: objects,
            ..kind("missed", missed, "An object without a detection, or with a badly placed one only.")
        },
    ]
}

fn kinds(errors: &ImageErrors) -> Markup {
    html! {
        div.scroll { table.short {
            thead {
                tr {
                    @for name in ["kind", "count", "share"] { th scope="col" { (name) } }
                    th.text scope="col" { "meaning" }
                }
            }
            tbody {
                @for ErrorKind { name, count, all, meaning } in error_kinds(errors) {
                    tr {
                        th scope="row" { (name) } td { (count) }
                        td { (percent_or_dash((all > 0).then(|| count as f64 / all as f64))) } td.wrap { (meaning) }
                    }
                }
            }
        } }
    }
}

/// The counts that are not 0, in words.
pub(super) fn counts(errors: &ImageErrors) -> String {
    let kinds = error_kinds(errors).into_iter().filter(|kind| kind.count > 0);
    kinds.map(|kind| format!("{} {}", kind.count, kind.name)).collect::<Vec<_>>().join(", ")
}
