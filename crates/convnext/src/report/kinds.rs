//! Page sections special to a kind of task: the one place of the report that knows tasks.

use std::path::Path;

use convnext_core::{DetectionTask, Kind as _, SegmentationTask};
use convnext_detect::DetectionEvaluation;
use convnext_io::EVALUATION_FILE;
use convnext_multilabel::MultiLabelTask;
use convnext_segment::SegmentationEvaluation;
use convnext_train::{Evaluation, Reconstruction, ValidationResult};
use maud::{Markup, html};
use serde::de::DeserializeOwned;

use super::error::ReportError;
use super::run_data::{RunData, damaged};
use super::samples::Thumbnails;
use super::{classification, detection, metrics, multi_label, reconstructions, segmentation};

/// Kind of task that a run was trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Classification,
    MultiLabel,
    Segmentation,
    Detection,
    Fcmae,
    /// A task that the report has no page for: its metrics say enough.
    Other,
}

impl Kind {
    /// As the last evaluation says. One without, such as a pre-training of an earlier version, is told by its model.
    pub(super) fn of(run: &RunData) -> Self {
        match run.evaluation.as_ref() {
            Some(measured) => Self::of_result(measured),
            None if run.setting("model.encoder.name").is_some() => Self::Fcmae,
            None => match run.setting("task").as_deref() {
                Some(MultiLabelTask::KIND) => Self::MultiLabel,
                Some(SegmentationTask::KIND) => Self::Segmentation,
                Some(DetectionTask::KIND) => Self::Detection,
                _ => Self::Classification,
            },
        }
    }

    fn of_result(measured: &ValidationResult) -> Self {
        match measured.kind.as_str() {
            Evaluation::KIND => Self::Classification,
            MultiLabelTask::KIND => Self::MultiLabel,
            SegmentationTask::KIND => Self::Segmentation,
            DetectionTask::KIND => Self::Detection,
            Reconstruction::KIND => Self::Fcmae,
            _ => Self::Other,
        }
    }

    /// Name of its training, such as `Fine-tuning`.
    pub(super) fn of_training(self, run: &RunData) -> &'static str {
        match (self, run.setting("init").is_some()) {
            (Self::Fcmae, _) => "Pre-training",
            (_, true) => "Fine-tuning",
            (Self::Other, false) => "Training",
            (_, false) => "Supervised training",
        }
    }

    /// Name of the task.
    pub(super) fn task(self, run: &RunData) -> String {
        match self {
            Self::Classification => "classification".to_owned(),
            Self::MultiLabel => "multi-label classification".to_owned(),
            Self::Segmentation => "semantic segmentation".to_owned(),
            Self::Detection if run.setting("head.masks").as_deref() == Some("true") => {
                "object detection and instance segmentation".to_owned()
            }
            Self::Detection => "object detection".to_owned(),
            Self::Fcmae => "masked autoencoder (FCMAE)".to_owned(),
            Self::Other => run.evaluation.as_ref().map_or_else(String::new, |measured| measured.kind.clone()),
        }
    }

    /// End of the titles of the metrics' curves: where they were measured. A pre-training measures features of images that
    /// it learns from, and sizes of weights.
    pub(super) fn place_of_metrics(self) -> &'static str {
        match self {
            Self::Fcmae => "",
            _ => " on the validation images",
        }
    }

    /// The section after the curves.
    pub(super) fn section(self, run: &RunData) -> Result<Markup, ReportError> {
        let thumbnails = |_: &str, path: Option<&str>| path.map(|path| run.image(path)).transpose();
        match &run.evaluation {
            _ if self == Self::Fcmae => reconstructions::section(run),
            None => Ok(html! {}),
            Some(measured) => section_of(measured, &run.folder.join(EVALUATION_FILE), &thumbnails),
        }
    }
}

/// The section of an evaluation, which stands in a file.
pub(super) fn section_of(
    measured: &ValidationResult,
    file: &Path,
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    match Kind::of_result(measured) {
        Kind::Classification => classification::section(details(measured, file)?, thumbnails),
        Kind::MultiLabel => multi_label::section(details(measured, file)?, thumbnails),
        Kind::Segmentation => {
            segmentation::section(&details::<SegmentationEvaluation>(measured, file)?, thumbnails)
        }
        Kind::Detection => detection::section(&details::<DetectionEvaluation>(measured, file)?, thumbnails),
        Kind::Fcmae | Kind::Other => Ok(html! { h2 { "Scores" } (metrics::table(&measured.metrics)) }),
    }
}

/// The details of an evaluation, as the struct of its kind.
fn details<T: DeserializeOwned>(measured: &ValidationResult, file: &Path) -> Result<T, ReportError> {
    measured.details().map_err(|error| damaged(file, error.to_string()))
}
