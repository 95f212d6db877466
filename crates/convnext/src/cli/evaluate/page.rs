//! The page of `convnext evaluate --html`.

use std::collections::BTreeMap;
use std::path::Path;

use convnext::core::{ImageSize, Preprocessing};
use convnext::data::{Dataset, ImageSource, Transform};
use convnext::train::ValidationResult;
use convnext::{EvaluationPage, write_evaluation};

use super::arguments::EvaluateArguments;
use crate::cli::parts::MeasuredPart;

/// An evaluation, and what its page shows of the images.
pub(super) struct Measured {
    pub(super) part: MeasuredPart,
    /// The result for people.
    pub(super) text: String,
    pub(super) result: ValidationResult,
    /// The bytes of a PNG file of each image that is shown, by the name of the image.
    pub(super) images: BTreeMap<String, Vec<u8>>,
    /// Preprocessing of the images.
    pub(super) preprocessing: Preprocessing,
}

/// Images to show as the network saw them, each with its index in the data set; none where no page is wanted.
pub(super) fn seen<'a>(
    arguments: &EvaluateArguments,
    (dataset, preprocessing): (&Dataset, &Preprocessing),
    shown: impl Iterator<Item = (usize, &'a String)>,
) -> anyhow::Result<BTreeMap<String, Vec<u8>>> {
    if arguments.html.is_none() {
        return Ok(BTreeMap::new());
    }
    let transform = Transform::Evaluation(preprocessing.clone());
    let source = ImageSource::new(dataset.clone(), transform, arguments.decoding.orientation())?;
    shown.map(|(sample, name)| Ok((name.clone(), source.seen(sample)?.png()))).collect()
}

/// Writes the page.
pub(super) fn write(path: &Path, arguments: &EvaluateArguments, measured: &Measured) -> anyhow::Result<()> {
    let Measured { part, result, images, preprocessing, .. } = measured;
    let size = preprocessing.image_size().map(ImageSize::with_unit);
    let mut facts = vec![
        ("weights", arguments.weights.text().to_owned()),
        ("measured on", part.in_words()),
        ("image size", size.unwrap_or_else(|| preprocessing.geometry.to_string())),
    ];
    if arguments.knn {
        facts.push(("predicted by", format!("the nearest {} training images", arguments.neighbours)));
    }
    facts.push(("convnext", format!("version {}", env!("CARGO_PKG_VERSION"))));
    let page = EvaluationPage { facts, result: result.clone(), images: images.clone() };
    Ok(write_evaluation(path, &page)?)
}
