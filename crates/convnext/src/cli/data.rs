//! `convnext data`

mod arguments;
mod convert;
mod image_lines;
mod masks;
mod objects;
mod pack;
mod split;

use anyhow::bail;
use clap::{Args, Subcommand};
use convnext::core::{Limits, Seed, counted, format_limits};
use convnext::data::{
    ChannelValues, DataError, Dataset, HELD_OUT, LabelledData, MIN_LEVELS, Part, Split, Survey,
    SurveyOptions, open_parts, open_unlabelled, survey,
};
use convnext::write_contact_sheet;
use serde::Serialize;

use self::arguments::{CheckArguments, CheckedTask};
use self::convert::ConvertArguments;
use self::image_lines::image_lines;
use self::pack::PackArguments;
use self::split::SplitArguments;
use super::output::{counted_in_thousands, print_json, print_text, print_then_write, table, thousands};
use super::progress::image_bar;

/// Look at a set of images, divide it, or pack it for fast reading
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  convnext data check photos
  convnext data split photos divided
  convnext data pack photos packed
  convnext data convert nuclei coco --to coco")]
pub(crate) struct DataArguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    Check(CheckArguments),
    Split(SplitArguments),
    Pack(PackArguments),
    Convert(ConvertArguments),
}

pub(crate) fn run(arguments: &DataArguments, quiet: bool) -> anyhow::Result<()> {
    match &arguments.command {
        DataCommand::Check(arguments) => run_check(arguments, quiet),
        DataCommand::Split(arguments) => split::run(arguments, quiet),
        DataCommand::Pack(arguments) => pack::run(arguments, quiet),
        DataCommand::Convert(arguments) => convert::run(arguments, quiet),
    }
}

fn run_check(arguments: &CheckArguments, quiet: bool) -> anyhow::Result<()> {
    let is_labelled = arguments.unlabelled || arguments.labels.is_some();
    if arguments.masks.are_given() && arguments.task != CheckedTask::Segment {
        bail!("--classes, --ignore-index and --reduce-zero-label are for --task segment");
    }
    if arguments.objects.are_given() && arguments.task != CheckedTask::Detect {
        bail!("--annotations, --crowd-as-object and --allow-missing are for --task detect");
    }
    match arguments.task {
        CheckedTask::Detect if arguments.decoding.ignore_orientation => {
            bail!(
                "--ignore-orientation is not for --task detect: images are turned as their annotations say; leave it out"
            );
        }
        CheckedTask::Segment if is_labelled => {
            bail!("--unlabelled and --labels are not for --task segment, whose labels are masks");
        }
        CheckedTask::Detect if is_labelled => {
            bail!(
                "--unlabelled and --labels are not for --task detect, whose labels are annotations of objects"
            );
        }
        CheckedTask::Segment => return masks::run(arguments, HELD_OUT, quiet),
        CheckedTask::Detect => return objects::run(arguments, HELD_OUT, quiet),
        CheckedTask::Classification => {}
    }
    let data = &arguments.data;
    let checked = checked_parts(arguments)?;
    let parts: Vec<(&str, &Dataset)> = checked.iter().map(|part| (part.name, &part.images)).collect();
    let options = SurveyOptions::default();
    let options = SurveyOptions {
        threads: arguments.threads.unwrap_or(options.threads),
        thumbnails_per_class: arguments.images,
        channels: arguments.channels.unwrap_or(options.channels),
        orientation: arguments.decoding.orientation(),
    };
    let bar = image_bar(quiet, parts.iter().map(|(_, images)| images.len()).sum());
    let found = survey(&parts, options, |done| bar.set_position(done as u64))?;
    bar.finish_and_clear();
    let taken: Vec<Taken> = checked.into_iter().map(|part| part.taken).collect();
    warn_of_few_levels(&found);
    print_then_write(
        || match arguments.json {
            true => print_json(&Checked { taken: &taken, found: &found }),
            false => print_text(&described(&found, &taken)),
        },
        || Ok(write_contact_sheet(&arguments.out, &data.display().to_string(), &found)?),
        (!arguments.json).then(|| format!("wrote {}", arguments.out.display())),
    )?;
    if !found.corrupt.is_empty() {
        bail!(
            "{} of {} images cannot be read; they are listed above and in {}",
            found.corrupt.len(),
            found.images,
            arguments.out.display()
        );
    }
    Ok(())
}

/// A part that is looked at.
struct CheckedPart {
    name: &'static str,
    images: Dataset,
    taken: Taken,
}

/// Source of the images of a part.
#[derive(Serialize)]
struct Taken {
    part: &'static str,
    source: String,
    /// Remark on the source, or empty.
    note: String,
}

