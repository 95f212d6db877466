//! The page of an evaluation that is not part of a run.

use std::collections::BTreeMap;
use std::path::Path;

use convnext_train::ValidationResult;
use maud::html;

use super::error::ReportError;
use super::kinds::section_of;
use super::whole_page::{facts, whole};

/// An evaluation to be shown on a page.
#[derive(Debug, Clone)]
pub struct EvaluationPage {
    /// Facts of the evaluation, such as the weights, the images and their size: names and values.
    pub facts: Vec<(&'static str, String)>,
    /// The result.
    pub result: ValidationResult,
    /// The bytes of a PNG file of each image that is shown, by the name of the image.
    pub images: BTreeMap<String, Vec<u8>>,
}

/// The page, which will stand at this path.
pub(super) fn render(page: &EvaluationPage, path: &Path) -> Result<String, ReportError> {
    let images = |name: &str, _: Option<&str>| Ok(page.images.get(name).cloned());
    let left_out = &page.result.left_out;
    let body = html! {
        (section_of(&page.result, path, &images)?)
        @if !left_out.is_empty() {
            h2 { "Images that could not be read" }
            ul { @for file in left_out { li { (file.name) ": " (file.why) } } }
        }
    };
    Ok(whole("Evaluation", &facts(&page.facts), &body))
}
