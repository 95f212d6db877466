//! The report of a run: one page that holds everything, made from nothing but the run folder.

mod analysis;
mod classification;
mod comparison;
mod contact_sheet;
mod curves;
mod detection;
mod detection_errors;
mod differences;
pub(crate) mod error;
mod evaluation_page;
mod head;
mod kinds;
mod lists;
mod loss_parts;
mod mask_sheet;
mod metrics;
mod multi_label;
mod neighbours;
mod object_sheet;
mod page;
mod reconstructions;
mod run_comparison;
mod run_comparison_page;
mod run_data;
mod run_names;
mod samples;
mod segmentation;
mod study_page;
mod whole_page;

use std::io::Write;
use std::path::{Path, PathBuf};

use convnext_data::{DetectionSurvey, Image, SegmentationSurvey, Survey};
use convnext_io::replace_file;
use convnext_study::StudyOutcome;

pub use differences::SettingDifference;
pub use error::ReportError;
pub use evaluation_page::EvaluationPage;
pub use neighbours::Neighbour;
pub use run_comparison::{ComparedRun, RunComparison, compare_runs};
use run_data::RunData;

use crate::analysis::{Analysis, LayerMaps};
use crate::quickstart::comparison::COMPARISON_FILE;

/// Name of the report in a run folder.
pub const REPORT_FILE: &str = "report.html";

/// Name of the measures in the folder of an analysis.
pub const ANALYSIS_FILE: &str = "analysis.json";

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

/// Writes a page about images with masks, which `data` names: what surveys of both found, and some images of each part, at
/// most `shown`, under the colours of their classes.
///
/// # Errors
/// [`ReportError::Write`] with the path.
pub fn write_mask_sheet(
    path: &Path,
    data: &str,
    survey: &Survey,
    masks: &SegmentationSurvey,
    shown: usize,
) -> Result<(), ReportError> {
    write(path, &mask_sheet::render(data, survey, masks, shown))
}

/// Writes a page about images with objects, which `data` names: what surveys of both found, and some images of each part, at
/// most `shown`, with boxes and masks.
///
/// # Errors
/// [`ReportError::Write`] with the path.
pub fn write_object_sheet(
    path: &Path,
    data: &str,
    survey: &Survey,
    objects: &DetectionSurvey,
    shown: usize,
) -> Result<(), ReportError> {
    write(path, &object_sheet::render(data, survey, objects, shown))
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

/// Writes `report.html` and `analysis.json` into a folder and tells where the page is: the measures of each layer, networks
/// over each other. `maps` are of one image, for each network.
///
/// # Errors
/// [`ReportError::Draw`] when a plot cannot be drawn, [`ReportError::Write`] with the path.
pub fn write_analysis(
    folder: &Path,
    analysis: &Analysis,
    maps: &[Vec<LayerMaps>],
) -> Result<PathBuf, ReportError> {
    let json = serde_json::to_string_pretty(analysis).map_err(std::io::Error::from);
    let place = folder.join(ANALYSIS_FILE);
    let json = json.map_err(|source| ReportError::Write { path: place.clone(), source })?;
    write(&place, &json)?;
    let page = folder.join(REPORT_FILE);
    write(&page, &analysis::render(analysis, maps)?)?;
    Ok(page)
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

/// Writes a page about a study: its table, what there is to draw, and its commands.
///
/// # Errors
/// [`ReportError::Draw`] with the plot, [`ReportError::Write`] with the path.
pub fn write_study(path: &Path, outcome: &StudyOutcome) -> Result<(), ReportError> {
    write(path, &study_page::render(outcome)?)
}

fn write(path: &Path, html: &str) -> Result<(), ReportError> {
    replace_file(path, |mut file| file.write_all(html.as_bytes()))
        .map_err(|source| ReportError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests;
