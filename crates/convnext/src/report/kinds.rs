//! Page sections special to a kind of task: the one place of the report that knows tasks.

use convnext_core::Kind as _;
use convnext_multilabel::MultiLabelTask;
use convnext_train::{Evaluation, Reconstruction};
use maud::Markup;

use super::run_data::RunData;
use super::{ReportError, classification, metrics, multi_label, reconstructions};

/// Kind of task that a run was trained for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Classification,
    MultiLabel,
    Fcmae,
    /// A task that the report has no page for: its metrics say enough.
    Other,
}

impl Kind {
    /// As the last evaluation says. One without, such as a pre-training of an earlier version, is told by its model.
    pub(super) fn of(run: &RunData) -> Self {
        match run.evaluation.as_ref().map(|measured| measured.kind.as_str()) {
            Some(Evaluation::KIND) => Self::Classification,
            Some(MultiLabelTask::KIND) => Self::MultiLabel,
            Some(Reconstruction::KIND) => Self::Fcmae,
            Some(_) => Self::Other,
            None if run.setting("model.encoder.name").is_some() => Self::Fcmae,
            None => Self::Classification,
        }
    }

    /// Name of its training, such as `Fine-tuning`.
    pub(super) fn of_training(self, run: &RunData) -> &'static str {
        match (self, run.setting("init").is_some()) {
            (Self::Fcmae, _) => "Pre-training",
            (_, true) => "Fine-tuning",
            (Self::Classification | Self::MultiLabel, false) => "Supervised training",
            (Self::Other, false) => "Training",
        }
    }

    /// The section after the curves.
    pub(super) fn section(self, run: &RunData) -> Result<Markup, ReportError> {
        match self {
            Self::Classification => classification::section(run),
            Self::MultiLabel => multi_label::section(run),
            Self::Fcmae => reconstructions::section(run),
            Self::Other => Ok(metrics::table(run)),
        }
    }
}
