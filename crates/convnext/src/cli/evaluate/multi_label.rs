//! `convnext evaluate` of a multi-label classifier.

use anyhow::{Context, bail};
use convnext::core::Seed;
use convnext::data::{Dataset, Split, open_label_sets, open_label_sets_part};
use convnext::multilabel::{MultiLabelClass, MultiLabelEvaluation, MultiLabelTask, evaluate_multi_label};
use convnext::train::{Metric, load_network};

use super::{EvaluateArguments, check_share_is_used};
use crate::cli::output::table;
use crate::cli::parts::MeasuredPart;
use crate::cli::progress::image_bar;
use crate::cli::{Machine, set_up};

/// Measures how well each class is told by itself.
pub(super) fn evaluate(
    arguments: &EvaluateArguments,
    quiet: bool,
) -> anyhow::Result<(MeasuredPart, MultiLabelEvaluation)> {
    let Machine { threads, device, precision } = set_up(&arguments.machine)?;
    let (model, metadata) = load_network(&arguments.weights.file()?, &device)?;
    let model = model.with_precision(precision);
    let task: MultiLabelTask = metadata.task_as()?;
    let classes = arguments.class_names.read(metadata.class_count())?.unwrap_or(task.classes);
    if classes.is_empty() {
        bail!("{} does not name its classes; name them with --class-names FILE", arguments.weights.text());
    }
    let (part, images) = images(arguments)?;
    let preprocessing = arguments.preprocessing(metadata.preprocessing);
    let loader = arguments.reading(threads).loader(&images, &preprocessing)?;
    let bar = image_bar(quiet, images.len());
    let result = evaluate_multi_label(&model, &classes, &loader, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok((part, result))
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
    check_share_is_used(Some(fraction), &data, &arguments.data)?;
    Ok((MeasuredPart::of_validation(&data), data.validation))
}

pub(super) fn describe(result: &MultiLabelEvaluation) -> String {
    let row = |class: &MultiLabelClass| {
        let precision =
            class.average_precision.map_or("-".to_owned(), |value| format!("{:.2} %", 100.0 * value));
        let counts = [class.images, class.answered, class.found].map(|count| count.to_string());
        [vec![class.label.clone()], counts.into(), vec![precision]].concat()
    };
    let heads = ["class", "images", "answers", "right", "average precision"];
    let classes = table(&heads, 1, result.classes.iter().map(row).collect());
    let metrics: Vec<String> = result.metrics().iter().map(Metric::to_string).collect();
    format!("{classes}\n\n{} images: {}", result.images, metrics.join(", "))
}
