//! The file of a study: runs, and rows of a table that show them.

use std::collections::BTreeMap;
use std::slice;

use serde::{Deserialize, Serialize};

use crate::model_names::placeholders;
use crate::stage::Stage;

/// A question, the runs that answer it, and the table of their results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// Title.
    pub title: String,
    /// Place in the paper, such as `Table 2 (a), section 4`; empty for a study of one's own.
    #[serde(default)]
    pub paper: String,
    /// The question that the study answers.
    pub question: String,
    /// Remarks: assumptions, and differences from the paper.
    #[serde(default)]
    pub remarks: String,
    /// Models that `{model}`, `{model2}` and so on stand for, unless the user names others. Empty where the runs name
    /// theirs.
    #[serde(default)]
    pub models: Vec<String>,
    /// Columns of the table; rows are compared by the first one, and by those that ask for it.
    pub metrics: Vec<ShownMetric>,
    /// Row that others are compared with, unless they name one themselves.
    #[serde(default)]
    pub baseline: Option<String>,
    /// Comparison with the baseline.
    #[serde(default)]
    pub compare: Compare,
    /// Name of the number that rows vary ([`Row::x`]), for a plot over it.
    #[serde(default)]
    pub x: Option<String>,
    /// Epochs of the trainings of a stage in the paper, which relate their lengths to each other.
    #[serde(default)]
    pub epochs: BTreeMap<Stage, usize>,
    /// Arguments of every run of a stage, before its own.
    #[serde(default)]
    pub common: BTreeMap<Stage, Vec<String>>,
    /// The runs; each starts from none or from an earlier one.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// Rows of the table.
    pub rows: Vec<Row>,
}

/// A column of the table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShownMetric {
    /// Name of the metric in `evaluation.json`, [`PRETRAINING_HOURS`], or a path such as `/models/*/layers/part=output/cosine_distance` to
    /// numbers in `evaluation.json` or in what `analyze` and `bench` print, with `*` for all entries of a list and
    /// `KEY=VALUE` for some of them; the mean is shown.
    pub name: String,
    /// Title of the column.
    pub label: String,
    /// `true` for a share in [0, 1] that is shown in percent.
    #[serde(default)]
    pub percent: bool,
    /// `true` for a metric besides the first one that rows are compared by.
    #[serde(default)]
    pub compare: bool,
    /// Row whose value is divided by that of each, seed by seed: of hours, that is a speedup.
    #[serde(default)]
    pub over: Option<String>,
}

/// Name of the metric that is the time of a row's pre-training in hours.
pub const PRETRAINING_HOURS: &str = "pretraining_hours";

/// Names of speeds, and of shares of a time, in what `bench` prints, besides those that say their unit.
const SPEEDS: [&str; 6] =
    ["gflops", "peak_gflops", "share_of_peak", "share_of_communication", "efficiency", "profile"];

impl ShownMetric {
    /// Factor from a value to what is shown.
    pub fn scale(&self) -> f64 {
        if self.percent { 100.0 } else { 1.0 }
    }

    /// The same of one network of an analysis of several, by its place.
    pub(crate) fn of_network(&self, place: usize) -> Self {
        let name = self.name.replacen("/models/*/", &format!("/models/{place}/"), 1);
        Self { name, ..self.clone() }
    }

    /// `true` for a metric that is no result of a run, but a duration.
    pub(crate) fn is_duration(&self) -> bool {
        self.name == PRETRAINING_HOURS
    }

    /// `true` for a duration or a speed, which other commands on the machine change.
    pub(crate) fn is_timed(&self) -> bool {
        let is_timed = |part: &str| {
            part.ends_with("_per_second")
                || part.split('_').any(|word| word == "seconds")
                || SPEEDS.contains(&part)
        };
        self.is_duration() || self.name.split('/').any(is_timed)
    }
}

/// Comparison of two rows, seed by seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    /// The row less its baseline.
    #[default]
    Difference,
    /// The row over its baseline.
    Ratio,
}

/// A command of the program, for each seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Its name, which its folder has as well: small letters, digits, dots and hyphens.
    pub name: String,
    /// Part in the study.
    pub stage: Stage,
    /// Earlier run whose weights it starts from; of an analysis, one or several whose networks it looks at side by side.
    #[serde(default)]
    pub from: Option<Sources>,
    /// Model of a run that starts from none; `{model}` if nothing is said.
    #[serde(default)]
    pub model: Option<String>,
    /// Recipe where those of the paper are asked for; `paper` if nothing is said.
    #[serde(default)]
    pub recipe: Option<String>,
    /// Epochs in the paper, where they are not those of the stage.
    #[serde(default)]
    pub epochs: Option<usize>,
    /// Size of the images in pixels in the paper, where it is not that of the recipe. With another size in the options, the
    /// ratio of the two is that of this one to 224, downstream to 512.
    #[serde(default)]
    pub image_size: Option<usize>,
    /// Batch size, unless the user names one.
    #[serde(default)]
    pub batch_size: Option<usize>,
    /// Further arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
}

