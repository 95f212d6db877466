//! Division of labelled images into training, validation and test, class by class.

use std::collections::BTreeMap;

use convnext_core::{Purpose, Seed};
use rand::seq::SliceRandom;

use crate::datasets::parts::Split;

/// Groups of images that stay together, by number, and the classes of the images.
pub(crate) struct Grouped {
    /// The group of each image.
    pub(crate) groups: Vec<usize>,
    /// The class of each image.
    pub(crate) labels: Vec<usize>,
}

/// Shares of the images of a class.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shares {
    pub(crate) validation: f64,
    pub(crate) test: f64,
}

/// The part of each image. Every class gives the shares, rounded, at least one image to each part with a share; training
/// comes first where it has fewer groups than there are parts, then validation. Groups with images of several classes are
/// for training.
pub(crate) fn partition(grouped: &Grouped, classes: &[String], shares: Shares, seed: Seed) -> Vec<Split> {
    let Grouped { groups, labels } = grouped;
    let count = groups.iter().max().map_or(0, |last| last + 1);
    let mut label_of_group: Vec<Option<usize>> = vec![None; count];
    let mut parts: Vec<Option<Split>> = vec![None; count];
    for (&group, &label) in groups.iter().zip(labels) {
        match label_of_group[group] {
            Some(other) if other != label => parts[group] = Some(Split::Train),
            _ => label_of_group[group] = Some(label),
        }
    }
    // The groups of each class, with the number of its images in them.
    let mut groups_of_class: Vec<BTreeMap<usize, usize>> = vec![BTreeMap::new(); classes.len()];
    for (&group, &label) in groups.iter().zip(labels) {
        *groups_of_class[label].entry(group).or_default() += 1;
    }
    for (class, own) in classes.iter().zip(groups_of_class) {
        let mut own: Vec<(usize, usize)> = own.into_iter().collect();
        own.shuffle(&mut seed.stream(Purpose::DataSplit, 0, Seed::name_index(class)));
        divide_class(&own, shares, &mut parts);
    }
    groups.iter().map(|&group| parts[group].unwrap_or(Split::Train)).collect()
}

/// Divides the groups of one class, each with its number of images, in this order.
fn divide_class(groups: &[(usize, usize)], shares: Shares, parts: &mut [Option<Split>]) {
    let images: usize = groups.iter().map(|(_, images)| images).sum();
    let wanted = |share: f64| match share > 0.0 {
        true => ((images as f64 * share).round() as usize).max(1),
        false => 0,
    };
    let mut free: Vec<(usize, usize)> =
        groups.iter().copied().filter(|(group, _)| parts[*group].is_none()).collect();
    let for_train = usize::from(free.len() == groups.len());
    let [for_validation, for_test] = [shares.validation, shares.test].map(wanted);
    for (split, wanted, reserved) in
        [(Split::Validation, for_validation, usize::from(for_test > 0)), (Split::Test, for_test, 0)]
    {
        let mut has = 0;
        // The first group of a part comes before the second one of another.
        while has < wanted && free.len() > for_train + if has > 0 { reserved } else { 0 } {
            let Some((group, images)) = free.pop() else { break };
            parts[group] = Some(split);
            has += images;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(groups: &[usize], shares: [f64; 2], seed: u64) -> ([usize; 3], Vec<Split>) {
        let grouped = Grouped { groups: groups.to_vec(), labels: vec![0; groups.len()] };
        let shares = Shares { validation: shares[0], test: shares[1] };
        let parts = partition(&grouped, &["cat".to_owned()], shares, Seed(seed));
        (Split::ALL.map(|split| parts.iter().filter(|&&part| part == split).count()), parts)
    }

    #[test]
    fn shares_are_rounded_and_no_part_is_empty_as_long_as_there_are_images() {
        for (images, shares, expected) in [
            (10, [0.2, 0.0], [8, 2, 0]),
            (10, [0.2, 0.1], [7, 2, 1]),
            (3, [0.5, 0.2], [1, 1, 1]),
            (2, [0.2, 0.2], [1, 1, 0]),
            (1, [0.2, 0.2], [1, 0, 0]),
            (4, [0.1, 0.1], [2, 1, 1]),
        ] {
            let groups: Vec<usize> = (0..images).collect();
            assert_eq!(counts(&groups, shares, 0).0, expected, "{images} {shares:?}");
        }
    }

    #[test]
    fn the_seed_decides() {
        let groups: Vec<usize> = (0..50).collect();
        let parts = |seed| counts(&groups, [0.2, 0.2], seed).1;
        assert_eq!(parts(1), parts(1));
        assert_ne!(parts(1), parts(2));
    }

    #[test]
    fn groups_stay_together_and_those_of_several_classes_train() {
        for seed in 0..20 {
            let groups = [0, 0, 0, 1, 2, 3, 4, 5];
            let parts = counts(&groups, [0.3, 0.2], seed).1;
            assert!(parts[0] == parts[1] && parts[1] == parts[2], "{parts:?}");
            let grouped = Grouped { groups: vec![0, 1, 2, 0, 3, 4], labels: vec![0, 0, 0, 1, 1, 1] };
            let shares = Shares { validation: 0.4, test: 0.0 };
            let parts = partition(&grouped, &["a".into(), "b".into()], shares, Seed(seed));
            assert!(parts[0] == Split::Train && parts[3] == Split::Train, "{parts:?}");
            assert_eq!(parts.iter().filter(|&&part| part == Split::Validation).count(), 2, "{parts:?}");
        }
    }
}
