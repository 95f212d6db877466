//! The report of a run: one page that holds everything, made from nothing but the run folder.

mod classification;
mod comparison;
mod contact_sheet;
mod curves;
mod differences;
mod evaluation_page;
mod head;
mod kinds;
mod metrics;
mod multi_label;
mod neighbours;
mod page;
mod reconstructions;
mod run_comparison;
mod run_comparison_page;
mod run_data;
mod run_names;
mod samples;
mod whole_page;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use convnext_data::{Image, Survey};
use convnext_io::replace_file;
use thiserror::Error;

pub use differences::SettingDifference;
pub use evaluation_page::EvaluationPage;
pub use neighbours::Neighbour;
pub use run_comparison::{ComparedRun, RunComparison, compare_runs};
use run_data::RunData;

use crate::COMPARISON_FILE;

/// Name of the report in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Why a report cannot be made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The folder holds no run.
    #[error("{0} is no run folder: it has no config.toml; give the --out of a pre-training or fine-tuning")]
    NoRun(PathBuf),
    /// A file of the run cannot be read.
    #[error("cannot read {path}: {source}; check that it may be read")]
    Read {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
    /// A file of the run does not say what it should.
    #[error("{path} is damaged: {why}; restore it, or move it away to report on the rest")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Location and cause of the damage.
        why: String,
    },
    /// A curve cannot be drawn.
    #[error("cannot draw {what}: {why}")]
    Draw {
        /// The curve.
        what: String,
        /// Message of the plotting library.
        why: String,
    },
    /// Fewer than two runs are to be compared.
    #[error("two or more runs are compared, and {0} named; name more run folders")]
    TooFewRuns(usize),
    /// A run is to be compared with itself.
    #[error("{0} and {1} are the same run; name each run once")]
    SameRun(PathBuf, PathBuf),
    /// The report cannot be written.
    #[error("cannot write {path}: {source}; check that the folder is writable and has space")]
    Write {
        /// The file.
        path: PathBuf,
        /// Underlying I/O error.
        source: io::Error,
    },
}

/// Writes `report.html` into a run folder and tells where: what was run, curves, and what there is to show of its kind of
/// task, such as reconstructions, or scores of each class, confusion and predictions. A run that is not finished is
/// reported on as far as it came. Of a finished quickstart, the page compares its runs.
///
/// # Errors
/// Any [`ReportError`].
pub fn write_report(run: &Path) -> Result<PathBuf, ReportError> {
    let html = match run.join(COMPARISON_FILE).exists() {
        true => comparison::render(run)?,
        false => page::render(&RunData::read(run)?)?,
    };
    let path = run.join(REPORT_FILE);
    write(&path, &html)?;
    Ok(path)
}

/// Writes a page about a set of images, which `data` names: what a survey found, and its thumbnails.
///
/// # Errors
/// [`ReportError::Write`] with the path.
pub fn write_contact_sheet(path: &Path, data: &str, survey: &Survey) -> Result<(), ReportError> {
    write(path, &contact_sheet::render(data, survey))
}

/// Writes a page about an image called `name` and those that are most similar to it, the most similar first.
///
/// # Errors
/// [`ReportError::Write`] with the path.
pub fn write_neighbours(
    path: &Path,
    name: &str,
    image: &Image,
    found: &[Neighbour],
) -> Result<(), ReportError> {
    write(path, &neighbours::render(name, image, found))
}

/// Writes a page about an evaluation: scores of each class, confusion and predictions.
///
/// # Errors
/// [`ReportError::Damaged`] when the details of the result are not those of its kind, [`ReportError::Write`] with the path.
pub fn write_evaluation(path: &Path, page: &EvaluationPage) -> Result<(), ReportError> {
    write(path, &evaluation_page::render(page, path)?)
}

/// Writes a page with the runs of a comparison side by side.
///
/// # Errors
/// Any [`ReportError`].
pub fn write_run_comparison(path: &Path, comparison: &RunComparison) -> Result<(), ReportError> {
    write(path, &run_comparison_page::render(comparison)?)
}

fn write(path: &Path, html: &str) -> Result<(), ReportError> {
    replace_file(path, |mut file| file.write_all(html.as_bytes()))
        .map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