/// Names of earlier runs: a name, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Sources {
    /// One run.
    One(String),
    /// Several runs, in the order of their networks.
    Several(Vec<String>),
}

impl Sources {
    /// The names.
    pub fn names(&self) -> &[String] {
        match self {
            Self::One(name) => slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// A row of the table: a run, or a model that this program does not have, whose numbers are quoted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name, each once in a study.
    pub name: String,
    /// Part of the table that it belongs to, and its curve in a plot over [`Study::x`].
    #[serde(default)]
    pub group: Option<String>,
    /// The run that it shows; none for a quoted row.
    #[serde(default)]
    pub run: Option<String>,
    /// Of an analysis of several runs, the one whose network it shows.
    #[serde(default)]
    pub of: Option<String>,
    /// The paper's numbers, in the order of [`Study::metrics`]; those at the end may be missing.
    #[serde(default)]
    pub paper: Vec<PaperValue>,
    /// Row that it is compared with, instead of [`Study::baseline`].
    #[serde(default)]
    pub against: Option<String>,
    /// The number that is varied.
    #[serde(default)]
    pub x: Option<f64>,
}

/// A number of the paper, or what it says in place of one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PaperValue {
    /// As printed, in percent where the column is.
    Number(f64),
    /// Such as `unstable`.
    Words(String),
}

impl Run {
    /// Names of the runs that it starts from, or analyses.
    pub(crate) fn sources(&self) -> &[String] {
        self.from.as_ref().map_or(&[], Sources::names)
    }

    /// Places of the models that it asks for, from 1.
    pub(crate) fn models(&self) -> Vec<usize> {
        let texts = self.model.iter().chain(&self.recipe).chain(&self.arguments);
        let first = (self.from.is_none() && self.model.is_none()).then_some(1);
        texts.flat_map(|text| placeholders(text)).chain(first).collect()
    }
}

impl Study {
    /// The metrics that rows are compared by.
    pub(crate) fn compared_metrics(&self) -> impl Iterator<Item = &ShownMetric> {
        self.metrics
            .iter()
            .enumerate()
            .filter(|(place, metric)| *place == 0 || metric.compare)
            .map(|(_, metric)| metric)
    }

    /// The run of a name.
    pub fn run(&self, name: &str) -> Option<&Run> {
        self.runs.iter().find(|run| run.name == name)
    }

    /// The run of a name and all those that it starts from, each after what it starts from.
    pub(crate) fn chain(&self, name: &str) -> Vec<&Run> {
        let mut names = vec![name];
        // A run stands below those that it starts from.
        for run in self.runs.iter().rev().filter(|run| !run.sources().is_empty()) {
            if names.contains(&run.name.as_str()) {
                names.extend(run.sources().iter().map(String::as_str));
            }
        }
        self.runs.iter().filter(|run| names.contains(&run.name.as_str())).collect()
    }

    /// The runs that a row shows: its own after those that it starts from, of an analysis the row's own network alone.
    pub(crate) fn chain_of_row(&self, row: &Row) -> Vec<&Run> {
        let run = row.run.as_deref().unwrap_or_default();
        match &row.of {
            Some(of) => self.chain(of).into_iter().chain(self.run(run)).collect(),
            None => self.chain(run),
        }
    }

    /// The row of a name.
    pub fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The first metric that is a duration or a speed: other commands on the machine, and other threads, change it.
    pub fn timed_metric(&self) -> Option<&ShownMetric> {
        self.metrics.iter().find(|metric| metric.is_timed())
    }

    /// The row that a row is compared with; none for the baseline itself.
    pub fn baseline_of(&self, row: &Row) -> Option<&Row> {
        let name = row.against.as_ref().or(self.baseline.as_ref())?;
        self.row(name).filter(|baseline| baseline.name != row.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bug: of what `bench` prints, only the plainest names were known as speeds and times.
    #[test]
    fn speeds_and_times_are_known_wherever_they_stand_in_a_path() {
        let is_timed = |name: &str| {
            let (name, label) = (name.to_owned(), String::new());
            ShownMetric { name, label, percent: false, compare: false, over: None }.is_timed()
        };
        for name in
            ["/images_per_second", "/step_seconds/2", "/gflops", "/job/efficiency", "/profile/*/share"]
        {
            assert!(is_timed(name), "{name}");
        }
        for name in ["top1", "/peak_memory_bytes", "/models/*/layers/part=output/cosine_distance"] {
            assert!(!is_timed(name), "{name}");
        }
    }
}
