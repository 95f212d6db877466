//! Evaluation of a detector, one image after the other.

use convnext_core::ClassNames;
use rayon::prelude::*;

use crate::evaluation::average_precision::{ClassScores, DetectionScores, PrecisionRecall};
use crate::evaluation::detection_evaluation::{DetectionClass, DetectionCurves, DetectionEvaluation};
use crate::evaluation::image_errors::ImageErrors;
use crate::evaluation::matching::ClassMatches;
use crate::evaluation::measured_image::{ImageMatches, MeasuredImage};

/// Matches of a class, with the numbers of their images.
type MatchesOfClass = Vec<(usize, ClassMatches)>;

/// Measures of a detector, as images come in. Images may come in any order: of detections of equal scores those of the
/// image of the lower number go first.
#[derive(Debug, Clone)]
pub struct DetectionScorer {
    classes: ClassNames,
    images: usize,
    boxes: Vec<MatchesOfClass>,
    masks: Option<Vec<MatchesOfClass>>,
    /// Rows of classes and the background, columns likewise.
    confusion: Vec<Vec<u64>>,
    errors: ImageErrors,
}

impl DetectionScorer {
    /// No image yet, of these classes.
    pub fn new(classes: ClassNames) -> Self {
        let cells = vec![0; classes.len() + 1];
        Self {
            boxes: vec![Vec::new(); classes.len()],
            masks: None,
            confusion: vec![cells; classes.len() + 1],
            errors: ImageErrors::default(),
            images: 0,
            classes,
        }
    }

    /// Takes up the image of this number.
    ///
    /// # Panics
    /// When a class is none of the scorer's.
    pub fn add(&mut self, image: usize, measured: MeasuredImage) {
        self.images += 1;
        add_matches(&mut self.boxes, image, measured.boxes);
        if let Some(masks) = measured.masks {
            let classes = self.classes.len();
            add_matches(self.masks.get_or_insert_with(|| vec![Vec::new(); classes]), image, masks);
        }
        let background = self.classes.len();
        for cell in measured.found.cells {
            let [truth, predicted] = cell.map(|class| class.unwrap_or(background));
            self.confusion[truth][predicted] += 1;
        }
        self.errors = self.errors + measured.found.errors;
    }

    /// The evaluation of all images.
    pub fn finish(self) -> DetectionEvaluation {
        let boxes = scores(self.boxes);
        let masks = self.masks.map(scores);
        let class = |class: usize| DetectionClass {
            name: self.classes.name(class),
            objects: boxes[class].objects,
            box_ap: boxes[class].precision[0],
            mask_ap: masks.as_ref().and_then(|masks| masks[class].precision[0]),
        };
        DetectionEvaluation {
            images: self.images,
            boxes: DetectionScores::new(&boxes),
            masks: masks.as_deref().map(DetectionScores::new),
            classes: (0..self.classes.len()).map(class).collect(),
            curves: DetectionCurves {
                boxes: PrecisionRecall::new(&boxes),
                masks: masks.as_deref().map(PrecisionRecall::new),
            },
            confusion: self.confusion,
            errors: self.errors,
            best: Vec::new(),
            worst: Vec::new(),
            left_out: Vec::new(),
        }
    }
}

fn add_matches(classes: &mut [MatchesOfClass], image: usize, found: ImageMatches) {
    for (class, matches) in found {
        classes[class].push((image, matches));
    }
}

/// The measures of each class.
fn scores(classes: Vec<MatchesOfClass>) -> Vec<ClassScores> {
    let of_class = |mut matches: MatchesOfClass| {
        matches.sort_by_key(|&(image, _)| image);
        ClassScores::new(&matches.iter().map(|(_, matches)| matches).collect::<Vec<_>>())
    };
    classes.into_par_iter().map(of_class).collect()
}
