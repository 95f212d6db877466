//! A draw of images that is even over the classes.

use convnext_core::{Purpose, Seed};
use rand::seq::SliceRandom;

use crate::datasets::dataset::Dataset;

impl Dataset {
    /// At most `count` images that the seed draws; of labelled ones as many of each class as far as there are, where more
    /// of large classes make up for small ones, and of so few classes that there are at least `per_class` of each where the
    /// data has them. In their order.
    #[must_use]
    pub fn draw_evenly(&self, count: usize, per_class: usize, seed: Seed) -> Self {
        let mut stream = seed.stream(Purpose::Shown, 0, 1);
        let mut drawn: Vec<usize> = (0..self.len()).collect();
        drawn.shuffle(&mut stream);
        let mut classes: Vec<usize> = (0..self.classes().len()).collect();
        classes.shuffle(&mut stream);
        classes.truncate((count / per_class.max(1)).max(2));
        if !classes.is_empty() {
            drawn.retain(|&index| self.label(index).is_some_and(|class| classes.contains(&class)));
        }
        let mut seen = vec![0_usize; self.classes().len() + 1];
        let mut turn = |index: usize| {
            let of_class = &mut seen[self.label(index).map_or(0, |class| class + 1)];
            *of_class += 1;
            (*of_class, index)
        };
        // The first of every class, then the second of every class; without classes, in the order of the draw.
        let mut turns: Vec<(usize, usize)> = drawn.into_iter().map(&mut turn).collect();
        turns.sort_by_key(|&(turn, _)| turn);
        let mut chosen: Vec<usize> = turns.into_iter().take(count).map(|(_, index)| index).collect();
        chosen.sort_unstable();
        self.subset(&chosen)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::datasets::open::open_for_evaluation;

    #[test]
    fn large_classes_make_up_for_small_ones() {
        let folder = tempfile::tempdir().unwrap();
        for (class, count) in [("many", 20), ("few", 2)] {
            fs::create_dir(folder.path().join(class)).unwrap();
            for number in 0..count {
                fs::write(folder.path().join(class).join(format!("{number}.png")), "not read").unwrap();
            }
        }
        let drawn = open_for_evaluation(folder.path(), None).unwrap().draw_evenly(10, 1, Seed(0));
        let of_class = |class| (0..drawn.len()).filter(|&index| drawn.label(index) == Some(class)).count();
        // In the order of their names: few, many.
        assert_eq!([0, 1].map(of_class), [2, 8]);
    }
}
