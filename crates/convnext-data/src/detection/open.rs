//! Opening data for detection.

use std::path::Path;
use std::sync::Arc;

use convnext_core::Seed;

use crate::datasets::parts::{HOW_TO_NAME, Split};
use crate::datasets::split::{check_fraction, split_class};
use crate::detection::checked::Checked;
use crate::detection::data::{DetectionData, DetectionLayout, DetectionPart};
use crate::detection::error::AnnotationError;
use crate::detection::found::Found;
use crate::detection::quirks::AnnotationRemark;
use crate::detection::set::{DetectionSet, SharedEntries};
use crate::error::DataError;

/// Opens images with annotations of objects: a folder, a `.tar` or a `.tar.gz`.
///
/// Annotations are those of the first kind that is there: COCO's JSON (`annotations/instances_*.json`,
/// `_annotations.coco.json` or any other beside or above the images), YOLO's labels with `data.yaml`, LabelMe's JSON, Pascal
/// VOC's XML, or YOLO's labels without `data.yaml`; or else [`DetectionLayout::annotations`]. The words of parts that [`crate::open_labelled`] knows divide images, in the
/// names of files of annotations, or else of the folders of images. Without a part for validation that for a test is taken,
/// and without that a share is held out by the seed.
///
/// What is unusual in annotations is mended or left out, and said in [`DetectionData::decisions`] and
/// [`DetectionData::remarks`] (facts, "COCO JSON"); what cannot be meant is refused.
///
/// # Errors
/// [`DataError`] when there are no annotations, [`AnnotationError`] when they cannot be used, and
/// [`DataError::UnknownClass`] for a class that the training part lacks.
pub fn open_detection(path: &Path, layout: &DetectionLayout, seed: Seed) -> Result<DetectionData, DataError> {
    data_of(opened(path, layout)?, layout, seed)
}

/// Opens the part of a data set that a trained network is evaluated on: the one that is asked for, or else the one for
/// validation, or else the one for a test, or else all images of data without parts. Layouts are those of [`open_detection`];
/// the classes are matched with the model's by [`DetectionSet::for_classes`].
///
/// # Errors
/// Those of [`open_detection`], and [`DataError::Layout`] when there is no such part.
pub fn open_detection_part(
    path: &Path,
    layout: &DetectionLayout,
    asked: Option<Split>,
) -> Result<DetectionPart, DataError> {
    let opened = opened(path, layout)?;
    let has = |split: &Split| !opened.members(*split).is_empty();
    let split = match asked {
        Some(split) if !has(&split) => {
            return Err(opened.wrong(&format!("it has no {split} part"), HOW_TO_NAME));
        }
        Some(split) => Some(split),
        None => [Split::Validation, Split::Test].into_iter().find(has),
    };
    if split.is_none() && opened.has_parts() {
        return Err(opened.wrong("it has a part to train on and none to measure on", HOW_TO_NAME));
    }
    let members = split.map_or_else(|| (0..opened.splits.len()).collect(), |split| opened.members(split));
    Ok(DetectionPart {
        split,
        source: opened.source(split),
        images: DetectionSet::new(&opened.shared, &members),
        decisions: opened.decisions,
        remarks: opened.remarks,
    })
}

/// The parts of understood data that are trained and measured on.
pub(crate) fn data_of(
    opened: Opened,
    layout: &DetectionLayout,
    seed: Seed,
) -> Result<DetectionData, DataError> {
    let Divided { train, validation, validation_split, test } = opened.divided(layout, seed)?;
    let train_source = opened.source(Some(Split::Train));
    let validation_source = validation_split.map_or(train_source.clone(), |split| opened.source(Some(split)));
    let set = |members: &[usize]| DetectionSet::new(&opened.shared, members);
    Ok(DetectionData {
        train: set(&train),
        validation: set(&validation),
        test: Some(set(&test)).filter(|test| !test.is_empty()),
        classes: opened.shared.classes.clone(),
        held_out: validation_split.is_none(),
        validation_split,
        train_source,
        validation_source,
        decisions: opened.decisions,
        remarks: opened.remarks,
    })
}

/// Positions of the images of each part.
struct Divided {
    train: Vec<usize>,
    validation: Vec<usize>,
    /// `None` when validation was held out.
    validation_split: Option<Split>,
    /// None where validation uses them.
    test: Vec<usize>,
}

/// Data all of whose annotations can be used.
fn opened(path: &Path, layout: &DetectionLayout) -> Result<Opened, DataError> {
    let checked = Checked::of(Found::of(path, layout)?, layout, |_, _| ())?;
    if !checked.unusable.is_empty() {
        let Checked { root, total, unusable: files, .. } = checked;
        return Err(AnnotationError::Unusable { path: root, count: files.len(), total, files }.into());
    }
    Ok(Opened::of(checked))
}

/// A data set whose annotations are understood.
pub(crate) struct Opened {
    shared: Arc<SharedEntries>,
    splits: Vec<Option<Split>>,
    decisions: Vec<String>,
    remarks: Vec<AnnotationRemark>,
}

impl Opened {
    pub(crate) fn of(checked: Checked) -> Self {
        let Checked { shared, splits, decisions, remarks, .. } = checked;
        Self { shared: Arc::new(shared), splits, decisions, remarks }
    }

    fn has_parts(&self) -> bool {
        self.splits.iter().any(Option::is_some)
    }

    /// Divides by parts, and by the seed where there is none to measure on.
    fn divided(&self, layout: &DetectionLayout, seed: Seed) -> Result<Divided, DataError> {
        let all = || (0..self.splits.len()).collect();
        let train: Vec<usize> = if self.has_parts() { self.members(Split::Train) } else { all() };
        if train.is_empty() {
            return Err(self.wrong("it has no part to train on", HOW_TO_NAME));
        }
        let [validation, test] = [Split::Validation, Split::Test].map(|split| self.members(split));
        if !validation.is_empty() {
            return Ok(Divided { train, validation, validation_split: Some(Split::Validation), test });
        }
        if !test.is_empty() {
            let (validation, validation_split) = (test, Some(Split::Test));
            return Ok(Divided { train, validation, validation_split, test: Vec::new() });
        }
        check_fraction(layout.validation_fraction)?;
        let [train, validation] = split_class("", &train, layout.validation_fraction, seed);
        Ok(Divided { train, validation, validation_split: None, test })
    }

    fn members(&self, split: Split) -> Vec<usize> {
        (0..self.splits.len()).filter(|&at| self.splits[at] == Some(split)).collect()
    }

    /// Folder of the images of a part, by the first of them.
    fn source(&self, split: Option<Split>) -> String {
        let first = self.splits.iter().position(|&found| found == split).filter(|_| split.is_some());
        let name = first.map(|at| self.shared.files.name(self.shared.entries[at].file));
        let folder = name.as_deref().and_then(|name| name.rsplit_once('/')).map(|(folder, _)| folder);
        folder.map_or_else(|| self.shared.root.clone(), str::to_owned)
    }

    fn wrong(&self, found: &str, advice: &str) -> DataError {
        DataError::Layout {
            path: self.shared.root.clone(),
            found: found.to_owned(),
            advice: advice.to_owned(),
        }
    }
}
