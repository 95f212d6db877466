//! `convnext models`

mod detection;
mod segmentation;

use anyhow::bail;
use clap::{Args, ValueEnum};
use convnext::core::{Cost, Family, ImageSize, MODELS, ModelSize, did_you_mean, find_model};
use convnext::hub::{RELEASED, Released, find_released};
use serde::Serialize;

use super::output::{print_json, print_text, table, thousands};
use super::values;

const SIZES: [usize; 3] = [224, 384, 512];

/// List the models with their exact parameters, multiply-adds and FLOPs
#[derive(Debug, Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
FLOPs are counted as in the paper: multiply-adds plus 5 for every value that a LayerNorm puts out.
All counts are for 1,000 classes, 3 input channels and stem stride 4.
With --task segment they are for UperNet with ADE20K's 150 classes, and FLOPs are counted as in the paper's \
Table 7: multiply-adds, a bias of a convolution and a ReLU 1 each, batch norm 2. Parameters include the \
auxiliary head, operations do not.
With --task detect they are for Mask R-CNN with COCO's 80 classes, by the same rule as in the paper's Table 6, with \
1000 proposals through the box head and 100 through the mask head.

Examples:
  convnext models
  convnext models atto --json
  convnext models --released
  convnext models --task segment
  convnext models atto --task segment --head-width 256 --json
  convnext models tiny --task detect"
)]
pub(crate) struct ModelsArguments {
    /// Show this model or, with --released, this checkpoint alone
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// List the released checkpoints instead, which can be named wherever weights are asked for
    #[arg(long)]
    released: bool,
    /// Networks for this task
    #[arg(long, value_name = "TASK", default_value = "classification", conflicts_with = "released")]
    task: Task,
    /// Channels of the decode head of --task segment (default: the paper's 512, and 128 below tiny), or of the pyramid and the
    /// heads of --task detect (default: the paper's 256, and 64 below tiny)
    #[arg(long, value_name = "N", value_parser = values::count)]
    head_width: Option<usize>,
    /// Hidden features of the box head of --task detect (default: the paper's 1024, and 256 below tiny)
    #[arg(long, value_name = "N", value_parser = values::count)]
    box_width: Option<usize>,
}

/// A task whose networks are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Task {
    /// A class for an image
    #[value(alias = "classify")]
    Classification,
    /// A class for every pixel
    #[value(alias = "segmentation")]
    Segment,
    /// Boxes and masks of objects
    #[value(alias = "detection")]
    Detect,
}

/// A checkpoint that can be downloaded.
#[derive(Debug, Serialize)]
struct Checkpoint {
    name: &'static str,
    repository: &'static str,
    image_size: ImageSize,
    classes: usize,
    licence: &'static str,
}

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    family: Family,
    in_paper: bool,
    depths: [usize; 4],
    widths: [usize; 4],
    parameters: u64,
    costs: Vec<SizeCost>,
}

#[derive(Debug, Serialize)]
struct SizeCost {
    image_size: usize,
    macs: u64,
    flops: u64,
}

pub(crate) fn run(arguments: &ModelsArguments) -> anyhow::Result<()> {
    if arguments.head_width.is_some() && arguments.task == Task::Classification {
        bail!("--head-width is for --task segment and --task detect; leave it out");
    }
    if arguments.box_width.is_some() && arguments.task != Task::Detect {
        bail!("--box-width is for --task detect; leave it out");
    }
    if arguments.released {
        return list_released(&released(arguments.name.as_deref())?, arguments.json);
    }
    let models = match &arguments.name {
        Some(name) => vec![*find_model(name)?],
        None => MODELS.to_vec(),
    };
    match arguments.task {
        Task::Segment => segmentation::list(&models, arguments.head_width, arguments.json),
        Task::Detect => detection::list(&models, [arguments.head_width, arguments.box_width], arguments.json),
        Task::Classification => list_classifiers(&models, arguments.json),
    }
}

fn list_classifiers(models: &[ModelSize], json: bool) -> anyhow::Result<()> {
    let rows = models.iter().map(row).collect::<anyhow::Result<Vec<Row>>>()?;
    if json {
        return print_json(&rows);
    }
    let head = [
        "model",
        "family",
        "depths",
        "widths",
        "parameters",
        "MACs 224",
        "FLOPs 224",
        "FLOPs 384",
        "FLOPs 512",
    ];
    print_text(&table(&head, 4, rows.iter().map(cells).collect()))?;
    match rows.iter().all(|row| row.in_paper) {
        true => Ok(()),
        false => print_text("\nmicro and v1-micro are ours and not in the paper."),
    }
}

/// The released checkpoints, or the one of this name.
fn released(name: Option<&str>) -> anyhow::Result<Vec<Released>> {
    let Some(name) = name else { return Ok(RELEASED.to_vec()) };
    match find_released(name) {
        Some(found) => Ok(vec![*found]),
        None => bail!(
            "no released checkpoint is called '{name}'{}; `convnext models --released` lists all",
            did_you_mean(name, RELEASED.iter().map(|released| released.name))
        ),
    }
}

fn list_released(released: &[Released], json: bool) -> anyhow::Result<()> {
    let checkpoints: Vec<Checkpoint> = (released.iter())
        .map(|&Released { name, repository, licence, image_size, classes, .. }| Checkpoint {
            name,
            repository,
            image_size,
            classes,
            licence,
        })
        .collect();
    if json {
        return print_json(&checkpoints);
    }
    let cells = |checkpoint: &Checkpoint| {
        vec![
            checkpoint.name.to_owned(),
            format!("hf:{}", checkpoint.repository),
            checkpoint.licence.to_owned(),
            checkpoint.image_size.to_string(),
            thousands(checkpoint.classes as u64),
        ]
    };
    let head = ["name", "repository", "licence", "image size", "classes"];
    print_text(&table(&head, 3, checkpoints.iter().map(cells).collect()))
}

fn row(size: &ModelSize) -> anyhow::Result<Row> {
    let config = size.config();
    let cost = |image_size: usize| {
        let Cost { macs, flops, .. } = Cost::of(&config, image_size, image_size)?;
        Ok(SizeCost { image_size, macs, flops })
    };
    Ok(Row {
        name: size.name,
        family: size.family,
        in_paper: size.in_paper,
        depths: size.depths,
        widths: config.widths,
        parameters: size.parameters,
        costs: SIZES.into_iter().map(cost).collect::<anyhow::Result<_>>()?,
    })
}

fn cells(row: &Row) -> Vec<String> {
    let list = |values: [usize; 4]| values.map(|value| value.to_string()).join("-");
    let billions = |value: u64| format!("{:.3} G", value as f64 / 1e9);
    let mut cells = vec![
        row.name.to_owned(),
        format!("{:?}", row.family),
        list(row.depths),
        list(row.widths),
        thousands(row.parameters),
        billions(row.costs[0].macs),
    ];
    cells.extend(row.costs.iter().map(|cost| billions(cost.flops)));
    cells
}
