//! `convnext evaluate` of a multi-label classifier.

use anyhow::{Context, bail};
use convnext::core::{Seed, counted};
use convnext::data::{Dataset, Split, open_label_sets, open_label_sets_part};
use convnext::multilabel::{MultiLabelClass, MultiLabelEvaluation, MultiLabelTask, evaluate_multi_label};
use convnext::train::{Metric, load_network};

use super::arguments::EvaluateArguments;
use super::page::{self, Measured};
use super::percent::{percent, percents};
use crate::cli::finetune::share::check_share_is_used;
use crate::cli::machine::Machine;
use crate::cli::output::table;
use crate::cli::parts::MeasuredPart;
use crate::cli::progress::image_bar;
use crate::cli::shared::SharedMachine;

/// Measures how well each class is told by itself.
pub(super) fn evaluate(arguments: &EvaluateArguments, shared: &SharedMachine) -> anyhow::Result<Measured> {
    let Machine { device, precision, .. } = &shared.machine;
    let (model, metadata, classes, (part, dataset)) = shared.prepare(|| {
        let (model, metadata) = load_network(&arguments.weights.file()?, device)?;
        let task: MultiLabelTask = metadata.task_as()?;
        let classes = arguments.class_names.read(metadata.class_count())?.unwrap_or(task.classes);
        if classes.is_empty() {
            bail!(
                "{} does not name its classes; name them with --class-names FILE",
                arguments.weights.text()
            );
        }
        Ok((model, metadata, classes, images(arguments)?))
    })?;
    let model = model.with_precision(*precision);
    let preprocessing = arguments.preprocessing(metadata.preprocessing);
    let loader = arguments.reading(shared).loader(&dataset, &preprocessing)?;
    let bar = image_bar(shared.quiet, dataset.len());
    let result = evaluate_multi_label(&model, &classes, &loader, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    let mistakes = result.mistakes.iter().map(|shown| (shown.sample, &shown.image));
    let shown = mistakes.chain(result.samples.iter().map(|shown| (shown.sample, &shown.image)));
    let images = page::seen(arguments, (&dataset, &preprocessing), shown)?;
    Ok(Measured { part, text: describe(&result), result: result.into(), images, preprocessing })
}

fn images(arguments: &EvaluateArguments) -> anyhow::Result<(MeasuredPart, Dataset)> {
    let labels = arguments.labels.as_deref().with_context(|| {
        format!(
            "{} tells any number of classes of an image; name the file of their lists with --labels FILE",
            arguments.weights.text()
        )
    })?;
    let Some(fraction) = arguments.val_fraction else {
        let part = open_label_sets_part(&arguments.data, labels, arguments.split.map(Split::from))?;
        return Ok((MeasuredPart::of(&part), part.images));
    };
    let data = open_label_sets(&arguments.data, labels, fraction, Seed(arguments.seed))?;
    let sources = [&*data.validation_source, &*data.train_source];
    check_share_is_used(Some(fraction), data.held_out, sources, &arguments.data)?;
    Ok((MeasuredPart::of_validation(&data), data.validation))
}

fn describe(result: &MultiLabelEvaluation) -> String {
    let row = |class: &MultiLabelClass| {
        let counts = [class.images, class.answered, class.found].map(|count| count.to_string());
        let precision = vec![percent(class.average_precision)];
        [vec![class.label.clone()], counts.into(), precision, percents(class.scores)].concat()
    };
    let metrics = result.metrics();
    let mut rows: Vec<Vec<String>> = result.classes.iter().map(row).collect();
    let without_counts = ["macro average", "", "", ""].map(str::to_owned).to_vec();
    let precision = vec![percent(metrics.first().and_then(|metric| metric.value))];
    rows.push([without_counts, precision, percents(result.macro_average)].concat());
    let heads = ["class", "images", "predicted", "correct", "average precision", "precision", "recall", "F1"];
    let metrics: Vec<String> = metrics.iter().map(Metric::to_string).collect();
    let images = counted(result.images, "image", "images");
    format!("{}\n\n{images}: {}", table(&heads, 1, rows), metrics.join(", "))
}
