//! The images of an evaluation that went best and worst, with pictures.

use std::path::Path;

use convnext_data::{DataError, Image};

use crate::evaluation::detection_evaluation::{DetectedSample, DetectionEvaluation};
use crate::evaluation::image_errors::ImageErrors;

/// Images that are shown of the best, and of the worst.
const SHOWN: usize = 6;

/// A sample and its picture.
type Pictured = (DetectedSample, Image);

/// The best and the worst images so far.
#[derive(Debug, Default)]
pub struct BestAndWorst {
    best: Vec<Pictured>,
    worst: Vec<Pictured>,
}

/// Pictures of the best and the worst images of an evaluation, in their order.
#[derive(Debug, Default)]
pub struct DetectionComparisons {
    /// Of [`DetectionEvaluation::best`].
    pub best: Vec<Image>,
    /// Of [`DetectionEvaluation::worst`].
    pub worst: Vec<Image>,
}

impl BestAndWorst {
    /// Takes up an image where it is among the best or the worst; of equals the first stay. Only then its picture is asked for.
    /// An image with neither objects nor detections is neither.
    pub fn add(&mut self, image: &str, errors: ImageErrors, picture: impl Fn() -> Image) {
        let Some(f1) = errors.f1() else { return };
        let sample = DetectedSample { image: image.to_owned(), f1, errors, thumbnail: None };
        insert(&mut self.best, &sample, |other| f1 > other, &picture);
        insert(&mut self.worst, &sample, |other| f1 < other, &picture);
    }

    /// Puts the images into an evaluation, and hands out their pictures.
    pub fn finish(self, evaluation: &mut DetectionEvaluation) -> DetectionComparisons {
        let (best, of_best) = self.best.into_iter().unzip();
        let (worst, of_worst) = self.worst.into_iter().unzip();
        (evaluation.best, evaluation.worst) = (best, worst);
        DetectionComparisons { best: of_best, worst: of_worst }
    }
}

fn insert(
    list: &mut Vec<Pictured>,
    sample: &DetectedSample,
    goes_before: impl Fn(f64) -> bool,
    picture: impl Fn() -> Image,
) {
    let place = list.iter().position(|(other, _)| goes_before(other.f1)).unwrap_or(list.len());
    if place < SHOWN {
        list.insert(place, (sample.clone(), picture()));
        list.truncate(SHOWN);
    }
}

impl DetectionComparisons {
    /// Writes the pictures into a folder, as `best-01.png` and so on, and their paths from the run folder into the evaluation.
    ///
    /// # Errors
    /// [`DataError::Io`] when one cannot be written.
    pub fn save(&self, folder: &Path, evaluation: &mut DetectionEvaluation) -> Result<(), DataError> {
        let parent = folder.file_name().unwrap_or_default().to_string_lossy();
        for (name, pictures, samples) in
            [("best", &self.best, &mut evaluation.best), ("worst", &self.worst, &mut evaluation.worst)]
        {
            for (number, (picture, sample)) in (1..).zip(pictures.iter().zip(samples)) {
                let file = format!("{name}-{number:02}.png");
                picture.save_png(&folder.join(&file))?;
                sample.thumbnail = Some(format!("{parent}/{file}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::ClassNames;

    use super::*;
    use crate::evaluation::scorer::DetectionScorer;

    #[test]
    fn the_best_and_the_worst_are_kept() {
        let mut shown = BestAndWorst::default();
        for (number, right) in [5, 0, 9, 9, 3, 7, 1, 2, 8].into_iter().enumerate() {
            let errors = ImageErrors { right, missed: 9 - right, ..ImageErrors::default() };
            let picture = || Image::new(1, 1, 1, vec![number as u8]).unwrap();
            shown.add(&format!("{number}.png"), errors, picture);
        }
        shown.add("nothing.png", ImageErrors::default(), || panic!("it is not shown"));
        let mut evaluation = DetectionScorer::new(ClassNames(vec!["cell".into()])).finish();
        let pictures = shown.finish(&mut evaluation);
        let names = |samples: &[DetectedSample]| -> Vec<u8> {
            samples.iter().map(|sample| sample.image[..1].parse().unwrap()).collect()
        };
        assert_eq!(names(&evaluation.best), [2, 3, 8, 5, 0, 4]);
        assert_eq!(names(&evaluation.worst), [1, 6, 7, 4, 0, 5]);
        let shown: Vec<u8> = pictures.best.iter().map(|picture| picture.bytes()[0]).collect();
        assert_eq!(shown, names(&evaluation.best));

        let folder = tempfile::tempdir().unwrap();
        pictures.save(folder.path(), &mut evaluation).unwrap();
        assert!(evaluation.worst[5].thumbnail.as_ref().unwrap().ends_with("/worst-06.png"));
        assert!(folder.path().join("best-01.png").is_file());
    }
}
