//! Evaluation of a classifier.

use convnext_core::{ClassNames, Preprocessing, imagenet_1k_index, imagenet_1k_name, is_imagenet_1k};
use convnext_data::{Dataset, ImageBatch, Source, canonical_name};
use convnext_nn::{ConvNext, DropPath, tensor_values};

use crate::error::TrainError;
use crate::evaluation::inference::EvalLoaderConfig;
use crate::evaluation::logits::log_probabilities;
use crate::evaluation::results::Evaluation;
use crate::evaluation::shared_loader::SharedLoader;
use crate::evaluation::tally::{Answer, Tally};
use crate::training::task::batch_images;

/// Classifies every image of a labelled data set; ranks share them, and all get the results. `reading` says whether an
/// image that cannot be read is an error.
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
    reading: &EvalLoaderConfig,
    progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    match_classes(dataset.classes(), names)?;
    evaluate_batches(model, names, &reading.loader(dataset, preprocessing)?, progress)
}

/// [`evaluate`] with a loader that [`EvalLoaderConfig::loader`] made, which may be used again.
pub(crate) fn evaluate_batches(
    model: &ConvNext,
    names: &ClassNames,
    loader: &SharedLoader,
    mut progress: impl FnMut(usize),
) -> Result<Evaluation, TrainError> {
    let dataset = loader.source().dataset();
    let to_logit = match_classes(dataset.classes(), names)?;
    let device = model.backbone.stem.conv.weight.lazy_device();
    let mut tally = Tally::new(model.config().classes).showing(dataset, loader.seed());
    let compute = |mut batch: ImageBatch| {
        let logits = model.forward(batch_images(&mut batch, &device), &DropPath::none())?;
        let classes = logits.dims()[1];
        let logits = tensor_values(logits);
        let mut answers = Vec::with_capacity(batch.samples.len());
        for ((row, label), &sample) in logits.chunks(classes).zip(&batch.labels).zip(&batch.samples) {
            let not_finite =
                || TrainError::NotFinite { what: format!("the answer for {}", dataset.name(sample)) };
            let logs = log_probabilities(row).ok_or_else(not_finite)?;
            answers.extend(label.map(|label| Answer::new(sample, &logs, to_logit[label])));
        }
        Ok(answers)
    };
    loader.for_each(compute, |answers| {
        answers.into_iter().for_each(|answer| tally.add(answer));
        progress(tally.images);
        Ok::<(), TrainError>(())
    })?;
    let result = tally.finish(names, |sample| dataset.name(sample).to_owned());
    Ok(Evaluation { left_out: loader.corrupt(), ..result })
}

/// For each class of the data the index of its logit. Letters may be written in any Unicode form, and folders of
/// ImageNet are called after synsets.
pub(crate) fn match_classes(found: &ClassNames, known: &ClassNames) -> Result<Vec<usize>, TrainError> {
    let is_imagenet = is_imagenet_1k(known);
    found
        .0
        .iter()
        .map(|class| {
            known
                .index(class)
                .or_else(|| known.0.iter().position(|name| canonical_name(name) == canonical_name(class)))
                .or_else(|| known.index(imagenet_1k_name(class)?))
                .or_else(|| imagenet_1k_index(class).filter(|_| is_imagenet))
                .ok_or_else(|| TrainError::UnknownClass { class: class.clone(), known: known.0.join(", ") })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use convnext_data::CorruptFile;

    use super::*;
    use crate::training::validation_result::ValidationResult;

    #[test]
    fn without_labelled_images_nothing_is_measured() {
        let names = ClassNames(vec!["c0".into()]);
        let measured = ValidationResult::from(Tally::new(1).finish(&names, |_| String::new()));
        assert!(measured.metrics.iter().all(|metric| metric.value.is_none()), "{measured:?}");
        let file = serde_json::to_value(&measured).unwrap();
        assert_eq!((&file["kind"], &file["images"]), (&"classification".into(), &0.into()));
        assert!(file["top1"].is_null() && file["loss"].is_null() && file["metrics"][0]["value"].is_null());
    }

    #[test]
    fn results_come_back_from_their_file() {
        let mut tally = Tally::new(2);
        tally.add(Answer::new(0, &log_probabilities(&[1.0, 0.5]).unwrap(), 1));
        let names = ClassNames(vec!["ant".into(), "bee".into()]);
        let result = tally.finish(&names, |_| "a.png".into());
        let left_out = vec![CorruptFile { name: "b.png".into(), why: "cut".into() }];
        let measured = ValidationResult::from(Evaluation { left_out: left_out.clone(), ..result.clone() });
        let read: ValidationResult =
            serde_json::from_str(&serde_json::to_string(&measured).unwrap()).unwrap();
        assert_eq!((&read, &read.left_out), (&measured, &left_out));
        assert_eq!(read.details::<Evaluation>().unwrap(), result);
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
        // Other programs call the same classes otherwise.
        let with_synonyms = ClassNames(imagenet.0.iter().map(|name| format!("{name}, synonym")).collect());
        assert_eq!(match_classes(&names(&["n15075141", "n02012849"]), &with_synonyms).unwrap(), [999, 134]);
    }
}
