//! Runs side by side: what they were, and how well they did.

use std::fs;
use std::path::{Path, PathBuf};

use convnext_train::{Best, Divergence, Metric, Summary, duration_in_words};
use serde::Serialize;

use super::differences::{SettingDifference, differences};
use super::error::ReportError;
use super::head::best_words;
use super::kinds::Kind;
use super::run_data::RunData;
use super::run_names::short_names;

/// Several runs, and the settings in which they differ.
#[derive(Debug, Serialize)]
pub struct RunComparison {
    /// The runs, in the order in which they were named.
    pub runs: Vec<ComparedRun>,
    /// Settings that are not the same in all of them, by their keys.
    pub settings: Vec<SettingDifference>,
}

/// A run among others.
#[derive(Debug, Serialize)]
pub struct ComparedRun {
    /// The shortest end of its path that tells it apart from the others.
    pub name: String,
    /// Its folder, as it was named.
    pub folder: PathBuf,
    /// Name of the task.
    pub task: String,
    /// `true` if the run is finished.
    pub is_finished: bool,
    /// How it diverged, in words, if it did.
    pub diverged: Option<String>,
    /// Steps made.
    pub steps: usize,
    /// Epochs made; a fraction within an epoch.
    pub epochs: f64,
    /// Seconds of training, of a finished run.
    pub seconds: Option<f64>,
    /// Mean training loss of the last epoch that was reported.
    pub train_loss: Option<f64>,
    /// Metrics of the last validation.
    pub metrics: Vec<Metric>,
    /// The best weights, of a finished run.
    pub best: Option<Best>,
    #[serde(skip)]
    pub(super) data: RunData,
}

/// Reads runs to compare them.
///
/// # Errors
/// [`ReportError::TooFewRuns`] for fewer than two, [`ReportError::SameRun`] when one is named twice, and what reading
/// a run reports.
pub fn compare_runs(folders: &[PathBuf]) -> Result<RunComparison, ReportError> {
    if folders.len() < 2 {
        return Err(ReportError::TooFewRuns(folders.len()));
    }
    let read: Vec<RunData> = folders.iter().map(|folder| RunData::read(folder)).collect::<Result<_, _>>()?;
    let places: Vec<PathBuf> = folders.iter().map(|folder| place(folder)).collect::<Result<_, _>>()?;
    for (number, own) in places.iter().enumerate() {
        if let Some(other) = places[..number].iter().position(|other| other == own) {
            return Err(ReportError::SameRun(folders[other].clone(), folders[number].clone()));
        }
    }
    let settings = differences(&read.iter().map(|run| &run.config).collect::<Vec<_>>());
    let runs = short_names(&places).into_iter().zip(read).map(|(name, data)| ComparedRun::new(name, data));
    Ok(RunComparison { runs: runs.collect(), settings })
}

fn place(folder: &Path) -> Result<PathBuf, ReportError> {
    fs::canonicalize(folder).map_err(|source| ReportError::Read { path: folder.to_owned(), source })
}

impl ComparedRun {
    fn new(name: String, data: RunData) -> Self {
        let summary = data.summary.as_ref();
        let last = data.epochs.last();
        Self {
            name,
            folder: data.folder.clone(),
            task: Kind::of(&data).task(&data),
            is_finished: summary.is_some(),
            diverged: data.divergence.as_ref().map(Divergence::to_string),
            steps: data.steps.last().map_or(0, |step| step.step),
            epochs: last.map_or(0.0, |epoch| epoch.epochs),
            seconds: summary.map(|summary| summary.seconds),
            train_loss: last.map(|epoch| epoch.train_loss),
            metrics: data.evaluation.as_ref().map_or_else(Vec::new, |measured| measured.metrics.clone()),
            best: summary.and_then(|summary| summary.best.clone()),
            data,
        }
    }

    /// The metric by which its epochs are compared, if it measures any.
    pub(super) fn monitored(&self) -> Option<Metric> {
        let of_summary = self.data.summary.as_ref().and_then(Summary::monitored);
        of_summary.or_else(|| self.data.metrics().into_iter().next())
    }
}

impl RunComparison {
    /// Warning about runs of different tasks, if they are.
    pub fn remark(&self) -> Option<&'static str> {
        let differ = self.runs.windows(2).any(|pair| pair[0].task != pair[1].task);
        differ.then_some("The runs have different tasks, whose losses cannot be compared.")
    }

    /// The metrics that any of the runs has measured, each once.
    fn metrics(&self) -> Vec<&Metric> {
        let mut found: Vec<&Metric> = Vec::new();
        for metric in self.runs.iter().flat_map(|run| &run.metrics) {
            if !found.iter().any(|known| known.name == metric.name) {
                found.push(metric);
            }
        }
        found
    }

    /// A table in words: its head, and a row for each run.
    pub fn table(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let metrics = self.metrics();
        let of_metrics = metrics.iter().map(|metric| metric.label().to_owned());
        let head = ["run", "epochs", "training loss"].map(str::to_owned).into_iter().chain(of_metrics);
        let row = |run: &ComparedRun| {
            let value = |wanted: &&Metric| {
                let found = run.metrics.iter().find(|metric| metric.name == wanted.name);
                found.map_or_else(dash, Metric::value_in_words)
            };
            let loss = run.train_loss.map_or_else(dash, |loss| format!("{loss:.4}"));
            let epochs = format!("{}", (run.epochs * 100.0).round() / 100.0);
            let epochs = match &run.diverged {
                Some(_) => format!("{epochs} (diverged)"),
                None if run.is_finished => epochs,
                None => format!("{epochs} (not finished)"),
            };
            let mut cells = vec![run.name.clone(), epochs, loss];
            cells.extend(metrics.iter().map(value));
            cells.push(run.seconds.map_or_else(dash, duration_in_words));
            cells.push(run.best.as_ref().map_or_else(dash, |best| best_words(&run.data, best)));
            cells
        };
        (head.chain(["duration", "best"].map(str::to_owned)).collect(), self.runs.iter().map(row).collect())
    }
}

fn dash() -> String {
    "-".to_owned()
}
