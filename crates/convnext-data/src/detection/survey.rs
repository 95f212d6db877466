//! Survey of the annotations of a data set: what is in them and what is wrong with them.

use std::path::Path;

use convnext_core::{ImageSize, Seed};
use serde::Serialize;

use crate::detection::checked::Checked;
use crate::detection::data::{DetectionData, DetectionLayout};
use crate::detection::found::Found;
use crate::detection::open::{Opened, data_of};
use crate::detection::quirks::AnnotationRemark;
use crate::detection::set::DetectionSet;
use crate::error::DataError;
use crate::instances::instance::Instance;
use crate::loading::corrupt_file::CorruptFile;

/// Result of [`survey_detection`]. Everything is in the order of the data.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DetectionSurvey {
    /// Number of images with annotations, usable or not.
    pub images: usize,
    /// The names of the classes; empty where the annotations are refused.
    pub classes: Vec<String>,
    /// The parts, as training takes them.
    pub parts: Vec<SurveyedObjects>,
    /// The sizes with the fewest and the most pixels; `None` when no image can be used.
    pub sizes: Option<[ImageSize; 2]>,
    /// What was decided about the annotations, in words.
    pub decisions: Vec<String>,
    /// What was mended or left out.
    pub remarks: Vec<AnnotationRemark>,
    /// Reason why the annotations cannot be used, with a remedy.
    pub refusal: Option<String>,
    /// Images that cannot be read or whose annotations are damaged. All else is about the others.
    pub unusable: Vec<CorruptFile>,
    /// Images that no file of annotations lists.
    pub images_alone: Vec<String>,
    /// The images and objects; `None` where the annotations are refused. They are left out of what serde writes.
    #[serde(skip)]
    pub data: Option<DetectionData>,
}

/// Objects of a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SurveyedObjects {
    /// `train`, `validation`, `held out` or `test`.
    pub name: &'static str,
    /// Description of the source of the images.
    pub source: String,
    /// Number of images.
    pub images: usize,
    /// Number of images without an object.
    pub empty_images: usize,
    /// Objects of each class, without crowds.
    pub objects_per_class: Vec<u64>,
    /// Images with objects of each class.
    pub images_per_class: Vec<u64>,
    /// Small, medium and large objects of each class: below 32 x 32 pixels, below 96 x 96, and others, by their area.
    pub sizes_per_class: Vec<[u64; 3]>,
    /// Fewest, median and most objects of an image.
    pub objects_per_image: [usize; 3],
    /// Objects with a mask.
    pub masks: u64,
    /// Regions of many objects, and what else is to be ignored.
    pub crowds: u64,
}

/// Reads all annotations of a data set, divided as [`crate::open_detection`] does it. Annotations that cannot be used are
/// findings and no errors. `threads` of at least 1 read the sizes of images, or all cores.
///
/// `progress` is called with the number of images done after each one, and that of all.
///
/// # Errors
/// [`DataError`] when the data cannot be opened, or has no annotations.
pub fn survey_detection(
    path: &Path,
    layout: &DetectionLayout,
    seed: Seed,
    threads: Option<usize>,
    progress: impl FnMut(usize, usize),
) -> Result<DetectionSurvey, DataError> {
    let refused = |error: DataError| match error {
        DataError::Annotation(_) | DataError::UnknownClass { .. } => {
            Ok(DetectionSurvey { refusal: Some(error.to_string()), ..DetectionSurvey::default() })
        }
        error => Err(error),
    };
    let found = Found::of(path, layout);
    let checked = match found.and_then(|found| Checked::of(found, layout, threads, progress)) {
        Ok(checked) => checked,
        Err(error) => return refused(error),
    };
    let sizes = || checked.shared.entries.iter().map(|entry| entry.size);
    let smallest = sizes().min_by_key(|size| size.pixels());
    let mut survey = DetectionSurvey {
        images: checked.total,
        sizes: smallest.zip(sizes().max_by_key(|size| size.pixels())).map(|(small, large)| [small, large]),
        unusable: checked.unusable.clone(),
        images_alone: checked.images_alone.clone(),
        ..DetectionSurvey::default()
    };
    match data_of(Opened::of(checked), layout, seed) {
        Ok(data) => {
            survey.classes.clone_from(&data.classes.0);
            survey.decisions.clone_from(&data.decisions);
            survey.remarks.clone_from(&data.remarks);
            survey.parts = parts(&data);
            survey.data = Some(data);
        }
        Err(error) => survey.refusal = Some(error.to_string()),
    }
    Ok(survey)
}

/// The objects of each part.
fn parts(data: &DetectionData) -> Vec<SurveyedObjects> {
    let name = if data.held_out { "held out" } else { "validation" };
    let mut parts = vec![
        objects("train", &data.train_source, &data.train),
        objects(name, &data.validation_source, &data.validation),
    ];
    if let Some(test) = &data.test {
        parts.push(objects("test", "", test));
    }
    parts
}

fn objects(name: &'static str, source: &str, set: &DetectionSet) -> SurveyedObjects {
    let mut sizes_per_class = vec![[0; 3]; set.classes().len()];
    let (mut masks, mut crowds) = (0, 0);
    let mut per_image = Vec::with_capacity(set.len());
    for index in 0..set.len() {
        let instances = set.instances(index);
        for Instance { class, mask, area, is_crowd, .. } in instances {
            crowds += u64::from(*is_crowd);
            if !is_crowd {
                masks += u64::from(mask.is_some());
                sizes_per_class[*class][size_of(*area)] += 1;
            }
        }
        per_image.push(instances.iter().filter(|instance| !instance.is_crowd).count());
    }
    per_image.sort_unstable();
    let at = |place: usize| per_image.get(place).copied().unwrap_or_default();
    SurveyedObjects {
        name,
        source: source.to_owned(),
        images: set.len(),
        empty_images: per_image.iter().filter(|&&objects| objects == 0).count(),
        objects_per_class: set.objects_per_class(),
        images_per_class: set.images_per_class(),
        sizes_per_class,
        objects_per_image: [at(0), at(per_image.len() / 2), at(per_image.len().saturating_sub(1))],
        masks,
        crowds,
    }
}

/// Areas in pixels from which COCO calls an object medium, and large.
pub const AREA_BOUNDS: [f64; 2] = [32.0 * 32.0, 96.0 * 96.0];

/// 0 for small, 1 for medium, 2 for large.
fn size_of(area: f64) -> usize {
    AREA_BOUNDS.iter().filter(|&&bound| area >= bound).count()
}
