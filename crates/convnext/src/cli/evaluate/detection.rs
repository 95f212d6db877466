//! `convnext evaluate` of a detector.

use anyhow::bail;
use convnext::core::{DetectionTask, Seed, WeightMetadata, counted};
use convnext::data::{DetectionSet, Split, open_detection, open_detection_part};
use convnext::detect::{
    CocoResult, Detection, DetectionClass, DetectionEvaluation, DetectionEvaluationSource, DetectionScores,
    SIDE_MULTIPLE, detect_options_of, evaluate_detection, load_detector,
};

use super::arguments::EvaluateArguments;
use super::page::Measured;
use super::percent::percent;
use crate::cli::finetune::share::check_share_is_used;
use crate::cli::machine::Machine;
use crate::cli::output::{print_progress, table};
use crate::cli::parts::MeasuredPart;
use crate::cli::progress::image_bar;
use crate::cli::read_files::{ReadFiles, check_data};
use crate::cli::results_file::ResultsFile;
use crate::cli::shared::SharedMachine;

/// Measures how well the objects of each class are found. Ranks that write no predictions send theirs to the one that does, if
/// one does.
pub(super) fn evaluate(
    arguments: &EvaluateArguments,
    shared: &SharedMachine,
    sends_predictions: bool,
) -> anyhow::Result<Measured> {
    let Machine { device, precision, .. } = &shared.machine;
    let (model, metadata, options, Images { part, set, decisions }) = shared.prepare(|| {
        check_flags(arguments)?;
        let weights = arguments.weights.file()?;
        let (model, metadata) = load_detector(&weights, device)?;
        let options = arguments.detection.options(detect_options_of(&metadata))?;
        let images = images(arguments, &named(arguments, &metadata)?, metadata.class_count())?;
        if let Some(path) = &arguments.write_predictions {
            check_numbers(&images)?;
            let (images, texts) = (images.set.images(), arguments.texts());
            ReadFiles { weights: &weights, sources: &[], images, texts }.check(path)?;
            check_data(path, &arguments.data)?;
        }
        Ok((model, metadata, options, images))
    })?;
    if !shared.quiet {
        decisions.iter().for_each(|decision| print_progress(&format!("objects: {decision}")));
    }
    let model = model.with_precision(*precision);
    let preprocessing = match arguments.inference.resize {
        None => metadata.preprocessing,
        Some(rule) => metadata.preprocessing.resized_by(rule, SIDE_MULTIPLE),
    };
    let bar = image_bar(shared.quiet, set.len());
    let predictions = arguments.write_predictions.as_deref().map(ResultsFile::new).transpose();
    let mut predictions = shared.ranks.meet(predictions)?;
    let loader =
        DetectionEvaluationSource::loader(set.clone(), preprocessing.clone(), &arguments.reading(shared))?;
    // With the numbers of the annotations, and as text, which ranks can send.
    let wanted = |index: usize, found: &[Detection]| -> Vec<String> {
        let found = found.iter().filter(|_| sends_predictions);
        let result = |found: &Detection| {
            CocoResult::new(found, set.image_id(index), set.category_id(found.class)).text()
        };
        found.map(result).collect()
    };
    let write = |found: Vec<String>| -> anyhow::Result<()> {
        bar.inc(1);
        let Some(predictions) = &mut predictions else { return Ok(()) };
        found.iter().try_for_each(|found| predictions.write_text(found))
    };
    let (result, pictures) = evaluate_detection((&model, device), &loader, &options, wanted, write)?;
    predictions.map_or(Ok(()), ResultsFile::finish)?;
    bar.finish_and_clear();
    let [best, worst] = [&result.best, &result.worst].map(|list| list.iter().map(|sample| &*sample.image));
    let images = pictures.by_name(best, worst);
    Ok(Measured { part, text: describe(&result), result: result.into(), images, preprocessing })
}

/// The task of the weights, with the names of its classes as they are given.
fn named(arguments: &EvaluateArguments, metadata: &WeightMetadata) -> anyhow::Result<DetectionTask> {
    let task: DetectionTask = metadata.task_as()?;
    let classes = arguments.class_names.read(metadata.class_count())?.unwrap_or(task.classes);
    Ok(DetectionTask { classes, ..task })
}

