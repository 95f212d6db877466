//! The page of `convnext evaluate --html`.

use std::collections::BTreeMap;
use std::path::Path;
use std::slice;

use convnext::core::{ImageSize, Preprocessing, counted};
use convnext::data::{Dataset, ImageSource, Transform, open_images};
use convnext::train::ValidationResult;
use convnext::{EvaluationPage, write_evaluation};

use super::arguments::EvaluateArguments;
use crate::cli::parts::MeasuredPart;
use crate::cli::read_files::ReadFiles;

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

/// Refuses a page in the place of a file that is read or belongs to a run. Images do not end as pages do, so none is asked about.
pub(super) fn check(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    let EvaluateArguments { html, weights, data, .. } = arguments;
    let Some(path) = html else { return Ok(()) };
    let read = ReadFiles {
        weights: &weights.file()?,
        sources: slice::from_ref(data),
        images: &open_images(&[])?,
        texts: arguments.texts(),
    };
    read.check(path)
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

/// The training images that vote for a class, of those that are known.
pub(super) fn voters(asked: usize, known: usize) -> String {
    match asked < known {
        true => format!("the nearest {asked} training images"),
        false => format!("all {}", counted(known, "training image", "training images")),
    }
}

/// Writes the page. `voters` predicted the classes, where no head did.
pub(super) fn write(
    path: &Path,
    arguments: &EvaluateArguments,
    measured: &Measured,
    voters: Option<String>,
) -> anyhow::Result<()> {
    let Measured { part, result, images, preprocessing, .. } = measured;
    let size = preprocessing.image_size().map(ImageSize::with_unit);
    let mut facts = vec![
        ("weights", arguments.weights.text().to_owned()),
        ("measured on", part.in_words()),
        ("image size", size.unwrap_or_else(|| preprocessing.geometry.to_string())),
    ];
    facts.extend(voters.map(|voters| ("predicted by", voters)));
    facts.push(("convnext", format!("version {}", env!("CARGO_PKG_VERSION"))));
    let page = EvaluationPage { facts, result: result.clone(), images: images.clone() };
    Ok(write_evaluation(path, &page)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_images_vote_than_there_are() {
        assert_eq!(voters(20, 21), "the nearest 20 training images");
        assert_eq!(voters(20, 20), "all 20 training images");
        assert_eq!(voters(20, 1), "all 1 training image");
    }
}
