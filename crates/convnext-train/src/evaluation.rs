//! How good a classifier is.

use std::collections::BTreeMap;

use convnext_core::{ClassNames, Preprocessing, imagenet_1k_name};
use convnext_data::{CorruptFile, Dataset, Loader, Source, canonical_name};
use convnext_nn::{ConvNext, DropPath, tensor_values};
use serde::Serialize;

use crate::inference::for_each_batch_of;
use crate::{Reading, TrainError, log_probabilities};

/// Results over a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// Images looked at.
    pub images: usize,
    /// Share of images whose class had the highest logit, in [0, 1].
    pub top1: f64,
    /// Share of images whose class was among the five highest logits.
    pub top5: f64,
    /// Mean cross-entropy in nats.
    pub loss: f64,
    /// Each class of the classifier that the data set has, in the order of the logits.
    pub classes: Vec<ClassResult>,
    /// How often each class was taken for each; pairs that never occurred are left out.
    pub confusion: Vec<Confusion>,
    /// The wrong answers that the classifier was surest of, the worst first.
    pub mistakes: Vec<Mistake>,
    /// Images that could not be read and do not count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<CorruptFile>,
}

/// Images of one class that were taken for one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Confusion {
    /// The class that they are of.
    pub label: String,
    /// The class that had the highest logit.
    pub predicted: String,
    /// How many.
    pub images: usize,
}

/// A wrong answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mistake {
    /// The image.
    pub image: String,
    /// Its index in the data set.
    #[serde(skip)]
    pub sample: usize,
    /// Its class.
    pub label: String,
    /// The class that had the highest logit.
    pub predicted: String,
    /// The probability of that class.
    pub probability: f64,
    /// A picture of it in the run folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
}

/// Mistakes that are listed.
const MISTAKES: usize = 12;

/// Results of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassResult {
    /// Name of the class.
    pub label: String,
    /// Images of the class.
    pub images: usize,
    /// Images of the class that were recognised.
    pub correct: usize,
    /// `correct / images`.
    pub accuracy: f64,
}

/// Classifies every image of a labelled data set. `reading` says whether an image that cannot be read is an error.
///
/// `names` are the classes in the order of the logits; the data set's classes are matched by name.
/// `progress` is told how many images are done.
///
/// # Errors
/// [`TrainError::UnknownClass`] when the data set has a class that `names` has not, and what reading
/// the images reports.
pub fn evaluate(
    model: &ConvNext,
    names: &ClassNames,
    dataset: &Dataset,
    preprocessing: &Preprocessing,
    reading: &Reading,
    progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    match_classes(dataset.classes(), names)?;
    evaluate_batches(model, names, &reading.loader(dataset, preprocessing)?, progress)
}

/// [`evaluate`] with a loader that [`Reading::loader`] made, which may be used again.
pub(crate) fn evaluate_batches(
    model: &ConvNext,
    names: &ClassNames,
    loader: &Loader,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    let dataset = loader.source().dataset();
    let to_logit = match_classes(dataset.classes(), names)?;
    let device = model.backbone.stem.conv.weight.lazy_device();
    let mut tally = Tally::new(model.config().classes);
    for_each_batch_of(loader, &device, |images, batch| {
        let logits = model.forward(images, &DropPath::none())?;
        let classes = logits.dims()[1];
        let logits = tensor_values(logits);
        for ((row, label), &sample) in logits.chunks(classes).zip(&batch.labels).zip(&batch.samples) {
            let not_finite =
                || TrainError::NotFinite { what: format!("the answer for {}", dataset.name(sample)) };
            let logs = log_probabilities(row).ok_or_else(not_finite)?;
            if let Some(label) = label {
                tally.add(sample, &logs, to_logit[*label]);
            }
        }
        progress(tally.images);
        Ok::<(), TrainError>(())
    })?;
    let result = tally.finish(names, |sample| dataset.name(sample).to_owned());
    Ok(Evaluation { left_out: loader.corrupt(), ..result })
}

/// For each class of the data the index of its logit. Letters may be written in any Unicode form, and folders of
/// ImageNet are called after synsets.
pub(crate) fn match_classes(found: &ClassNames, known: &ClassNames) -> Result<Vec<usize>, TrainError> {
    found
        .0
        .iter()
        .map(|class| {
            known
                .index(class)
                .or_else(|| known.0.iter().position(|name| canonical_name(name) == canonical_name(class)))
                .or_else(|| known.index(imagenet_1k_name(class)?))
                .ok_or_else(|| TrainError::UnknownClass { class: class.clone(), known: known.0.join(", ") })
        })
        .collect()
}

/// Running sums.
pub(crate) struct Tally {
    images: usize,
    top1: usize,
    top5: usize,
    loss: f64,
    /// For each class: images, of these recognised.
    classes: Vec<[usize; 2]>,
    /// Images by class and answer.
    confusion: BTreeMap<(usize, usize), usize>,
    /// Sample, class, answer and its probability; the surest first, at most [`MISTAKES`].
    mistakes: Vec<(usize, usize, usize, f64)>,
}

