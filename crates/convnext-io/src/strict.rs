//! Strict check that the arrays of a file fit a model.

use std::collections::{BTreeMap, BTreeSet};

use crate::array::NamedArray;
use crate::error::{IoError, ShapeMismatch};

/// Checks, strictly both ways, that `found` holds exactly the `expected` names and shapes.
///
/// Expected names that start with one of the prefixes `may_be_absent` (such as `head.`) need not be
/// there; where they are, their shapes must fit as well, see [`fits`].
///
/// # Errors
/// [`IoError::Mismatch`] with every difference.
pub fn check_names(
    expected: &[(String, Vec<usize>)],
    found: &BTreeMap<String, NamedArray>,
    may_be_absent: &[&str],
) -> Result<(), IoError> {
    let shapes = found.iter().map(|(name, array)| (name.as_str(), array.shape.as_slice())).collect();
    check_shapes(expected, &shapes, may_be_absent)
}

/// As [`check_names`], for tensors of which names and shapes are known: before any was read, or for some of a file.
///
/// # Errors
/// [`IoError::Mismatch`] with every difference.
pub fn check_shapes(
    expected: &[(String, Vec<usize>)],
    found: &BTreeMap<&str, &[usize]>,
    may_be_absent: &[&str],
) -> Result<(), IoError> {
    let mut missing = Vec::new();
    let mut misshapen = Vec::new();
    for (name, shape) in expected {
        match found.get(name.as_str()) {
            Some(found) if fits(shape, found) => {}
            Some(found) => {
                let (name, expected, found) = (name.clone(), shape.clone(), found.to_vec());
                misshapen.push(ShapeMismatch { name, expected, found });
            }
            None if may_be_absent.iter().any(|prefix| name.starts_with(prefix)) => {}
            None => missing.push((name.clone(), shape.clone())),
        }
    }
    let known: BTreeSet<&str> = expected.iter().map(|(name, _)| name.as_str()).collect();
    let unexpected: Vec<_> = found
        .iter()
        .filter(|(name, _)| !known.contains(*name))
        .map(|(name, shape)| ((*name).to_owned(), shape.to_vec()))
        .collect();
    if missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
        return Ok(());
    }
    Err(IoError::Mismatch { missing, unexpected, misshapen })
}

/// `true` if a tensor of the shape `found` can take the place of one of the shape `expected`: the same, or
/// `[1]` for a scalar, as PyTorch's `load_state_dict` takes it.
pub fn fits(expected: &[usize], found: &[usize]) -> bool {
    expected == found || expected.is_empty() && found == [1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(names: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
        names.iter().map(|(name, shape)| ((*name).to_owned(), shape.to_vec())).collect()
    }

    fn found(names: &[(&str, &[usize])]) -> BTreeMap<String, NamedArray> {
        let array = |(name, shape): &(&str, &[usize])| {
            let values = vec![0.0; shape.iter().product()];
            ((*name).to_owned(), NamedArray::from_f32(*name, *shape, &values))
        };
        names.iter().map(array).collect()
    }

    #[test]
    fn the_same_names_and_shapes_fit_in_any_order() {
        let expected = expected(&[("b", &[3, 1]), ("a", &[2])]);
        check_names(&expected, &found(&[("a", &[2]), ("b", &[3, 1])]), &[]).unwrap();
    }

    #[test]
    fn a_scalar_may_have_one_axis_and_nothing_else_may() {
        for (of_model, of_file, fit) in [
            (&[][..], &[][..], true),
            (&[], &[1], true),
            (&[], &[2], false),
            (&[], &[1, 1], false),
            (&[1], &[], false),
        ] {
            let checked = check_names(&expected(&[("seen", of_model)]), &found(&[("seen", of_file)]), &[]);
            assert_eq!(checked.is_ok(), fit, "{of_model:?} {of_file:?}");
        }
    }

    #[test]
    fn every_difference_is_named_with_its_shapes() {
        let error = check_names(
            &expected(&[("stem.weight", &[40, 3]), ("norm.bias", &[320]), ("head.bias", &[1000])]),
            &found(&[("stem.weight", &[3, 40]), ("head.bias", &[1000]), ("downsample.0", &[7])]),
            &[],
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the tensors do not fit the model: missing: norm.bias [320]; unexpected: downsample.0 [7]; \
             of the wrong shape: stem.weight (expected [40, 3], found [3, 40]); \
             check that the weights belong to this model"
        );
    }

    #[test]
    fn prefixes_excuse_absence_only() {
        let expected = expected(&[("norm.bias", &[4]), ("head.weight", &[10, 4]), ("head.bias", &[10])]);
        check_names(&expected, &found(&[("norm.bias", &[4])]), &["head."]).unwrap();
        let message = |names| check_names(&expected, &found(names), &["head."]).unwrap_err().to_string();
        let wrong_shape = message(&[("norm.bias", &[4]), ("head.bias", &[5])]);
        assert!(wrong_shape.contains("head.bias (expected [10], found [5])"), "{wrong_shape}");
        let unexpected = message(&[("norm.bias", &[4]), ("head.other", &[5])]);
        assert!(unexpected.contains("unexpected: head.other [5]"), "{unexpected}");
        let missing = message(&[("head.bias", &[10])]);
        assert!(missing.contains("missing: norm.bias [4];"), "{missing}");
    }

    #[test]
    fn long_lists_are_cut_after_ten() {
        let names: Vec<String> = (10..23).map(|index| format!("n{index}")).collect();
        let expected: Vec<_> = names.iter().map(|name| (name.clone(), vec![1])).collect();
        let error = check_names(&expected, &BTreeMap::new(), &[]).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("n19 [1], and 3 more;") && !message.contains("n20"), "{message}");
        let IoError::Mismatch { missing, .. } = error else { panic!("{error}") };
        assert_eq!(missing.len(), 13);
    }
}
