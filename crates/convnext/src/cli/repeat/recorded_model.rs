//! The arguments that make the model of a recorded configuration.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::Context;
use convnext::core::{CUSTOM, ModelConfig, ModelSize, find_model};
use convnext::train::read_metadata;
use toml::{Table, Value};

use super::argument::{Argument, nested};
use crate::cli::blocks::{arguments_of_blocks, arguments_of_changed_blocks};
use crate::cli::stages::arguments_of_stages;

/// Arguments that make the recorded backbone: its name where it does not come from weights, and its channels.
pub(super) fn model_arguments(settings: &Table, init: Option<&OsStr>) -> anyhow::Result<Vec<Argument>> {
    let is_recorded_start = init.is_none() && settings.contains_key("init");
    if init.is_some_and(|init| init != "none") {
        return Ok(changed_blocks(settings));
    }
    let model: ModelConfig = (backbone(settings).context("the recorded run has no model")?.clone())
        .try_into()
        .context("the recorded model cannot be read")?;
    let channels = ("--channels", model.input_channels.to_string().into());
    let blocks = arguments_of_blocks(&model).map(|(flag, value)| (flag, OsString::from(value)));
    if is_recorded_start {
        return Ok(blocks.into_iter().chain([channels]).collect());
    }
    let name = base_of(&model);
    let named = find_model(name)?.config();
    let mut found =
        vec![("--model", name.into()), ("--stem-stride", model.stem_stride.to_string().into()), channels];
    if (named.depths, named.widths) != (model.depths, model.widths) {
        found.extend(arguments_of_stages(&model).map(|(flag, value)| (flag, OsString::from(value))));
    }
    if (model.response_norm, model.layer_scale) != (named.response_norm, named.layer_scale) {
        found.extend(blocks);
    }
    Ok(found)
}

/// The model that a run named, or one of the family of a model with stages of its own.
fn base_of(model: &ModelConfig) -> &str {
    match (model.name == CUSTOM, model.response_norm) {
        (false, _) => &model.name,
        (true, Some(_)) => "micro",
        (true, None) => "v1-micro",
    }
}

/// Arguments for what the run changed in the blocks that it started from, as a start from other weights needs them.
fn changed_blocks(settings: &Table) -> Vec<Argument> {
    let model: Option<ModelConfig> = backbone(settings).and_then(|model| model.clone().try_into().ok());
    let Some(model) = model else { return Vec::new() };
    let init = settings.get("init").and_then(Value::as_str);
    let of_weights = init.and_then(|init| read_metadata(Path::new(init)).ok()?.convnext().ok());
    // From scratch, or without its weights: the blocks that the name stands for.
    let start = of_weights.or_else(|| find_model(base_of(&model)).ok().map(ModelSize::config));
    let changes = start.map(|start| arguments_of_changed_blocks(&start, &model)).unwrap_or_default();
    changes.into_iter().map(|(flag, value)| (flag, value.into())).collect()
}

fn backbone(settings: &Table) -> Option<&Value> {
    nested(settings, &["model", "encoder"]).or_else(|| settings.get("model"))
}
