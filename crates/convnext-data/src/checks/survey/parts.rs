//! The parts of a data set as one list of images.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::datasets::dataset::Dataset;

/// One part of a [`crate::Survey`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PartSurvey {
    /// Its name, as it was given.
    pub name: String,
    /// Number of its images, corrupt ones too.
    pub images: usize,
    /// Number of its images of each of [`crate::Survey::classes`], corrupt ones too.
    pub images_per_class: Vec<usize>,
    /// Images of the smallest class of this part divided by those of the largest, from 0 to 1; `None` without
    /// labels.
    pub smallest_to_largest: Option<f64>,
}

/// An image that a [`crate::Survey`] tells about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SurveyedImage {
    /// Its name, as [`Dataset::name`] has it.
    pub name: String,
    /// Its part, an index into [`crate::Survey::parts`].
    pub part: usize,
    /// Its class, an index into [`crate::Survey::classes`]; `None` without a label.
    pub class: Option<usize>,
}

/// The parts with their images numbered through, and with the classes that they have together.
pub(super) struct Parts<'a> {
    parts: Vec<Part<'a>>,
    classes: Vec<String>,
}

struct Part<'a> {
    name: &'a str,
    dataset: &'a Dataset,
    /// Number of images in the parts before.
    start: usize,
    /// The common number of each of its classes.
    classes: Vec<usize>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(given: &[(&'a str, &'a Dataset)]) -> Self {
        let mut numbers: HashMap<&str, usize> = HashMap::new();
        let mut classes = Vec::new();
        let mut start = 0;
        let mut parts = Vec::new();
        for &(name, dataset) in given {
            let number = |class: &'a String| {
                *numbers.entry(class).or_insert_with(|| {
                    classes.push(class.clone());
                    classes.len() - 1
                })
            };
            let own = dataset.classes().0.iter().map(number).collect();
            parts.push(Part { name, dataset, start, classes: own });
            start += dataset.len();
        }
        Self { parts, classes }
    }

    /// Number of images of all parts.
    pub(super) fn images(&self) -> usize {
        self.parts.last().map_or(0, |part| part.start + part.dataset.len())
    }

    /// The names of the classes of all parts.
    pub(super) fn classes(&self) -> &[String] {
        &self.classes
    }

    /// The data set that holds an image, and its index there.
    pub(super) fn dataset(&self, image: usize) -> (&'a Dataset, usize) {
        let part = &self.parts[self.part(image)];
        (part.dataset, image - part.start)
    }

    /// The part of an image.
    pub(super) fn part(&self, image: usize) -> usize {
        self.parts.partition_point(|part| part.start + part.dataset.len() <= image)
    }

    /// The class of an image.
    pub(super) fn class(&self, image: usize) -> Option<usize> {
        let part = &self.parts[self.part(image)];
        part.dataset.label(image - part.start).map(|label| part.classes[label])
    }

    /// Name, part and class of an image.
    pub(super) fn describe(&self, image: usize) -> SurveyedImage {
        let (dataset, index) = self.dataset(image);
        SurveyedImage { name: dataset.name(index), part: self.part(image), class: self.class(image) }
    }

    pub(super) fn surveys(&self) -> Vec<PartSurvey> {
        let survey = |part: &Part| {
            let own = part.dataset.labels_per_class();
            let mut images_per_class = vec![0; self.classes.len()];
            for (&class, &images) in part.classes.iter().zip(&own) {
                images_per_class[class] += images;
            }
            let extremes = own.iter().min().zip(own.iter().max());
            let smallest_to_largest = extremes
                .filter(|&(_, &largest)| largest > 0)
                .map(|(&smallest, &largest)| smallest as f64 / largest as f64);
            let (name, images) = (part.name.to_owned(), part.dataset.len());
            PartSurvey { name, images, images_per_class, smallest_to_largest }
        };
        self.parts.iter().map(survey).collect()
    }
}
