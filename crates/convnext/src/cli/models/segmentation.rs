//! `convnext models --task segment`: UperNet on each backbone.

use convnext::core::{Cost, Family, ImageSize, ModelConfig, ModelSize, UperNetConfig};
use serde::Serialize;

use crate::cli::output::{print_json, print_text, table, thousands};

/// Sizes of the paper's Table 7; the second is that of models fine-tuned on ImageNet-22k before.
const SIZES: [ImageSize; 2] =
    [ImageSize { height: 512, width: 2048 }, ImageSize { height: 640, width: 2560 }];

/// Classes of ADE20K.
const CLASSES: usize = 150;

#[derive(Debug, Serialize)]
struct Row {
    name: &'static str,
    family: Family,
    head_width: usize,
    classes: usize,
    parameters: u64,
    costs: Vec<SizeCost>,
}

#[derive(Debug, Serialize)]
struct SizeCost {
    image_size: ImageSize,
    macs: u64,
    flops: u64,
}

/// Prints the networks on these backbones, with a decode head of this width or of each backbone's default.
pub(super) fn list(models: &[ModelSize], head_width: Option<usize>, json: bool) -> anyhow::Result<()> {
    let rows = models.iter().map(|size| row(size, head_width)).collect::<anyhow::Result<Vec<Row>>>()?;
    if json {
        return print_json(&rows);
    }
    let head = ["backbone", "family", "head width", "parameters", "MACs", "FLOPs 512x2048", "FLOPs 640x2560"];
    print_text(&table(&head, 2, rows.iter().map(cells).collect()))
}

fn row(size: &ModelSize, head_width: Option<usize>) -> anyhow::Result<Row> {
    let backbone = ModelConfig { classes: CLASSES, ..size.config() };
    let default = UperNetConfig::of_backbone(&backbone);
    let head = UperNetConfig { head_width: head_width.unwrap_or(default.head_width), ..default };
    head.validate()?;
    let cost = |image_size| {
        let Cost { parameters, macs, flops } = head.cost(&backbone, image_size)?;
        Ok((parameters, SizeCost { image_size, macs, flops }))
    };
    let costs = SIZES.into_iter().map(cost).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Row {
        name: size.name,
        family: size.family,
        head_width: head.head_width,
        classes: CLASSES,
        parameters: costs[0].0,
        costs: costs.into_iter().map(|(_, cost)| cost).collect(),
    })
}

fn cells(row: &Row) -> Vec<String> {
    let billions = |value: u64| format!("{:.2} G", value as f64 / 1e9);
    let mut cells = vec![
        row.name.to_owned(),
        format!("{:?}", row.family),
        row.head_width.to_string(),
        thousands(row.parameters),
        billions(row.costs[0].macs),
    ];
    cells.extend(row.costs.iter().map(|cost| billions(cost.flops)));
    cells
}