/// The images to measure on, and what was decided about their annotations.
struct Images {
    part: MeasuredPart,
    set: DetectionSet,
    decisions: Vec<String>,
}

/// The images to measure on, with the classes of the weights; weights without names take the data's as they are.
fn images(arguments: &EvaluateArguments, task: &DetectionTask, outputs: usize) -> anyhow::Result<Images> {
    let model = Some(task.classes.clone()).filter(|classes| !classes.is_empty());
    let layout = arguments.objects.layout(model.clone(), arguments.val_fraction);
    let (part, set, decisions) = match arguments.val_fraction {
        None => {
            let asked = arguments.split.map(Split::from);
            let part = open_detection_part(&arguments.data, &layout, asked)?;
            part.remarks.iter().for_each(|remark| log::warn!("{}", remark.sentence()));
            (MeasuredPart::of_objects(&part), part.images, part.decisions)
        }
        Some(fraction) => {
            let data = open_detection(&arguments.data, &layout, Seed(arguments.seed))?;
            let sources = [&*data.validation_source, &*data.train_source];
            check_share_is_used(Some(fraction), data.held_out, sources, &arguments.data)?;
            data.remarks.iter().for_each(|remark| log::warn!("{}", remark.sentence()));
            (MeasuredPart::of_detection(&data), data.validation, data.decisions)
        }
    };
    match model {
        Some(classes) => Ok(Images { part, set: set.for_classes(&classes)?, decisions }),
        None if set.classes().len() == outputs => Ok(Images { part, set, decisions }),
        None => bail!(
            "{} does not name its {outputs} classes, and {} has {}; name those of the weights with --class-names FILE",
            arguments.weights.text(),
            arguments.data.display(),
            set.classes().len()
        ),
    }
}

/// Refuses predictions whose numbers of images and classes would be those of several files.
fn check_numbers(Images { part, set, .. }: &Images) -> anyhow::Result<()> {
    match set.annotation_files() {
        0 | 1 => Ok(()),
        files => bail!(
            "--write-predictions needs the numbers of images and classes of one file of annotations, and {} has {files}; name \
             one with --annotations FILE",
            part.in_words()
        ),
    }
}

/// Refuses flags that are about classifiers and segmentation networks.
fn check_flags(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    if arguments.image_size.is_some() {
        bail!("--image-size is about classifiers; a detector takes images by --resize, such as fit:1333x800");
    }
    if arguments.labels.is_some() {
        bail!(
            "--labels names a file with the classes of whole images; name annotations with --annotations FILE"
        );
    }
    if arguments.decoding.ignore_orientation {
        bail!(
            "--ignore-orientation is not for a detector: images are turned as their annotations say; leave it out"
        );
    }
    if arguments.batch_size.is_some() {
        bail!("--batch-size is not for a detector, which looks at images one by one; leave it out");
    }
    if arguments.masks.are_given() || arguments.inference.are_given_besides_resize() {
        bail!(
            "flags about label maps, windows, scales and mirror images are for segmentation networks; leave them out"
        );
    }
    Ok(())
}

fn describe(result: &DetectionEvaluation) -> String {
    let row = |class: &DetectionClass| {
        vec![class.name.clone(), class.objects.to_string(), percent(class.box_ap), percent(class.mask_ap)]
    };
    let rows: Vec<Vec<String>> = result.classes.iter().map(row).collect();
    let classes = table(&["class", "objects", "box AP", "mask AP"], 1, rows);
    let scores = |what: &str, scores: &DetectionScores| {
        let DetectionScores { ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, .. } = *scores;
        let values = [ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100];
        [what.to_owned()].into_iter().chain(values.map(percent)).collect::<Vec<_>>()
    };
    let head = ["", "AP", "AP50", "AP75", "small", "medium", "large", "AR1", "AR10", "AR100"];
    let mut rows = vec![scores("box", &result.boxes)];
    rows.extend(result.masks.as_ref().map(|masks| scores("mask", masks)));
    format!("{classes}\n\n{}\n{}", table(&head, 1, rows), counted(result.images, "image", "images"))
}
