//! Page sections of a detector about its errors: which classes it takes for which, and what kinds of errors it makes.

use convnext_detect::{DetectionEvaluation, ImageErrors, SHOWN_SCORE};
use maud::{Markup, html};

use super::whole_page::percent;

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
            "Objects in rows by the class as which they were found in columns, by boxes at an IoU of 0.5 and a score of "
            (SHOWN_SCORE) ": their count and share of the row. In the column of the background are missed objects, in its row \
             detections that found no object of their own."
        }
        @if evaluation.classes.len() <= MAX_CLASSES { (confusion_table(evaluation)) }
        @else { (confusion_list(evaluation)) }
        h2 { "Kinds of errors" }
        p.quiet { "By boxes at an IoU of 0.5 and a score of " (SHOWN_SCORE) ", as the confusion." }
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
                                @if count > 0 { (count) br; span.quiet { (format!("{:.0} %", 100.0 * share)) } }
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

/// A kind of detection or of missed object: its name, its count, and the words about it.
type Counted = (&'static str, u64, &'static str);

/// All but the last are detections.
fn counted_kinds(errors: &ImageErrors) -> [Counted; 6] {
    let ImageErrors { right, wrong_class, badly_placed, duplicates, background, missed } = *errors;
    [
        ("right", right, "An object, found as its class."),
        ("wrong class", wrong_class, "An object, found as another class."),
        ("badly placed", badly_placed, "Near an object of the class, at an IoU of 0.1 to 0.5."),
        ("duplicates", duplicates, "An object that a detection of a higher score has found already."),
        (BACKGROUND, background, "Nothing of the class is there."),
        ("missed", missed, "An object without a detection, or with a badly placed one only."),
    ]
}

fn kinds(errors: &ImageErrors) -> Markup {
    let kinds = counted_kinds(errors);
    let detections: u64 = kinds[..5].iter().map(|&(_, count, _)| count).sum();
    let objects = errors.right + errors.wrong_class + errors.missed;
    let share = |count: u64, all: u64| percent(count as f64 / all.max(1) as f64);
    html! {
        div.scroll { table {
            thead {
                tr {
                    th scope="col" { "kind" } th scope="col" { "count" } th scope="col" { "share" }
                    th.text scope="col" { "meaning" }
                }
            }
            tbody {
                @for (place, (name, count, meaning)) in kinds.into_iter().enumerate() {
                    @let (all, of) = if place < 5 { (detections, "detections") } else { (objects, "objects") };
                    tr {
                        th scope="row" { (name) } td { (count) } td { (share(count, all)) " of " (of) }
                        td.wrap { (meaning) }
                    }
                }
            }
        } }
    }
}

/// The counts that are not 0, in words.
pub(super) fn counts(errors: &ImageErrors) -> String {
    let kinds = counted_kinds(errors).into_iter().filter(|&(_, count, _)| count > 0);
    kinds.map(|(name, count, _)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}
