//! Sets of classes by their names.

use std::collections::{BTreeSet, HashMap};

use convnext_core::ClassNames;

use crate::datasets::class_name::canonical_name;
use crate::error::DataError;

/// Separator of the classes of a set in its name.
pub(crate) const SEPARATOR: char = ';';

/// Separators that files may have there.
const SEPARATORS: [char; 2] = [SEPARATOR, '|'];

/// The classes of sets with these names, sorted.
pub fn classes_of_sets(sets: &ClassNames) -> ClassNames {
    let classes: BTreeSet<&str> = sets.0.iter().flat_map(|set| classes_of_set(set)).collect();
    ClassNames(classes.into_iter().map(str::to_owned).collect())
}

/// For each of these sets, which of `classes` are in it. The source of the sets is for messages.
///
/// # Errors
/// [`DataError::UnknownClass`] for a class that is not among them.
pub fn members_of_sets(
    sets: &ClassNames,
    classes: &ClassNames,
    source: &str,
) -> Result<Vec<Vec<bool>>, DataError> {
    // There may be thousands of both.
    let places: HashMap<&str, usize> =
        classes.0.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
    let members = |set: &String| {
        let mut members = vec![false; classes.len()];
        for class in classes_of_set(set) {
            let unknown = || DataError::unknown_class(class.to_owned(), source.to_owned(), classes);
            members[*places.get(class).ok_or_else(unknown)?] = true;
        }
        Ok(members)
    };
    sets.0.iter().map(members).collect()
}

/// The name of the set that a label in a file means.
pub(crate) fn set_of_label(label: &str) -> String {
    let classes = label.split(SEPARATORS).map(canonical_name).filter(|class| !class.is_empty());
    let classes: BTreeSet<String> = classes.collect();
    classes.into_iter().collect::<Vec<_>>().join(&SEPARATOR.to_string())
}

/// The classes of a set with this name.
pub(crate) fn classes_of_set(set: &str) -> impl Iterator<Item = &str> {
    set.split(SEPARATOR).filter(|class| !class.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(names: &[&str]) -> ClassNames {
        ClassNames(names.iter().map(|&name| name.to_owned()).collect())
    }

    #[test]
    fn a_set_has_one_name_however_it_is_written() {
        for written in ["sea;boat", " boat | sea ", "boat;;sea;boat", "boat;sea;"] {
            assert_eq!(set_of_label(written), "boat;sea", "{written}");
        }
        assert_eq!(set_of_label("cafe\u{301}"), "caf\u{e9}");
        assert_eq!((set_of_label(""), set_of_label(" ; ")), (String::new(), String::new()));
    }

    #[test]
    fn sets_have_their_classes_and_none_has_an_unknown_one() {
        let sets = names_of(&["", "boat;sea", "sea", "sky"]);
        let classes = classes_of_sets(&sets);
        assert_eq!(classes.0, ["boat", "sea", "sky"]);
        let members = members_of_sets(&sets, &classes, "x.csv").unwrap();
        let expected =
            [[false, false, false], [true, true, false], [false, true, false], [false, false, true]];
        assert_eq!(members, expected);
        let error = members_of_sets(&sets, &names_of(&["sea", "sky"]), "x.csv").unwrap_err().to_string();
        assert!(error.contains("'boat'") && error.contains("x.csv"), "{error}");
    }
}
