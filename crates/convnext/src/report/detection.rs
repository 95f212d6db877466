//! Page sections of a detector: its scores, each class, precision by recall, errors, and the best and the worst images.

use convnext_core::counted;
use convnext_detect::{
    DetectedSample, DetectionClass, DetectionEvaluation, DetectionScores, PrecisionRecall, SHOWN_SCORE,
};
use maud::{Markup, html};

use super::curves::{Curve, Scale, plot_scaled};
use super::detection_errors;
use super::error::ReportError;
use super::samples::{Shown, Thumbnails, comparisons};
use super::whole_page::{figure, percent, percent_or_dash};

/// A number of COCO: its name, where it stands, and the words about it.
type Score = (&'static str, fn(&DetectionScores) -> Option<f64>, &'static str);

const SCORES: [Score; 12] = [
    (
        "AP",
        |scores| scores.ap,
        "Average precision: the mean over classes, over recalls, and over IoUs of 0.5 to 0.95 from which a detection is right.",
    ),
    ("AP50", |scores| scores.ap50, "Average precision where an IoU of 0.5 makes a detection right."),
    (
        "AP75",
        |scores| scores.ap75,
        "Average precision where it takes an IoU of 0.75, which asks for a better fit.",
    ),
    ("APs", |scores| scores.ap_small, "AP of small objects: at most 32 x 32 pixels."),
    ("APm", |scores| scores.ap_medium, "AP of medium objects: from 32 x 32 to 96 x 96 pixels."),
    ("APl", |scores| scores.ap_large, "AP of large objects: at least 96 x 96 pixels."),
    (
        "AR1",
        |scores| scores.ar1,
        "Average recall, the share of the objects that are found, by the one most confident detection of a class in an \
         image: the mean over classes and the same IoUs.",
    ),
    ("AR10", |scores| scores.ar10, "Average recall by the 10 most confident ones."),
    ("AR100", |scores| scores.ar100, "Average recall by the 100 most confident ones."),
    ("ARs", |scores| scores.ar_small, "AR100 of small objects."),
    ("ARm", |scores| scores.ar_medium, "AR100 of medium objects."),
    ("ARl", |scores| scores.ar_large, "AR100 of large objects."),
];

/// An evaluation.
pub(super) fn section(
    evaluation: &DetectionEvaluation,
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    Ok(html! {
        h2 { "Scores" }
        (scores(evaluation))
        h2 { "Classes" }
        (classes(evaluation))
        (curves(evaluation)?)
        (detection_errors::section(evaluation))
        (images("Worst images", &evaluation.worst, thumbnails)?)
        (images("Best images", &evaluation.best, thumbnails)?)
    })
}

fn scores(evaluation: &DetectionEvaluation) -> Markup {
    let DetectionEvaluation { images, boxes, masks, .. } = evaluation;
    html! {
        p.quiet {
            (counted(*images, "image", "images"))
            ". IoU is intersection over union: the area that a detection and an object share, over the one that they cover \
             together. Of all numbers higher is better; a dash stands where there are no such objects."
        }
        div.scroll { table.short {
            thead {
                tr {
                    th scope="col" { "score" } th scope="col" { "boxes" }
                    @if masks.is_some() { th scope="col" { "masks" } }
                    th.text scope="col" { "meaning" }
                }
            }
            tbody {
                @for (name, value, meaning) in SCORES {
                    tr {
                        th scope="row" { (name) } td { (percent_or_dash(value(boxes))) }
                        @if let Some(masks) = masks { td { (percent_or_dash(value(masks))) } }
                        td.wrap { (meaning) }
                    }
                }
            }
        } }
    }
}

fn classes(evaluation: &DetectionEvaluation) -> Markup {
    let DetectionEvaluation { classes, boxes, masks, .. } = evaluation;
    let objects: u64 = classes.iter().map(|class| class.objects).sum();
    html! {
        div.scroll.tall { table {
            thead {
                tr {
                    @for name in ["class", "objects", "box AP"] { th scope="col" { (name) } }
                    @if masks.is_some() { th scope="col" { "mask AP" } }
                }
            }
            tbody {
                @for DetectionClass { name, objects, box_ap, mask_ap } in classes {
                    tr {
                        th scope="row" { (name) } td { (objects) } td { (percent_or_dash(*box_ap)) }
                        @if masks.is_some() { td { (percent_or_dash(*mask_ap)) } }
                    }
                }
                tr.total {
                    th scope="row" { "mean" } td { (objects) " in all" } td { (percent_or_dash(boxes.ap)) }
                    @if let Some(masks) = masks { td { (percent_or_dash(masks.ap)) } }
                }
            }
        } }
    }
}

/// Precision by recall of boxes and of masks, or nothing where there are no objects.
fn curves(evaluation: &DetectionEvaluation) -> Result<Markup, ReportError> {
    let boxes = precision_recall(&evaluation.curves.boxes)?;
    let masks = evaluation.curves.masks.as_ref().map(precision_recall).transpose()?.flatten();
    Ok(html! {
        @if boxes.is_some() {
            h2 { "Precision and recall" }
            p.quiet {
                "The precision at each recall, which is the share of the objects that are found: the mean over classes, 0 from \
                 where no more are found."
            }
            div.charts { (figure("By boxes", boxes)) (figure("By masks", masks)) }
        }
    })
}

/// Both axes show all that can be, so that plots can be compared.
fn precision_recall(curves: &PrecisionRecall) -> Result<Option<Markup>, ReportError> {
    let curve = |name, precisions: &[f64]| {
        let last = precisions.len().saturating_sub(1).max(1) as f64;
        let point = |(place, precision): (usize, &f64)| (100.0 * place as f64 / last, 100.0 * precision);
        Curve::new(name, precisions.iter().enumerate().map(point).collect())
    };
    let curves = [
        curve("IoU 0.5", &curves.at_50),
        curve("IoU 0.75", &curves.at_75),
        curve("mean of IoU 0.5 to 0.95", &curves.mean),
    ];
    plot_scaled(["recall in %", "precision in %"], &curves, Scale::Between(0.0, 100.0))
}

/// Images with their truth and detections below a heading, or nothing where there are none.
fn images(heading: &str, samples: &[DetectedSample], thumbnails: &Thumbnails) -> Result<Markup, ReportError> {
    let remark = format!(
        "Image, truth, and detections of a score of {SHOWN_SCORE} or more, side by side. F1 is the harmonic mean of \
         precision and recall at that score and an IoU of 0.5."
    );
    let shown: Vec<Shown> = samples.iter().map(shown).collect();
    comparisons([heading, &remark, "image, truth and detections"], &shown, thumbnails)
}

fn shown(sample: &DetectedSample) -> Shown<'_> {
    let DetectedSample { image, f1, errors, thumbnail } = sample;
    let caption = html! { "F1 " (percent(*f1)) ": " (detection_errors::counts(errors)) };
    Shown { image, thumbnail: thumbnail.as_deref(), caption, is_right: None }
}
