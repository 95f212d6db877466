//! The arguments that make the model of a recorded configuration.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::{Context, anyhow};
use convnext::core::{CUSTOM, ModelConfig, ModelSize, WeightMetadata, find_model};
use convnext::train::read_metadata;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::argument::{Argument, nested};
use crate::cli::blocks::{arguments_of_blocks, arguments_of_changed_blocks};
use crate::cli::stages::arguments_of_stages;

/// Arguments that make the recorded backbone: its name where it does not come from weights, and its channels.
///
/// # Errors
/// When it cannot be read, or no argument names it.
pub(super) fn model_arguments(settings: &Table, init: Option<&OsStr>) -> anyhow::Result<Vec<Argument>> {
    let model = recorded_backbone(settings)?;
    let is_recorded_start = init.is_none() && settings.contains_key("init");
    if init.is_some_and(|init| init != "none") {
        return Ok(changed_blocks(settings, &model));
    }
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

/// The recorded backbone.
///
/// # Errors
/// When there is none, or it cannot be read. Whoever knows the file names it.
pub(super) fn recorded_backbone(settings: &Table) -> anyhow::Result<ModelConfig> {
    let model = nested(settings, &["model", "encoder"]).or_else(|| settings.get("model"));
    recorded_part("model", model.context("no model is recorded")?)
}

/// A part of the record, which `what` names.
///
/// # Errors
/// When it cannot be read, with the reason.
pub(super) fn recorded_part<T: DeserializeOwned>(what: &str, value: &Value) -> anyhow::Result<T> {
    let damaged = |error: toml::de::Error| {
        anyhow!("the recorded {what} cannot be read: {}; restore the file", error.message())
    };
    value.clone().try_into().map_err(damaged)
}

/// What the weights that the run began with say about themselves; `None` from scratch, and where they cannot be read any
/// more.
pub(super) fn recorded_weights(settings: &Table) -> Option<WeightMetadata> {
    let init = settings.get("init").and_then(Value::as_str)?;
    read_metadata(Path::new(init)).ok()
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
fn changed_blocks(settings: &Table, model: &ModelConfig) -> Vec<Argument> {
    let of_weights = recorded_weights(settings).and_then(|weights| weights.convnext().ok());
    // From scratch, or without its weights: the blocks that the name stands for.
    let start = of_weights.or_else(|| find_model(base_of(model)).ok().map(ModelSize::config));
    let changes = start.map(|start| arguments_of_changed_blocks(&start, model)).unwrap_or_default();
    changes.into_iter().map(|(flag, value)| (flag, value.into())).collect()
}
