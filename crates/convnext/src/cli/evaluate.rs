//! `convnext evaluate`

mod arguments;
mod detection;
mod multi_label;
mod page;
mod percent;
mod segmentation;

use anyhow::{anyhow, bail};
use convnext::Classifier;
use convnext::core::{ClassNames, DetectionTask, Preprocessing, Seed, SegmentationTask, counted};
use convnext::data::{Dataset, HELD_OUT, Split, open_part, open_parts};
use convnext::multilabel::MultiLabelTask;
use convnext::train::{
    ClassResult, Evaluation, Features, Metric, ValidationResult, classify_by_neighbours, evaluate,
    load_backbone, read_metadata,
};
use serde::Serialize;

pub(crate) use self::arguments::EvaluateArguments;
use self::page::Measured;
use self::percent::percents;
use super::class_names;
use super::embed::checksum;
use super::finetune::share::check_share_is_used;
use super::launched::Launched;
use super::machine::Machine;
use super::output::{print_json, print_text, print_then_write, table};
use super::parts::MeasuredPart;
use super::progress::image_bar;
use super::shared::SharedMachine;

pub(crate) fn run(mut arguments: EvaluateArguments, launched: &Launched, quiet: bool) -> anyhow::Result<()> {
    let shared = &SharedMachine::set_up(&arguments.machine, &arguments.ranks, launched, quiet)?;
    if !shared.ranks.is_alone() {
        shared.check_weights(shared.prepare(|| checksum(&arguments.weights.file()?))?)?;
    }
    let sends_predictions = arguments.write_predictions.is_some();
    if !shared.ranks.is_first() {
        arguments.write_nothing();
    }
    let arguments = &arguments;
    let mut voters = None;
    let way = shared.prepare(|| page::check(arguments).and_then(|()| Way::of(arguments)))?;
    let measured = match way {
        Way::Neighbours => by_neighbours(arguments, shared).map(|(measured, known)| {
            voters = Some(page::voters(arguments.neighbours, known));
            measured
        }),
        Way::Detection => detection::evaluate(arguments, shared, sends_predictions),
        Way::Segmentation => segmentation::evaluate(arguments, shared),
        Way::MultiLabel => multi_label::evaluate(arguments, shared),
        Way::Head => by_head(arguments, shared),
    }?;
    if !shared.ranks.is_first() {
        return Ok(());
    }
    let Measured { part, text, result, .. } = &measured;
    let print = || match arguments.json {
        true => print_json(&Answer { part, measured: result }),
        false => print_text(&format!("{text}\nmeasured on {}", part.in_words())),
    };
    let Some(path) = &arguments.html else { return print() };
    let last = (!arguments.json).then(|| format!("page: {}", path.display()));
    print_then_write(print, || page::write(path, arguments, &measured, voters), last)
}

/// The way to measure, by what was asked for and the task of the weights.
enum Way {
    Neighbours,
    Detection,
    Segmentation,
    MultiLabel,
    Head,
}

impl Way {
    fn of(arguments: &EvaluateArguments) -> anyhow::Result<Self> {
        if arguments.knn {
            return Ok(Self::Neighbours);
        }
        let task = read_metadata(&arguments.weights.file()?)?.task;
        Ok(if arguments.is_detection(&task)? {
            Self::Detection
        } else if arguments.is_segmentation(&task)? {
            Self::Segmentation
        } else if task.is::<MultiLabelTask>() {
            Self::MultiLabel
        } else {
            Self::Head
        })
    }
}

/// JSON output of `convnext evaluate`.
#[derive(Serialize)]
struct Answer<'a> {
    part: &'a MeasuredPart,
    #[serde(flatten)]
    measured: &'a ValidationResult,
}

/// Evaluates the classifier by its own head.
fn by_head(arguments: &EvaluateArguments, shared: &SharedMachine) -> anyhow::Result<Measured> {
    let (classifier, names, part, dataset) =
        shared.prepare(|| classifier_and_images(arguments, &shared.machine))?;
    let preprocessing = arguments.preprocessing(classifier.preprocessing().clone());
    let bar = image_bar(shared.quiet, dataset.len());
    let result = evaluate(
        classifier.model(),
        &names,
        &dataset,
        &preprocessing,
        &arguments.reading(shared),
        |images| bar.set_position(images as u64),
    )?;
    bar.finish_and_clear();
    classified(arguments, part, (&dataset, preprocessing), result)
}

