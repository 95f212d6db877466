//! The images of an evaluation that went best and worst.

use convnext_data::Image;
use convnext_distributed::Ranks;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::evaluation::shown_pictures::ShownPictures;

/// Images that are shown of the best, and of the worst.
const SHOWN: usize = 6;

/// The best and the worst images so far, with what is to be known of each.
#[derive(Debug, Clone, PartialEq)]
pub struct BestAndWorst<T> {
    best: Vec<Ranked<T>>,
    worst: Vec<Ranked<T>>,
}

/// An image among the best or the worst.
#[derive(Debug, Clone, PartialEq)]
struct Ranked<T> {
    /// Its index in the data set.
    image: usize,
    score: f64,
    known: T,
}

impl<T> Default for BestAndWorst<T> {
    fn default() -> Self {
        Self { best: Vec::new(), worst: Vec::new() }
    }
}

impl<T> BestAndWorst<T> {
    /// Takes up an image where it is among the best or the worst by its score, the higher the better; of equals the first stay.
    /// Only then it is asked what is to be known of it.
    pub fn add(&mut self, image: usize, score: f64, known: impl Fn() -> T) {
        let insert = |list: &mut Vec<Ranked<T>>, goes_before: &dyn Fn(f64) -> bool| {
            let place = list.iter().position(|other| goes_before(other.score)).unwrap_or(list.len());
            if place < SHOWN {
                list.insert(place, Ranked { image, score, known: known() });
                list.truncate(SHOWN);
            }
        };
        insert(&mut self.best, &|other| score > other);
        insert(&mut self.worst, &|other| score < other);
    }

    /// What is known of the best, the best first, and of the worst, the worst first.
    pub fn into_lists(self) -> [Vec<T>; 2] {
        [self.best, self.worst].map(|list| list.into_iter().map(|ranked| ranked.known).collect())
    }
}

/// A picture as ranks send it to each other.
#[derive(Serialize, Deserialize)]
struct SentPicture {
    sides: [usize; 2],
    channels: usize,
    bytes: Vec<u8>,
}

impl BestAndWorst<Image> {
    /// The pictures of the images of `shown`, which are those of all ranks, in their order and on all ranks. `self` has those of
    /// the best and the worst among the images that this rank computed.
    ///
    /// # Errors
    /// [`TrainError::Rank`] when a rank failed.
    pub fn of_all_ranks<T>(
        &self,
        shown: &BestAndWorst<T>,
        ranks: &Ranks,
    ) -> Result<ShownPictures, TrainError> {
        let pictures = |own: &[Ranked<Image>], shown: &[Ranked<T>]| -> Result<Vec<Image>, TrainError> {
            let own = |image: usize| own.iter().find(|own| own.image == image).map(|own| &own.known);
            // One by one: there may be many ranks, and each gets one of every rank at a time.
            shown.iter().filter_map(|shown| picture_of_any(own(shown.image), ranks).transpose()).collect()
        };
        let (best, worst) = (pictures(&self.best, &shown.best)?, pictures(&self.worst, &shown.worst)?);
        Ok(ShownPictures { best, worst })
    }
}

/// The picture that one of the ranks has, on all.
fn picture_of_any(own: Option<&Image>, ranks: &Ranks) -> Result<Option<Image>, TrainError> {
    let sent = own.map(|image| {
        let sides = [image.width(), image.height()];
        SentPicture { sides, channels: image.channels(), bytes: image.bytes().to_vec() }
    });
    let found = ranks.all_gather(Ok::<_, TrainError>(sent))?.into_iter().flatten().next();
    let picture = |SentPicture { sides: [width, height], channels, bytes }: SentPicture| {
        Ok(Image::new(width, height, channels, bytes)?)
    };
    found.map(picture).transpose()
}

#[cfg(test)]
mod tests {
    use convnext_distributed::run_threads;

    use super::*;

    /// Those of images 4 and 8 are equal to others.
    const SCORES: [f64; 10] = [0.5, 0.0, 0.9, 0.9, 0.3, 0.7, 0.1, 0.2, 0.3, 0.8];

    fn picture(image: usize) -> Image {
        Image::new(1 + image, 1, 1, vec![image as u8; 1 + image]).unwrap()
    }

    #[test]
    fn the_best_and_the_worst_are_kept() {
        let mut shown = BestAndWorst::default();
        for (image, score) in SCORES.into_iter().enumerate() {
            shown.add(image, score, || image);
        }
        assert_eq!(shown.into_lists(), [[2, 3, 9, 5, 0, 4], [1, 6, 7, 4, 8, 0]]);
        // Of what is not shown, nobody asks.
        let mut shown = BestAndWorst::default();
        (0..20).for_each(|image| shown.add(image, 0.5, || assert!(image < SHOWN)));
    }

    #[test]
    fn all_ranks_get_the_pictures_of_all() {
        for size in [1, 2, 3, 4, 7, 12] {
            let found = run_threads(size, |ranks| {
                let (mut shown, mut own) = (BestAndWorst::default(), BestAndWorst::default());
                for (image, score) in SCORES.into_iter().enumerate() {
                    shown.add(image, score, || ());
                    if image % size == ranks.rank() {
                        own.add(image, score, || picture(image));
                    }
                }
                own.of_all_ranks(&shown, &ranks).unwrap()
            });
            let [best, worst] =
                [[2, 3, 9, 5, 0, 4], [1, 6, 7, 4, 8, 0]].map(|images| images.map(picture).to_vec());
            let expected = ShownPictures { best, worst };
            assert!(found.iter().all(|found| *found == expected), "{size}: {found:?}");
        }
    }
}
