//! `convnext data check --task segment`

use std::path::Path;

use anyhow::bail;
use convnext::core::{Seed, counted};
use convnext::data::{SegmentationSurvey, Survey, SurveyOptions, survey, survey_masks};
use convnext::write_mask_sheet;
use serde::Serialize;

use super::arguments::CheckArguments;
use super::image_lines::image_lines;
use crate::cli::absent::{absent, first};
use crate::cli::output::{counted_in_thousands, print_json, print_text, print_then_write, table};
use crate::cli::progress::image_bar;

/// JSON output of `convnext data check --task segment`.
#[derive(Serialize)]
struct Checked<'a> {
    #[serde(flatten)]
    masks: &'a SegmentationSurvey,
    /// Of the images; `null` where the masks are refused.
    found: Option<&'a Survey>,
}

pub(super) fn run(arguments: &CheckArguments, held_out: f64, quiet: bool) -> anyhow::Result<()> {
    let CheckArguments { data, masks, out, .. } = arguments;
    let layout = masks.layout(None, Some(held_out), arguments.decoding.orientation());
    let bar = image_bar(quiet, 0);
    let progress = |done: usize, all: usize| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    };
    let masks = survey_masks(data, &layout, Seed::default(), arguments.threads, progress)?;
    bar.finish_and_clear();
    let found = images(arguments, &masks, quiet)?;
    let used = masks.data.is_some().then_some(&found);
    print_then_write(
        || match arguments.json {
            true => print_json(&Checked { masks: &masks, found: used }),
            false => print_text(&described(&masks, used)),
        },
        || Ok(write_mask_sheet(out, &data.display().to_string(), &found, &masks, arguments.images)?),
        (!arguments.json).then(|| format!("wrote {}", out.display())),
    )?;
    refuse(&masks, used, out)
}

/// Looks at the images of all parts.
fn images(arguments: &CheckArguments, masks: &SegmentationSurvey, quiet: bool) -> anyhow::Result<Survey> {
    let options = SurveyOptions::default();
    let options = SurveyOptions {
        threads: arguments.threads.unwrap_or(options.threads),
        thumbnails_per_class: 0,
        channels: arguments.channels.unwrap_or(options.channels),
        orientation: arguments.decoding.orientation(),
    };
    let mut parts = Vec::new();
    if let Some(data) = &masks.data {
        let held_out = if data.held_out { "held out" } else { "validation" };
        parts.extend([("train", data.train.images()), (held_out, data.validation.images())]);
        parts.extend(data.test.as_ref().map(|test| ("test", test.images())));
    }
    let bar = image_bar(quiet, parts.iter().map(|(_, images)| images.len()).sum());
    let found = survey(&parts, options, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    Ok(found)
}

fn described(masks: &SegmentationSurvey, found: Option<&Survey>) -> String {
    let mut lines = Vec::new();
    if !masks.classes.is_empty() {
        let parts =
            masks.parts.iter().flat_map(|part| [format!("{} pixels", part.name), "images".to_owned()]);
        let head: Vec<String> = ["class".to_owned()].into_iter().chain(parts).collect();
        let rows = masks.classes.iter().enumerate().map(|(class, name)| {
            let counts = masks.parts.iter().flat_map(|part| {
                [part.share(part.pixels_per_class[class]), part.images_per_class[class].to_string()]
            });
            [name.clone()].into_iter().chain(counts).collect()
        });
        lines.push(table(&head.iter().map(String::as_str).collect::<Vec<_>>(), 1, rows.collect()));
    }
    for part in &masks.parts {
        let images = counted_in_thousands(part.images, "image", "images");
        let source = if part.source.is_empty() { String::new() } else { format!(" from {}", part.source) };
        let ignored = part.share(part.ignored_pixels);
        lines.push(format!("{}: {images}{source}, {ignored} of the pixels ignored", part.name));
    }
    lines.extend(masks.decisions.clone());
    lines.extend(
        masks
            .parts
            .first()
            .and_then(|train| absent((train.name, "pixel"), &train.pixels_per_class, &masks.classes)),
    );
    lines.extend(mask_lines(masks));
    if let Some(found) = found {
        lines.extend(image_lines(found, "parts"));
    }
    lines.join("\n")
}

/// Kinds, sizes, values, and what is wrong.
fn mask_lines(masks: &SegmentationSurvey) -> Vec<String> {
    let mut lines = if masks.kinds.is_empty() { Vec::new() } else { value_lines(masks) };
    for (names, [one, many], partner) in
        [(&masks.images_alone, ["image", "images"], "mask"), (&masks.masks_alone, ["mask", "masks"], "image")]
    {
        if !names.is_empty() {
            lines.push(format!(
                "{} without {partner}, left out: {}",
                counted(names.len(), one, many),
                first(names)
            ));
        }
    }
    lines.extend(masks.unusable.iter().map(|file| format!("cannot be used: {}: {}", file.name, file.why)));
    lines.extend(masks.refusal.clone());
    lines
}

/// Kinds, sizes and values of the masks that can be used.
fn value_lines(masks: &SegmentationSurvey) -> Vec<String> {
    let kinds = masks.kinds.iter().map(|(kind, count)| format!("{count} {kind}"));
    let mut lines = vec![format!("masks: {}", kinds.collect::<Vec<_>>().join(", "))];
    if let Some([small, large]) = masks.sizes {
        let range = if small == large {
            small.with_unit()
        } else {
            format!("{} to {}", small.with_unit(), large.with_unit())
        };
        lines[0].push_str(&format!(", of {range}"));
    }
    let values: Vec<String> = masks.values.iter().take(64).map(|found| found.value.to_string()).collect();
    let more = masks.values.len().saturating_sub(values.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    lines.push(format!("values: {}{more}", values.join(", ")));
    lines
}

/// Ends with an error when a training would.
fn refuse(masks: &SegmentationSurvey, found: Option<&Survey>, out: &Path) -> anyhow::Result<()> {
    let corrupt = found.map_or(0, |found| found.corrupt.len());
    if masks.refusal.is_some() {
        bail!("the masks do not say which class is where; see above and {}", out.display());
    }
    if !masks.unusable.is_empty() || corrupt > 0 {
        bail!(
            "{} of {} masks cannot be used and {corrupt} images cannot be read; they are listed above and in {}",
            masks.unusable.len(),
            masks.pairs,
            out.display()
        );
    }
    Ok(())
}
