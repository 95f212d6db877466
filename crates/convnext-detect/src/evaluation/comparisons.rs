//! Pictures of the images of an evaluation that went best and worst.

use std::path::Path;

use convnext_data::{DataError, Image};

use crate::evaluation::detection_evaluation::DetectionEvaluation;

/// Pictures of the best and the worst images of an evaluation, in their order.
#[derive(Debug, Default)]
pub struct DetectionComparisons {
    /// Of [`DetectionEvaluation::best`].
    pub best: Vec<Image>,
    /// Of [`DetectionEvaluation::worst`].
    pub worst: Vec<Image>,
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
    use crate::evaluation::detection_evaluation::DetectedSample;
    use crate::evaluation::image_errors::ImageErrors;
    use crate::evaluation::scorer::DetectionScorer;

    #[test]
    fn pictures_and_their_paths_are_saved() {
        let sample = |number: usize| DetectedSample {
            image: format!("{number}.png"),
            f1: 0.5,
            errors: ImageErrors::default(),
            thumbnail: None,
        };
        let picture = |number: u8| Image::new(1, 1, 1, vec![number]).unwrap();
        let mut evaluation = DetectionScorer::new(ClassNames(vec!["cell".into()])).finish();
        (evaluation.best, evaluation.worst) = (vec![sample(0)], (1..7).map(sample).collect());
        let pictures = DetectionComparisons { best: vec![picture(0)], worst: (1..7).map(picture).collect() };
        let folder = tempfile::tempdir().unwrap();
        pictures.save(folder.path(), &mut evaluation).unwrap();
        assert!(evaluation.worst[5].thumbnail.as_ref().unwrap().ends_with("/worst-06.png"));
        assert!(folder.path().join("best-01.png").is_file());
    }
}
