//! `convnext evaluate` of a segmentation network.

use anyhow::bail;
use convnext::core::{Seed, SegmentationTask, WeightMetadata, counted};
use convnext::data::{
    LearnedClasses, SegmentationSet, Split, class_colours, open_segmentation, open_segmentation_part,
};
use convnext::segment::{
    EvaluationSource, InferenceOptions, SegmentationClass, SegmentationEvaluation, evaluate_segmentation,
    inference_of, load_segmentation,
};
use convnext::train::Metric;

use super::arguments::EvaluateArguments;
use super::page::Measured;
use super::percent::percent;
use crate::cli::finetune::share::check_share_is_used;
use crate::cli::machine::Machine;
use crate::cli::output::{print_progress, table};
use crate::cli::parts::MeasuredPart;
use crate::cli::progress::image_bar;
use crate::cli::shared::SharedMachine;

/// Measures how well the pixels of each class are told.
pub(super) fn evaluate(arguments: &EvaluateArguments, shared: &SharedMachine) -> anyhow::Result<Measured> {
    let Machine { device, precision, .. } = &shared.machine;
    let (model, metadata, options, task, Images { part, set, decisions }) = shared.prepare(|| {
        check_flags(arguments)?;
        let (model, metadata) = load_segmentation(&arguments.weights.file()?, device)?;
        let of_weights = inference_of(&metadata);
        let batch_size = arguments.batch_size.unwrap_or(of_weights.batch_size);
        let options = arguments.inference.options(InferenceOptions { batch_size, ..of_weights })?;
        let task = named(arguments, &metadata)?;
        let images = images(arguments, &task, metadata.class_count())?;
        Ok((model, metadata, options, task, images))
    })?;
    if !shared.quiet {
        decisions.iter().for_each(|decision| print_progress(&format!("masks: {decision}")));
    }
    let model = model.with_precision(*precision);
    let colours = class_colours(&task.palette, metadata.class_count());
    let preprocessing = arguments.inference.preprocessing(metadata.preprocessing);
    let bar = image_bar(shared.quiet, set.len());
    let loader = EvaluationSource::loader(set, preprocessing.clone(), &arguments.reading(shared))?;
    let (result, pictures) = evaluate_segmentation((&model, device), &loader, &options, &colours, |done| {
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    let [best, worst] = [&result.best, &result.worst].map(|list| list.iter().map(|sample| &*sample.image));
    let images = pictures.by_name(best, worst);
    Ok(Measured { part, text: describe(&result), result: result.into(), images, preprocessing })
}

/// The task of the weights, with the names of its classes as they are given.
fn named(arguments: &EvaluateArguments, metadata: &WeightMetadata) -> anyhow::Result<SegmentationTask> {
    let task: SegmentationTask = metadata.task_as()?;
    let classes = arguments.class_names.read(metadata.class_count())?.unwrap_or(task.classes);
    Ok(SegmentationTask { classes, ..task })
}

/// The images to measure on, and what was decided about their masks.
struct Images {
    part: MeasuredPart,
    set: SegmentationSet,
    decisions: Vec<String>,
}

/// The images to measure on, with the classes of the weights; weights without names take the data's as they are.
fn images(arguments: &EvaluateArguments, task: &SegmentationTask, outputs: usize) -> anyhow::Result<Images> {
    let learned = LearnedClasses { names: task.classes.clone(), numbers: task.numbers.clone() };
    let model = Some(learned).filter(|classes| !classes.names.is_empty());
    let orientation = arguments.decoding.orientation();
    let layout = arguments.masks.layout(model.clone(), arguments.val_fraction, orientation);
    let (part, set, mut decisions) = match arguments.val_fraction {
        None => {
            let asked = arguments.split.map(Split::from);
            let part = open_segmentation_part(&arguments.data, &layout, asked)?;
            (MeasuredPart::of_masks(&part), part.images, part.decisions)
        }
        Some(fraction) => {
            let data = open_segmentation(&arguments.data, &layout, Seed(arguments.seed))?;
            let sources = [&*data.validation_source, &*data.train_source];
            check_share_is_used(Some(fraction), data.held_out, sources, &arguments.data)?;
            (MeasuredPart::of_segmentation(&data), data.validation, data.decisions)
        }
    };
    if set.ignored_pixels() > 0 {
        decisions.push(format!("{:.2} % of the pixels measured on are ignored", set.ignored_percent()));
    }
    match model {
        Some(classes) => Ok(Images { part, set: set.for_classes(&classes.names)?, decisions }),
        None if set.classes().len() == outputs => Ok(Images { part, set, decisions }),
        None => bail!(
            "{} does not name its {outputs} classes, and {} has {}; name those of the weights with --class-names FILE",
            arguments.weights.text(),
            arguments.data.display(),
            set.classes().len()
        ),
    }
}

/// Refuses flags that are about whole images.
fn check_flags(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    if arguments.image_size.is_some() {
        bail!(
            "--image-size is about classifiers; a segmentation network takes images by --resize, such as short:512"
        );
    }
    if arguments.labels.is_some() {
        bail!("--labels names a file with the classes of whole images; masks need none, leave it out");
    }
    Ok(())
}

fn describe(result: &SegmentationEvaluation) -> String {
    let row = |class: &SegmentationClass| {
        vec![class.name.clone(), class.pixels.to_string(), percent(class.iou), percent(class.accuracy)]
    };
    let mut rows: Vec<Vec<String>> = result.classes.iter().map(row).collect();
    let mean = ["mean".to_owned(), String::new(), percent(result.miou), percent(result.mean_accuracy)];
    rows.push(mean.to_vec());
    let classes = table(&["class", "pixels", "IoU", "accuracy"], 1, rows);
    let metrics: Vec<String> = result.metrics().iter().map(Metric::to_string).collect();
    format!("{classes}\n\n{}: {}", counted(result.images, "image", "images"), metrics.join(", "))
}