impl Tally {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            images: 0,
            top1: 0,
            top5: 0,
            loss: 0.0,
            classes: vec![[0, 0]; classes],
            confusion: BTreeMap::new(),
            mistakes: Vec::new(),
        }
    }

    /// Counts one image by the logarithms of its class probabilities.
    pub(crate) fn add(&mut self, sample: usize, logs: &[f64], label: usize) {
        let own = logs[label];
        // Ties count against the classifier, so that constant logits are not right by accident.
        let ahead = logs.iter().enumerate().filter(|&(class, &log)| class != label && log >= own).count();
        self.images += 1;
        self.top1 += usize::from(ahead < 1);
        self.top5 += usize::from(ahead < 5);
        self.loss -= own;
        self.classes[label][0] += 1;
        self.classes[label][1] += usize::from(ahead < 1);
        let answer = if ahead < 1 { label } else { best_other(logs, label) };
        *self.confusion.entry((label, answer)).or_default() += 1;
        if answer != label {
            self.mistakes.push((sample, label, answer, logs[answer].exp()));
            // Equally sure ones stay in the order of the data.
            self.mistakes.sort_by(|left, right| right.3.total_cmp(&left.3));
            self.mistakes.truncate(MISTAKES);
        }
    }

    pub(crate) fn finish(self, names: &ClassNames, image_name: impl Fn(usize) -> String) -> Evaluation {
        let share = |count: usize| count as f64 / self.images.max(1) as f64;
        let classes = self.classes.iter().enumerate().filter(|(_, [images, _])| *images > 0);
        Evaluation {
            images: self.images,
            top1: share(self.top1),
            top5: share(self.top5),
            loss: self.loss / self.images.max(1) as f64,
            classes: classes
                .map(|(index, &[images, correct])| ClassResult {
                    label: names.name(index),
                    images,
                    correct,
                    accuracy: correct as f64 / images as f64,
                })
                .collect(),
            confusion: (self.confusion.into_iter())
                .map(|((label, answer), images)| Confusion {
                    label: names.name(label),
                    predicted: names.name(answer),
                    images,
                })
                .collect(),
            mistakes: (self.mistakes.into_iter())
                .map(|(sample, label, answer, probability)| Mistake {
                    image: image_name(sample),
                    sample,
                    label: names.name(label),
                    predicted: names.name(answer),
                    probability,
                    picture: None,
                })
                .collect(),
            left_out: Vec::new(),
        }
    }
}

/// The most probable class besides one; the first of equals.
fn best_other(logs: &[f64], label: usize) -> usize {
    let others = (0..logs.len()).filter(|&class| class != label).rev();
    others.max_by(|&left, &right| logs[left].total_cmp(&logs[right])).unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tally_counts_ranks_ties_and_surprise() {
        let mut tally = Tally::new(7);
        let logs = log_probabilities(&[0.0, 5.0, 1.0, 2.0, 3.0, 4.0, -1.0]).unwrap();
        tally.add(10, &logs, 1); // first
        tally.add(11, &logs, 0); // sixth
        tally.add(12, &logs, 2); // fifth
        tally.add(13, &log_probabilities(&[1.0; 7]).unwrap(), 3); // tied with all
        let names = ClassNames((0..7).map(|i| format!("c{i}")).collect());
        let result = tally.finish(&names, |sample| sample.to_string());
        assert_eq!((result.images, result.top1, result.top5), (4, 0.25, 0.5));
        let exps: f64 = [0.0, 5.0, 1.0, 2.0, 3.0, 4.0, -1.0_f64].iter().map(|x| x.exp()).sum();
        let expected = (3.0 * exps.ln() - 5.0 - 0.0 - 1.0 + 7.0_f64.ln()) / 4.0;
        assert!((result.loss - expected).abs() < 1e-6);
        assert_eq!(result.classes.len(), 4);
        let pairs: Vec<(&str, &str, usize)> = (result.confusion.iter())
            .map(|pair| (pair.label.as_str(), pair.predicted.as_str(), pair.images))
            .collect();
        assert_eq!(pairs, [("c0", "c1", 1), ("c1", "c1", 1), ("c2", "c1", 1), ("c3", "c0", 1)]);
        let mistakes: Vec<(&str, &str)> = (result.mistakes.iter())
            .map(|mistake| (mistake.image.as_str(), mistake.predicted.as_str()))
            .collect();
        assert_eq!(mistakes, [("11", "c1"), ("12", "c1"), ("13", "c0")]);
        assert!((result.mistakes[2].probability - 1.0 / 7.0).abs() < 1e-12);
        assert_eq!((result.classes[1].label.as_str(), result.classes[1].accuracy), ("c1", 1.0));
    }

    #[test]
    fn classes_are_matched_by_name() {
        let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
        let known = names(&["ant", "bee", "cat"]);
        assert_eq!(match_classes(&names(&["cat", "ant"]), &known).unwrap(), [2, 0]);
        let error = match_classes(&names(&["dog"]), &known).unwrap_err().to_string();
        assert!(error.contains("'dog'") && error.contains("ant, bee, cat"), "{error}");
    }

    #[test]
    fn letters_in_another_unicode_form_are_the_same() {
        let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
        assert_eq!(match_classes(&names(&["caf\u{e9}"]), &names(&["bar", "cafe\u{301}"])).unwrap(), [1]);
    }

    #[test]
    fn folders_of_imagenet_are_called_after_synsets() {
        let names = |list: &[&str]| ClassNames(list.iter().map(|&name| name.to_owned()).collect());
        let imagenet = convnext_core::imagenet_1k_classes();
        assert_eq!(match_classes(&names(&["n15075141", "n01440764"]), &imagenet).unwrap(), [999, 0]);
        assert!(match_classes(&names(&["n01440764"]), &names(&["ant", "bee"])).is_err());
    }
}