/// JSON output of `convnext data check`.
#[derive(Serialize)]
struct Checked<'a> {
    taken: &'a [Taken],
    #[serde(flatten)]
    found: &'a Survey,
}

/// The parts as `finetune` takes them by default, and one for a last test.
fn checked_parts(arguments: &CheckArguments) -> anyhow::Result<Vec<CheckedPart>> {
    let CheckArguments { data, labels, .. } = arguments;
    let part = |name, images, source, note: &str| {
        let note = note.to_owned();
        CheckedPart { name, images, taken: Taken { part: name, source, note } }
    };
    if arguments.unlabelled {
        return Ok(vec![part("all", open_unlabelled(data)?, data.display().to_string(), "")]);
    }
    let opened = open_parts(data, labels.as_deref(), HELD_OUT, Seed::default());
    if let Err(DataError::NoClasses { .. }) = opened {
        let note =
            "no class folders, so checked as unlabelled data: enough for `pretrain`, not for `finetune`";
        return Ok(vec![part("all", open_unlabelled(data)?, data.display().to_string(), note)]);
    }
    let (LabelledData { train, validation, validation_split, train_source, validation_source, .. }, test) =
        opened?;
    let held_out =
        format!("{:.0} % of each class, because there is no part for validation", 100.0 * HELD_OUT);
    let (name, note) = match validation_split {
        None => ("held out", &*held_out),
        Some(Split::Test) => ("validation", "the part for a test, because there is none for validation"),
        Some(_) => ("validation", ""),
    };
    let mut parts =
        vec![part("train", train, train_source, ""), part(name, validation, validation_source, note)];
    if let Some(Part { images, source, .. }) = test {
        parts.push(part("test", images, source, "for `evaluate --split test` alone"));
    }
    Ok(parts)
}

fn described(found: &Survey, taken: &[Taken]) -> String {
    let mut lines = Vec::new();
    if !found.classes.is_empty() {
        let head: Vec<&str> =
            ["class"].into_iter().chain(found.parts.iter().map(|part| part.name.as_str())).collect();
        let row = |(class, name): (usize, &String)| {
            let counts = found.parts.iter().map(|part| thousands(part.images_per_class[class] as u64));
            [name.clone()].into_iter().chain(counts).collect()
        };
        lines.push(table(&head, 1, found.classes.iter().enumerate().map(row).collect()));
    }
    for (part, Taken { source, note, .. }) in found.parts.iter().zip(taken) {
        let classes = part.images_per_class.iter().filter(|&&images| images > 0).count();
        let classes = if found.classes.is_empty() {
            String::new()
        } else {
            format!(" of {}", counted(classes, "class", "classes"))
        };
        let note = if note.is_empty() { String::new() } else { format!(" ({note})") };
        let images = counted_in_thousands(part.images, "image", "images");
        lines.push(format!("{}: {images}{classes} from {source}{note}", part.name));
    }
    if let Some(sizes) = &found.sizes {
        let side = sizes.short_side;
        lines.push(format!("short sides from {} to {} pixels, median {}", side.min, side.max, side.median));
    }
    lines.extend(value_lines(found));
    lines.extend(image_lines(found, "parts or classes"));
    lines.join("\n")
}

/// The types of the values, and what of their range is used. Of images of 8 bit there is nothing to choose.
fn value_lines(found: &Survey) -> Vec<String> {
    let types: Vec<String> =
        found.types.iter().map(|(kind, images)| format!("{} {kind}", thousands(*images as u64))).collect();
    let mut lines = vec![format!("values: {}", types.join(", "))];
    if is_eight_bit(found) {
        let used: Vec<Limits> = found.values.iter().map(|values| [values.least, values.most]).collect();
        lines[0].push_str(&format!(", from {}", format_limits(&used)));
        return lines;
    }
    for (channel, values) in found.values.iter().enumerate() {
        let ChannelValues { least, most, usual, levels_of_type, levels_of_data } = values;
        lines.push(format!(
            "  channel {channel}: {}; --range dtype leaves {levels_of_type} of 256 levels, --range data ({}) \
             {levels_of_data}",
            format_limits(&[[*least, *most]]),
            format_limits(&[*usual]),
        ));
    }
    lines
}

fn is_eight_bit(found: &Survey) -> bool {
    found.types.keys().all(|kind| kind == "8-bit")
}

/// Warns where most of the range of the type is not used.
fn warn_of_few_levels(found: &Survey) {
    if is_eight_bit(found) {
        return;
    }
    let fewest = found.values.iter().map(|values| values.levels_of_type).min();
    if let Some(levels) = fewest.filter(|&levels| levels < MIN_LEVELS) {
        log::warn!(
            "the whole range of the type leaves {levels} of 256 levels; train with --range data, as is the default for \
             images of more than 8 bit, or with --range MIN,MAX"
        );
    }
}