/// The classifier with the names of its classes, and the images to measure on.
fn classifier_and_images(
    arguments: &EvaluateArguments,
    machine: &Machine,
) -> anyhow::Result<(Classifier, ClassNames, MeasuredPart, Dataset)> {
    let classifier = Classifier::load_on(&arguments.weights.file()?, &machine.device)?;
    let classifier = arguments.class_names.give(classifier.with_precision(machine.precision))?;
    let (part, dataset) = match arguments.val_fraction {
        None => {
            let asked = arguments.split.map(Split::from);
            let part = open_part(&arguments.data, arguments.labels.as_deref(), asked)?;
            (MeasuredPart::of(&part), part.images)
        }
        Some(fraction) => {
            let data = arguments.choice(fraction).open(&arguments.data, Seed(arguments.seed))?;
            let sources = [&*data.validation_source, &*data.train_source];
            check_share_is_used(Some(fraction), data.held_out, sources, &arguments.data)?;
            (MeasuredPart::of_validation(&data), data.validation)
        }
    };
    let outputs = classifier.model().config().classes;
    let names = match classifier.classes() {
        none if none.is_empty() => {
            class_names::in_order(dataset.classes(), outputs, &arguments.data, arguments.weights.text())?
        }
        names => names.clone(),
    };
    Ok((classifier, names, part, dataset))
}

/// A classification with what is said and shown of it.
fn classified(
    arguments: &EvaluateArguments,
    part: MeasuredPart,
    (dataset, preprocessing): (&Dataset, Preprocessing),
    result: Evaluation,
) -> anyhow::Result<Measured> {
    let shown = result.mistakes.iter().chain(&result.samples).map(|shown| (shown.sample, &shown.image));
    let images = page::seen(arguments, (dataset, &preprocessing), shown)?;
    Ok(Measured { part, text: describe(&result), result: result.into(), images, preprocessing })
}

/// Evaluates a k-nearest-neighbour classifier on the embeddings of the training part, and counts the images of that.
fn by_neighbours(arguments: &EvaluateArguments, shared: &SharedMachine) -> anyhow::Result<(Measured, usize)> {
    let Machine { device, precision, .. } = &shared.machine;
    let (model, metadata, train, part, validation) = shared.prepare(|| {
        if arguments.has_mask_flags() || arguments.has_object_flags() {
            bail!(
                "--knn is about the classes of whole images; leave flags about masks, objects, windows, scales and mirror \
                 images out"
            );
        }
        let (model, metadata) = load_backbone(&arguments.weights.file()?, device)?;
        let (train, part, validation) = neighbours_and_asked(arguments).map_err(|error| {
            let task = &metadata.task;
            match task.is::<DetectionTask>() || task.is::<SegmentationTask>() {
                true => anyhow!("{error}; the weights are for {}, which is measured without --knn", task.kind()),
                false => error,
            }
        })?;
        Ok((model, metadata, train, part, validation))
    })?;
    let model = model.with_precision(*precision);
    let bar = image_bar(shared.quiet, train.len() + validation.len());
    let preprocessing = arguments.preprocessing(metadata.preprocessing);
    let reading = arguments.reading(shared);
    let look = |images: &Dataset, before: usize| {
        Features::of(&model, images, &preprocessing, &reading, |done| {
            bar.set_position((before + done) as u64);
        })
    };
    let (known, asked) = (look(&train, 0)?, look(&validation, train.len())?);
    bar.finish_and_clear();
    let known = (&known, train.classes());
    let asked = (&asked, &validation);
    let result = classify_by_neighbours(known, asked, arguments.neighbours, &reading.ranks)?;
    Ok((classified(arguments, part, (&validation, preprocessing), result)?, train.len()))
}

/// The training images that vote, and the images that they are asked about.
fn neighbours_and_asked(arguments: &EvaluateArguments) -> anyhow::Result<(Dataset, MeasuredPart, Dataset)> {
    let fraction = arguments.val_fraction.unwrap_or(HELD_OUT);
    let (data, test) =
        open_parts(&arguments.data, arguments.labels.as_deref(), fraction, Seed(arguments.seed))?;
    let sources = [&*data.validation_source, &*data.train_source];
    check_share_is_used(arguments.val_fraction, data.held_out, sources, &arguments.data)?;
    let asked = arguments.split.map(Split::from);
    if asked.is_none() || asked == data.validation_split {
        return Ok((data.train.clone(), MeasuredPart::of_validation(&data), data.validation));
    }
    match test.filter(|test| test.split == asked) {
        Some(test) => Ok((data.train, MeasuredPart::of(&test), test.images)),
        None => bail!(
            "{} has no such part to ask the neighbours about; leave --split out, or name a part beside the training images",
            arguments.data.display()
        ),
    }
}

fn describe(result: &Evaluation) -> String {
    let row = |class: &ClassResult| {
        let counts = [class.images, class.predicted, class.correct].map(|count| count.to_string());
        [vec![class.label.clone()], counts.into(), percents(class.scores)].concat()
    };
    let mut rows: Vec<Vec<String>> = result.classes.iter().map(row).collect();
    let without_counts = ["macro average", "", "", ""].map(str::to_owned).to_vec();
    rows.push([without_counts, percents(result.macro_average)].concat());
    let heads = ["class", "images", "predicted", "correct", "precision", "recall", "F1"];
    let classes = table(&heads, 1, rows);
    let metrics: Vec<String> = result.metrics().iter().map(Metric::to_string).collect();
    format!("{classes}\n\n{}: {}", counted(result.images, "image", "images"), metrics.join(", "))
}
