//! `convnext models --task detect`: Mask R-CNN on each backbone.

use convnext::core::{Cost, Family, ImageSize, MaskRcnnConfig, ModelConfig, ModelSize};
use serde::Serialize;

use crate::cli::output::{print_json, print_text, table, thousands};

/// Size of the paper's Table 6.
const SIZE: ImageSize = ImageSize { height: 1280, width: 800 };

/// Classes of COCO.
const CLASSES: usize = 80;

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    family: Family,
    head_width: usize,
    box_width: usize,
    classes: usize,
    parameters: u64,
    costs: [SizeCost; 1],
}

#[derive(Debug, Serialize)]
struct SizeCost {
    image_size: ImageSize,
    macs: u64,
    flops: u64,
}

/// Prints the networks on these backbones, with a head width and a box width of their own or of each backbone's default.
pub(super) fn list(models: &[ModelSize], widths: [Option<usize>; 2], json: bool) -> anyhow::Result<()> {
    let rows = models.iter().map(|size| row(size, widths)).collect::<anyhow::Result<Vec<Row>>>()?;
    if json {
        return print_json(&rows);
    }
    let head = ["backbone", "family", "head width", "box width", "parameters", "MACs", "FLOPs 1280x800"];
    print_text(&table(&head, 2, rows.iter().map(cells).collect()))
}

fn row(size: &ModelSize, [head_width, box_width]: [Option<usize>; 2]) -> anyhow::Result<Row> {
    let backbone = ModelConfig { classes: CLASSES, ..size.config() };
    let default = MaskRcnnConfig::of_backbone(&backbone);
    let head = MaskRcnnConfig {
        head_width: head_width.unwrap_or(default.head_width),
        box_width: box_width.unwrap_or(default.box_width),
        ..default
    };
    head.validate()?;
    let Cost { parameters, macs, flops } = head.cost(&backbone, SIZE)?;
    Ok(Row {
        name: size.name,
        family: size.family,
        head_width: head.head_width,
        box_width: head.box_width,
        classes: CLASSES,
        parameters,
        costs: [SizeCost { image_size: SIZE, macs, flops }],
    })
}

fn cells(row: &Row) -> Vec<String> {
    let [SizeCost { macs, flops, .. }] = row.costs;
    let billions = |value: u64| format!("{:.2} G", value as f64 / 1e9);
    vec![
        row.name.to_owned(),
        format!("{:?}", row.family),
        row.head_width.to_string(),
        row.box_width.to_string(),
        thousands(row.parameters),
        billions(macs),
        billions(flops),
    ]
}
