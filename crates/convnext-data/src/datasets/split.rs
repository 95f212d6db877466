//! Random divisions of a data set, class by class.

use convnext_core::{Purpose, Seed};
use rand::seq::SliceRandom;

use crate::error::DataError;

/// Share of the images that is held out for validation by default, where the data has no such part.
pub const HELD_OUT: f64 = 0.2;

/// Divides the images of one class into training and validation, both in their old order.
///
/// `fraction` of them, rounded, go to validation; training keeps at least one, and of two or more
/// validation gets at least one. The division depends on the seed, the name of the class and its number
/// of images only.
pub(crate) fn split_class(class: &str, images: &[usize], fraction: f64, seed: Seed) -> [Vec<usize>; 2] {
    let count = images.len();
    let wanted = (count as f64 * fraction).round() as usize;
    let validation = if count < 2 { 0 } else { wanted.clamp(1, count - 1) };
    let shuffled = shuffled(class, images, Purpose::Split, seed);
    [sorted(&shuffled[validation..]), sorted(&shuffled[..validation])]
}

/// Checks the fraction of [`split_class`].
pub(crate) fn check_fraction(fraction: f64) -> Result<(), DataError> {
    let fits = fraction > 0.0 && fraction < 1.0;
    DataError::check(fits, "validation fraction", fraction, "between 0 and 1, both excluded")
}

/// Chooses `count` images of one class, in their old order. A smaller choice is part of a larger one.
pub(crate) fn choose(class: &str, images: &[usize], count: usize, seed: Seed) -> Vec<usize> {
    let shuffled = shuffled(class, images, Purpose::LabelSubset, seed);
    sorted(&shuffled[..count.min(shuffled.len())])
}

/// [`choose`] for images without classes, of which there are `all`.
///
/// # Errors
/// [`DataError::OutOfRange`] when there are fewer, or `count` is 0.
pub(crate) fn choose_labelled(all: usize, count: usize, seed: Seed) -> Result<Vec<usize>, DataError> {
    let expected = format!("between 1 and the {all} that there are");
    DataError::check((1..=all).contains(&count), "number of labelled images", count, &expected)?;
    Ok(choose("", &(0..all).collect::<Vec<_>>(), count, seed))
}

/// The number of a fraction of so many images, rounded, at least one.
///
/// # Errors
/// [`DataError::OutOfRange`] when `fraction` is not above 0 and at most 1.
pub(crate) fn labelled_fraction(all: usize, fraction: f64) -> Result<usize, DataError> {
    let fits = fraction > 0.0 && fraction <= 1.0;
    DataError::check(fits, "fraction of labelled images", fraction, "above 0 and at most 1")?;
    Ok(((all as f64 * fraction).round() as usize).max(1))
}

fn shuffled(class: &str, images: &[usize], purpose: Purpose, seed: Seed) -> Vec<usize> {
    let mut images = images.to_vec();
    images.shuffle(&mut seed.stream(purpose, 0, Seed::name_index(class)));
    images
}

fn sorted(images: &[usize]) -> Vec<usize> {
    let mut images = images.to_vec();
    images.sort_unstable();
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_rounded_and_never_empty() {
        for (count, fraction, expected) in
            [(1, 0.5, 0), (2, 0.1, 1), (2, 0.9, 1), (10, 0.24, 2), (10, 0.26, 3), (10, 0.99, 9)]
        {
            let images: Vec<usize> = (100..100 + count).collect();
            let [train, validation] = split_class("cat", &images, fraction, Seed(1));
            assert_eq!(validation.len(), expected, "{fraction} of {count}");
            let mut all = [train, validation].concat();
            all.sort_unstable();
            assert_eq!(all, images);
        }
    }

    #[test]
    fn seed_and_class_decide() {
        let images: Vec<usize> = (0..100).collect();
        let split = |class, seed| split_class(class, &images, 0.2, Seed(seed));
        assert_eq!(split("cat", 1), split("cat", 1));
        assert_ne!(split("cat", 1), split("cat", 2));
        assert_ne!(split("cat", 1), split("dog", 1));
    }

    #[test]
    fn small_choices_are_part_of_large_ones() {
        let images: Vec<usize> = (0..100).collect();
        let (few, many) = (choose("cat", &images, 5, Seed(1)), choose("cat", &images, 20, Seed(1)));
        assert_eq!((few.len(), many.len()), (5, 20));
        assert!(few.iter().all(|image| many.contains(image)) && few.is_sorted());
    }
}
