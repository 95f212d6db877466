//! `convnext data check --task detect`

use std::path::Path;

use anyhow::bail;
use convnext::core::{Seed, counted};
use convnext::data::{
    AnnotationRemark, DetectionSurvey, Survey, SurveyOptions, SurveyedObjects, survey, survey_detection,
};
use convnext::write_object_sheet;
use serde::Serialize;

use super::arguments::CheckArguments;
use super::image_lines::image_lines;
use crate::cli::absent::absent;
use crate::cli::output::{counted_in_thousands, print_json, print_text, print_then_write, table, thousands};
use crate::cli::progress::image_bar;

/// JSON output of `convnext data check --task detect`.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    objects: &'a DetectionSurvey,
    /// Of the images; `null` where the annotations are refused.
    found: Option<&'a Survey>,
}

pub(super) fn run(arguments: &CheckArguments, held_out: f64, quiet: bool) -> anyhow::Result<()> {
    let CheckArguments { data, objects, out, .. } = arguments;
    let layout = objects.layout(None, Some(held_out));
    let bar = image_bar(quiet, 0);
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let objects = survey_detection(data, &layout, Seed::default(), arguments.threads, progress)?;
    bar.finish_and_clear();
    let found = images(arguments, &objects, quiet)?;
    let used = objects.data.is_some().then_some(&found);
    print_then_write(
        || match arguments.json {
            true => print_json(&Checked { objects: &objects, found: used }),
            false => print_text(&described(&objects, used)),
        },
        || Ok(write_object_sheet(out, &data.display().to_string(), &found, &objects, arguments.images)?),
        (!arguments.json).then(|| format!("wrote {}", out.display())),
    )?;
    refuse(&objects, used, out)
}

/// Looks at the images of all parts.
fn images(arguments: &CheckArguments, objects: &DetectionSurvey, quiet: bool) -> anyhow::Result<Survey> {
    let options = SurveyOptions::default();
    let options = SurveyOptions {
        threads: arguments.threads.unwrap_or(options.threads),
        thumbnails_per_class: 0,
        channels: arguments.channels.unwrap_or(options.channels),
        ..options
    };
    let mut parts = Vec::new();
    if let Some(data) = &objects.data {
        let held_out = if data.held_out { "held out" } else { "validation" };
        parts.extend([("train", data.train.images()), (held_out, data.validation.images())]);
        parts.extend(data.test.as_ref().map(|test| ("test", test.images())));
    }
    let bar = image_bar(quiet, parts.iter().map(|(_, images)| images.len()).sum());
    let found = survey(&parts, options, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(found)
}

fn described(objects: &DetectionSurvey, found: Option<&Survey>) -> String {
    let mut lines = Vec::new();
    if !objects.classes.is_empty() {
        lines.push(classes(objects));
    }
    lines.extend(objects.parts.iter().map(part));
    if let Some([small, large]) = objects.sizes {
        let range = if small == large {
            small.with_unit()
        } else {
            format!("{} to {}", small.with_unit(), large.with_unit())
        };
        lines.push(format!("images of {range}"));
    }
    lines.extend(objects.decisions.clone());
    lines.extend(objects.remarks.iter().map(AnnotationRemark::sentence));
    lines.extend(
        objects
            .parts
            .first()
            .and_then(|train| absent((train.name, "object"), &train.objects_per_class, &objects.classes)),
    );
    lines.extend(objects.unusable.iter().map(|file| format!("cannot be used: {}: {}", file.name, file.why)));
    lines.extend(objects.refusal.clone());
    lines.extend(found.into_iter().flat_map(|found| image_lines(found, "parts")));
    lines.join("\n")
}

/// Objects of each class by their size, and images that have some, in each part.
fn classes(objects: &DetectionSurvey) -> String {
    let parts = objects.parts.iter().flat_map(|part| {
        [part.name.to_owned(), "small".into(), "medium".into(), "large".into(), "images".into()]
    });
    let head: Vec<String> = ["class".to_owned()].into_iter().chain(parts).collect();
    let rows = objects.classes.iter().enumerate().map(|(class, name)| {
        let counts = objects.parts.iter().flat_map(|part| {
            let sizes = part.sizes_per_class[class];
            let counts =
                [part.objects_per_class[class], sizes[0], sizes[1], sizes[2], part.images_per_class[class]];
            counts.map(thousands)
        });
        [name.clone()].into_iter().chain(counts).collect()
    });
    table(&head.iter().map(String::as_str).collect::<Vec<_>>(), 1, rows.collect())
}

fn part(part: &SurveyedObjects) -> String {
    let images = counted_in_thousands(part.images, "image", "images");
    let source = if part.source.is_empty() { String::new() } else { format!(" from {}", part.source) };
    let objects: u64 = part.objects_per_class.iter().sum();
    let [fewest, median, most] = part.objects_per_image;
    let empty = match part.empty_images {
        0 => String::new(),
        empty => format!(", {} without", counted_in_thousands(empty, "image", "images")),
    };
    let crowds = match part.crowds {
        0 => String::new(),
        crowds => format!(", {} besides", counted(crowds as usize, "crowd", "crowds")),
    };
    format!(
        "{}: {images}{source}, {} ({} with masks), {fewest} to {most} in an image, median {median}{empty}{crowds}",
        part.name,
        counted_in_thousands(objects as usize, "object", "objects"),
        thousands(part.masks),
    )
}

/// Ends with an error when a training would.
fn refuse(objects: &DetectionSurvey, found: Option<&Survey>, out: &Path) -> anyhow::Result<()> {
    let corrupt = found.map_or(0, |found| found.corrupt.len());
    if objects.refusal.is_some() {
        bail!("the annotations cannot be used; see above and {}", out.display());
    }
    if !objects.unusable.is_empty() || corrupt > 0 {
        bail!(
            "the annotations of {} of {} images cannot be used and {corrupt} images cannot be read; they are listed above \
             and in {}",
            objects.unusable.len(),
            objects.images,
            out.display()
        );
    }
    Ok(())
}
