//! From a name or a file, and settings of the user's, to a recipe.

use std::fs::File;
use std::io::{self, Read};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use crate::TrainError;

/// A recipe that is compiled in: its name and its text.
pub(super) type BuiltIn = (&'static str, &'static str);

/// The built-in recipes of pre-training.
pub(super) const PRETRAINING: [BuiltIn; 4] = [
    ("plain", include_str!("../../recipes/pretrain-plain.toml")),
    ("digits", include_str!("../../recipes/pretrain-digits.toml")),
    ("paper", include_str!("../../recipes/pretrain-paper.toml")),
    ("paper-1600", include_str!("../../recipes/pretrain-paper-1600.toml")),
];
/// The built-in recipes of supervised training.
pub(super) const FINETUNING: [BuiltIn; 10] = [
    ("plain", include_str!("../../recipes/finetune-plain.toml")),
    ("digits", include_str!("../../recipes/finetune-digits.toml")),
    ("paper-atto", include_str!("../../recipes/finetune-paper-atto.toml")),
    ("paper-femto", include_str!("../../recipes/finetune-paper-femto.toml")),
    ("paper-pico", include_str!("../../recipes/finetune-paper-pico.toml")),
    ("paper-nano", include_str!("../../recipes/finetune-paper-nano.toml")),
    ("paper-tiny", include_str!("../../recipes/finetune-paper-tiny.toml")),
    ("paper-base", include_str!("../../recipes/finetune-paper-base.toml")),
    ("paper-large", include_str!("../../recipes/finetune-paper-large.toml")),
    ("paper-huge", include_str!("../../recipes/finetune-paper-huge.toml")),
];

/// The recipe that is asked for, as a table.
pub(super) fn read(built_in: &[BuiltIn], choice: &str) -> Result<Table, TrainError> {
    let fail = |why: String| recipe_error(choice, why);
    let text = match built_in.iter().find(|(name, _)| *name == choice) {
        Some((_, text)) => (*text).to_owned(),
        None => read_file(choice).map_err(|error| {
            let names: Vec<&str> = built_in.iter().map(|(name, _)| *name).collect();
            fail(format!("{error}; give the path of a TOML file, or one of: {}", names.join(", ")))
        })?,
    };
    toml::from_str(&text).map_err(|error| fail(error.to_string()))
}

/// No recipe is longer than this many bytes.
const LONGEST_FILE: u64 = 1 << 20;

fn read_file(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(io::Error::other("it is too long for a recipe"));
    }
    Ok(text)
}

pub(super) fn parse<R: DeserializeOwned>(
    choice: &str,
    mut table: Table,
    settings: &[String],
) -> Result<R, TrainError> {
    let fail = |why: String| recipe_error(choice, why);
    for setting in settings {
        set(&mut table, setting).map_err(fail)?;
    }
    table.try_into().map_err(|error: toml::de::Error| fail(error.to_string()))
}

pub(super) fn recipe_error(choice: &str, why: String) -> TrainError {
    TrainError::Recipe { name: choice.to_owned(), why }
}

/// Replaces one key of a table: `a.b=value`. What is no TOML value is taken as text.
pub(super) fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let (path, text) =
        setting.split_once('=').ok_or_else(|| format!("'{setting}' is not of the form key=value"))?;
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = path.trim().split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut place = table;
    for key in keys {
        let next = place.entry(key).or_insert_with(|| Value::Table(Table::new()));
        place = next.as_table_mut().ok_or_else(|| format!("'{path}': '{key}' is no table"))?;
    }
    insert(place, last, value);
    Ok(())
}

/// Sets a key. Of the two ways to give a learning rate the last one counts.
pub(super) fn insert(table: &mut Table, key: &str, value: Value) {
    match key {
        "learning_rate" => table.remove("base_learning_rate"),
        "base_learning_rate" => table.remove("learning_rate"),
        _ => None,
    };
    table.insert(key.to_owned(), value);
}
