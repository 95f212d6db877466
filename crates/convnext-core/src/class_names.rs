//! The names of classes.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// The names of the classes, in the order of the logits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClassNames(pub Vec<String>);

impl ClassNames {
    /// The name of a class; `class_12` where none is known.
    pub fn name(&self, index: usize) -> String {
        self.0.get(index).cloned().unwrap_or_else(|| format!("class_{index}"))
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// `true` when there is no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The index of a name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.0.iter().position(|known| known == name)
    }

    /// [`Self::check`] where a name is needed for each of at least one class.
    ///
    /// # Errors
    /// [`ConfigError::ClassNames`] with what does not fit.
    pub fn check_each(&self, classes: usize) -> Result<(), ConfigError> {
        if self.is_empty() {
            let why = format!("there are no names for {classes} classes, and each of at least one needs one");
            return Err(ConfigError::ClassNames { why });
        }
        self.check(classes)
    }

    /// Checks that there is one name for each of so many classes and none is duplicated, or that there are no names.
    ///
    /// # Errors
    /// [`ConfigError::ClassNames`] with what does not fit.
    pub fn check(&self, classes: usize) -> Result<(), ConfigError> {
        let bad = |why: String| Err(ConfigError::ClassNames { why });
        if !self.is_empty() && self.len() != classes {
            return bad(format!("there are {} names for {classes} classes", self.len()));
        }
        let mut seen = HashSet::new();
        match self.0.iter().find(|name| !seen.insert(name.as_str())) {
            Some(name) => bad(format!("'{name}' is duplicated")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_must_fit_the_classes() {
        let check = |names: &[&str]| ClassNames(names.iter().map(|&name| name.to_owned()).collect()).check(2);
        assert_eq!(check(&[]), Ok(()));
        assert_eq!(check(&["cat", "dog"]), Ok(()));
        assert!(check(&["cat"]).unwrap_err().to_string().contains("1 names for 2 classes"));
        assert!(check(&["cat", "cat"]).unwrap_err().to_string().contains("'cat' is duplicated"));
    }

    #[test]
    fn unknown_classes_are_numbered() {
        assert_eq!(ClassNames::default().name(12), "class_12");
    }
}
