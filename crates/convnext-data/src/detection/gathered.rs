//! What files of annotations of any layout say, before it is looked at closely.

use std::collections::HashMap;

use crate::detection::annotated::{AnnotatedFile, AnnotationSource};
use crate::detection::quirks::Quirks;
use crate::loading::corrupt_file::CorruptFile;

/// Images with their objects, and the classes.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// One for each image, in the order of the files of annotations.
    pub(crate) images: Vec<AnnotatedFile>,
    pub(crate) classes: Vec<String>,
    /// `true` if nothing names the classes, so that their names are made of their numbers.
    pub(crate) unnamed: bool,
    pub(crate) sources: Vec<AnnotationSource>,
    pub(crate) quirks: Quirks,
    /// What was decided, in words.
    pub(crate) decisions: Vec<String>,
    /// Files of annotations of one image each that cannot be read.
    pub(crate) unusable: Vec<CorruptFile>,
    /// The file of annotations of each image, for layouts that have one for each.
    claims: HashMap<usize, String>,
}

impl Gathered {
    /// The images that have a file of annotations, readable or not.
    pub(crate) fn claimed(&self) -> impl Iterator<Item = usize> + '_ {
        self.claims.keys().copied()
    }

    /// The same with these files.
    pub(crate) fn claims(&self) -> &HashMap<usize, String> {
        &self.claims
    }

    /// Notes that an image is that of a file of annotations.
    ///
    /// # Errors
    /// In words, when it is that of another one.
    pub(crate) fn claim(&mut self, image: usize, file: &str) -> Result<(), String> {
        match self.claims.insert(image, file.to_owned()) {
            Some(other) => Err(format!("its image is that of {other} as well; keep one of them")),
            None => Ok(()),
        }
    }

    /// The class of this name, added where it is new.
    pub(crate) fn class(&mut self, name: &str) -> usize {
        self.classes.iter().position(|known| known == name).unwrap_or_else(|| {
            self.classes.push(name.to_owned());
            self.classes.len() - 1
        })
    }

    /// Sorts the classes by their names, for layouts that list none.
    pub(crate) fn sort_classes(&mut self) {
        let mut order: Vec<usize> = (0..self.classes.len()).collect();
        order.sort_by(|&one, &other| self.classes[one].cmp(&self.classes[other]));
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, &class)| places[class] = place);
        self.classes.sort();
        for object in self.images.iter_mut().flat_map(|image| &mut image.objects) {
            object.class = places[object.class];
        }
    }
}
