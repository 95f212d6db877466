//! A draw of images that is even over the classes.

use convnext_core::{Purpose, Seed};
use rand::seq::SliceRandom;

use crate::datasets::dataset::Dataset;

impl Dataset {
    /// At most `count` images that the seed draws; of labelled ones as many of each class, of so few classes that there are
    /// at least `per_class` of each where the data has them. In their order.
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
