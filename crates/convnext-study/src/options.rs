//! Options of a study: what its user decides.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::StudyError;
use crate::stage::Stage;
use crate::study::{Run, Study};

/// Decisions of a study's user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StudyOptions {
    /// Models in place of [`Study::models`], in their order; rows of further ones are left out. Those of the study if empty.
    #[serde(default)]
    pub models: Vec<String>,
    /// Recipes of the trainings.
    pub recipes: RecipeChoice,
    /// Number of seeds: 0, 1, 2 and so on.
    pub seeds: u64,
    /// Labelled images of each class that fine-tunings use, one column each; all of them if empty.
    #[serde(default)]
    pub labels: Vec<usize>,
    /// Rows that are run; all of them if empty.
    #[serde(default)]
    pub only: Vec<String>,
    /// Side of the stem's patches, of runs that start from no other.
    #[serde(default)]
    pub stem_stride: Option<usize>,
    /// Seconds that the whole study may take; lengths are chosen by it.
    #[serde(default)]
    pub budget: Option<u64>,
    /// Words that start the ranks of trainings whose results depend on the number of these; none where each is one process.
    /// `None` where no results do, and in folders of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launcher: Option<Vec<String>>,
    /// What changes no result but times; `None` for a study that shows none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timing: Option<TimingConditions>,
    /// Decisions for each stage.
    #[serde(default)]
    pub stages: BTreeMap<Stage, StageOptions>,
}

/// What times and speeds depend on besides the commands. A study that shows any goes on under the same conditions only.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimingConditions {
    /// Name of the processor.
    pub processor: String,
    /// Instruction sets of the kernels, as in [`Machine::instructions`](crate::Machine::instructions); empty in folders of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// Threads of each command.
    pub threads: usize,
    /// Words that start the ranks of each training; none where it is one process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub launcher: Vec<String>,
}

/// Decisions for the runs of a stage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageOptions {
    /// Folder or archive of the images.
    #[serde(default)]
    pub data: Option<PathBuf>,
    /// Epochs in place of the paper's; runs that are longer or shorter in the paper are so here by the same factor.
    #[serde(default)]
    pub epochs: Option<usize>,
    /// Size of the images of runs that name none; others keep the paper's ratio to it ([`Run::image_size`]).
    #[serde(default)]
    pub image_size: Option<String>,
    /// Batch size.
    #[serde(default)]
    pub batch_size: Option<usize>,
    /// Further arguments of the commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
}

/// Recipes of the trainings of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipeChoice {
    /// Made for the model and the images.
    #[default]
    Auto,
    /// Those of the paper, with its lengths unless others are named.
    Paper,
}

impl StudyOptions {
    /// Decisions for a stage.
    pub(crate) fn stage(&self, stage: Stage) -> StageOptions {
        self.stages.get(&stage).cloned().unwrap_or_default()
    }

    /// The models of a study, as the user wants them.
    pub(crate) fn models<'a>(&'a self, study: &'a Study) -> &'a [String] {
        if self.models.is_empty() { &study.models } else { &self.models }
    }

    /// Images of a stage.
    ///
    /// # Errors
    /// [`StudyError::Options`] where none are named.
    pub(crate) fn data(&self, run: &Run) -> Result<PathBuf, StudyError> {
        let own = self.stage(run.stage).data;
        let other = || run.stage.data_of().and_then(|stage| self.stage(stage).data);
        own.or_else(other).ok_or_else(|| {
            let flag = run.stage.data_flag();
            StudyError::Options(format!(
                "the images of run '{}', {}, are not named; give {flag} PATH, or leave its rows out with --only",
                run.name, run.stage
            ))
        })
    }

    /// Refuses options without effect on a study.
    pub(crate) fn check(&self, study: &Study) -> Result<(), StudyError> {
        let refuse = |why: String| Err(StudyError::Options(why));
        if self.models.len() > study.models.len() {
            return refuse(match study.models.len() {
                0 => "the models of this study are named by its rows; leave --model out".to_owned(),
                count => format!("{} models are named, and this study has {count}", self.models.len()),
            });
        }
        if let Some(name) = self.only.iter().find(|name| study.row(name).is_none()) {
            let known: Vec<&str> = study.rows.iter().map(|row| row.name.as_str()).collect();
            let meant = convnext_core::did_you_mean(name, known.iter().copied());
            return refuse(format!("the study has no row '{name}'{meant}; it has: {}", known.join("; ")));
        }
        let mut labels = self.labels.clone();
        labels.sort_unstable();
        labels.dedup();
        if labels.len() < self.labels.len() {
            return refuse("--labels names a number twice".to_owned());
        }
        if self.budget.is_some() && self.stages.values().any(|stage| stage.epochs.is_some()) {
            return refuse("--budget chooses the lengths; leave numbers of epochs out".to_owned());
        }
        Ok(())
    }
}
