//! Page sections of a segmentation network: its metrics, each class, confusion, and the best and the worst images.

use convnext_core::counted;
use convnext_segment::{SegmentationClass, SegmentationEvaluation, SegmentedSample};
use maud::{Markup, html};

use super::error::ReportError;
use super::metrics;
use super::samples::{Shown, Thumbnails, comparisons};
use super::whole_page::{percent, percent_or_dash};

/// Shares of a row below this are not shown: they would hide the others.
const LEAST_SHARE: f64 = 0.005;

/// An evaluation.
pub(super) fn section(
    evaluation: &SegmentationEvaluation,
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    let best = images("Best images", &evaluation.best, thumbnails)?;
    let worst = images("Worst images", &evaluation.worst, thumbnails)?;
    Ok(html! {
        h2 { "Scores" }
        (metrics::table(&evaluation.metrics()))
        p.quiet {
            (counted(evaluation.images, "image", "images"))
            ". IoU is intersection over union: pixels of a class that were predicted as it, over those that are it or were \
             predicted as it."
        }
        (classes(evaluation))
        h2 { "Confusion" }
        p.quiet { "Of the pixels of each class, in rows, the share in percent that was predicted as each class." }
        (confusion(evaluation))
        (worst)
        (best)
    })
}

fn classes(evaluation: &SegmentationEvaluation) -> Markup {
    html! {
        div.scroll.tall { table {
            thead { tr { @for name in ["class", "pixels", "IoU", "accuracy"] { th scope="col" { (name) } } } }
            tbody {
                @for SegmentationClass { name, iou, accuracy, pixels } in &evaluation.classes {
                    tr {
                        th scope="row" { (name) } td { (pixels) }
                        @for score in [iou, accuracy] { td { (percent_or_dash(*score)) } }
                    }
                }
                tr.total {
                    th scope="row" { "mean" } td {}
                    @for score in [evaluation.miou, evaluation.mean_accuracy] { td { (percent_or_dash(score)) } }
                }
            }
        } }
    }
}

/// Rows are classes, columns are predictions; the darker, the larger the share of the row. Of many classes it scrolls.
fn confusion(evaluation: &SegmentationEvaluation) -> Markup {
    let names = || evaluation.classes.iter().map(|class| class.name.as_str());
    html! {
        div.scroll.tall { table.confusion {
            thead { tr { th scope="col" { "true \\ predicted" } @for name in names() { th scope="col" { (name) } } } }
            tbody {
                @for (name, row) in names().zip(&evaluation.confusion) {
                    tr {
                        th scope="row" { (name) }
                        @let all = row.iter().sum::<u64>().max(1);
                        @for share in row.iter().map(|&pixels| pixels as f64 / all as f64) {
                            td style=(format!("background: rgba(var(--mark), {:.2})", 0.6 * share)) {
                                @if share >= LEAST_SHARE { (format!("{:.0}", 100.0 * share)) }
                            }
                        }
                    }
                }
            }
        } }
    }
}

/// Images with their truth and prediction below a heading, or nothing where there are none.
fn images(
    heading: &str,
    samples: &[SegmentedSample],
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    let remark = "Image, truth, prediction and errors, side by side: wrong pixels are red, those without a class are black.";
    let shown: Vec<Shown> = samples.iter().map(shown).collect();
    comparisons([heading, remark, "image, truth, prediction and errors"], &shown, thumbnails)
}

fn shown(sample: &SegmentedSample) -> Shown<'_> {
    let SegmentedSample { image, miou, thumbnail } = sample;
    let caption = html! { "mIoU " (percent(*miou)) };
    Shown { image, thumbnail: thumbnail.as_deref(), caption, is_right: None }
}
