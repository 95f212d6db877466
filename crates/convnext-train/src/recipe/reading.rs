//! From a name or a file, and settings of the user's, to a recipe.

use std::fs::File;
use std::io::{self, Read};

use convnext_core::{did_you_mean, did_you_mean_of_serde};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::input::rename_recipe;
use super::keys::{insert, set};
use crate::error::TrainError;

/// A recipe that is compiled in: its name and its text.
pub type BuiltIn = (&'static str, &'static str);

/// Recipes of a kind, from `recipes/KIND-NAME.toml`.
macro_rules! recipes {
    ($kind:literal: $($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../recipes/", $kind, "-", $name, ".toml")))),*]
    };
}

/// The built-in recipes of pre-training.
pub(super) const PRETRAINING: &[BuiltIn] =
    recipes!["pretrain": "plain", "digits", "paper", "paper-1600", "paper-384"];

/// The built-in recipes of supervised training, and what they extend.
#[rustfmt::skip]
pub(super) const FINETUNING: &[BuiltIn] = recipes!["finetune":
    "plain",
    "digits",
    "paper-atto",
    "paper-femto",
    "paper-pico",
    "paper-nano",
    "paper-tiny",
    "paper-base",
    "paper-large",
    "paper-huge",
    "paper-22k-nano",
    "paper-22k-nano-384",
    "paper-22k-tiny",
    "paper-22k-tiny-384",
    "paper-22k-base",
    "paper-22k-base-384",
    "paper-22k-large",
    "paper-22k-large-384",
    "paper-22k-huge",
    "paper-22k-huge-384",
    "paper-22k-to-1k-nano-224",
    "paper-22k-to-1k-nano-384",
    "paper-22k-to-1k-tiny-224",
    "paper-22k-to-1k-tiny-384",
    "paper-22k-to-1k-base-224",
    "paper-22k-to-1k-base-384",
    "paper-22k-to-1k-large-224",
    "paper-22k-to-1k-large-384",
    "paper-22k-to-1k-huge-384",
    "paper-22k-to-1k-huge-512",
    "paper-v2-supervised-atto",
    "paper-v2-supervised-femto",
    "paper-v2-supervised-pico",
    "paper-v2-supervised-nano",
    "paper-v2-supervised-tiny",
    "paper-v2-supervised-base",
    "paper-v2-supervised-large",
    "paper-v1-tiny",
    "paper-v1-small",
    "paper-v1-base",
    "paper-v1-base-100",
    "paper-v1-base-384",
    "paper-v1-large",
    "paper-v1-large-384",
    "paper-v1-22k-tiny",
    "paper-v1-22k-base",
    "paper-v1-22k-large",
    "paper-v1-22k-xlarge",
    "paper-v1-22k-to-1k-tiny-224",
    "paper-v1-22k-to-1k-tiny-384",
    "paper-v1-22k-to-1k-base-224",
    "paper-v1-22k-to-1k-base-384",
    "paper-v1-22k-to-1k-large-224",
    "paper-v1-22k-to-1k-large-384",
    "paper-v1-22k-to-1k-xlarge-224",
    "paper-v1-22k-to-1k-xlarge-384",
    "release-22k-to-1k",
    "release-22k",
    "release-supervised",
    "release-v1-22k",
    "release",
];

/// `true` if a built-in recipe is only there to be extended.
pub(super) fn is_base(name: &str) -> bool {
    name.starts_with("release")
}

/// The names of recipes that can be chosen.
pub(super) fn names(built_in: &'static [BuiltIn]) -> impl Iterator<Item = &'static str> {
    built_in.iter().map(|(name, _)| *name).filter(|name| !is_base(name))
}

/// A recipe that was read.
pub(super) struct Found {
    /// The recipe with all that it extends.
    pub(super) table: Table,
    /// `true` if it comes from the `config.toml` of a run, as that run used it.
    pub(super) is_recorded: bool,
}

/// The recipe that is asked for: a built-in one, a file, or the one that a run recorded in its `config.toml`.
pub(super) fn read(built_in: &'static [BuiltIn], choice: &str) -> Result<Found, TrainError> {
    let fail = |why: String| recipe_error(choice, why);
    let known = || names(built_in).collect::<Vec<_>>().join(", ");
    let text = match built_in.iter().find(|(name, _)| *name == choice && !is_base(name)) {
        Some((_, text)) => (*text).to_owned(),
        None => read_file(choice).map_err(|error| {
            let meant = did_you_mean(choice, names(built_in).chain(OTHER_CHOICES));
            fail(format!("{error}{meant}; give the path of a TOML file, or one of: {}", known()))
        })?,
    };
    let mut table: Table = toml::from_str(&text).map_err(|error| fail(error.to_string()))?;
    let recorded = table.remove(RECORDED).and_then(|recipe| recipe.try_into().ok());
    let is_recorded = recorded.is_some();
    let mut table: Table = recorded.unwrap_or(table);
    rename_recipe(&mut table);
    let own = table.clone();
    let mut extended = Vec::new();
    while let Some(base) = table.remove(EXTENDS) {
        let found = base.as_str().and_then(|base| built_in.iter().find(|(name, _)| *name == base));
        let Some((name, text)) = found.filter(|(name, _)| !extended.contains(name)) else {
            let meant = did_you_mean(base.as_str().unwrap_or_default(), names(built_in));
            return Err(fail(format!("it extends {base}{meant}; give one of: {}", known())));
        };
        extended.push(*name);
        let base: Table = toml::from_str(text).map_err(|error| fail(error.to_string()))?;
        table = extend(base, table);
    }
    if !built_in.iter().any(|(name, _)| *name == choice) {
        replace_inherited(&mut table, &own);
    }
    Ok(Found { table, is_recorded })
}

/// A rate or a warm-up that a file states under `training` is meant for a start from scratch too, unless it states one for that
/// itself: what it extends has one under `from_scratch`, which would go before it.
fn replace_inherited(table: &mut Table, own: &Table) {
    let states = |part: &str, keys: &[&str]| {
        let part = own.get(part).and_then(Value::as_table);
        part.is_some_and(|part| keys.iter().any(|key| part.contains_key(*key)))
    };
    for keys in [["learning_rate", "base_learning_rate"], ["warmup_epochs", "warmup_steps"]] {
        if states("training", &keys)
            && !states("from_scratch", &keys)
            && let Some(Value::Table(from_scratch)) = table.get_mut("from_scratch")
        {
            keys.iter().for_each(|key| {
                from_scratch.remove(*key);
            });
        }
    }
}

/// The key of the recipe in the `config.toml` of a run.
const RECORDED: &str = "recipe";

/// Choices that are no recipes of their own.
const OTHER_CHOICES: [&str; 2] = ["auto", "paper"];

/// The key with the name of the recipe that another one changes.
const EXTENDS: &str = "extends";

/// The key of a list that grows where recipes extend each other.
const DEVIATIONS: &str = "deviations";

/// A table with the keys of another one over it. Deviations add up.
fn extend(mut base: Table, over: Table) -> Table {
    for (key, value) in over {
        match (base.remove(&key), value) {
            (Some(Value::Table(inner)), Value::Table(over)) => {
                base.insert(key, Value::Table(extend(inner, over)));
            }
            (Some(Value::Array(mut list)), Value::Array(more)) if key == DEVIATIONS => {
                list.extend(more);
                base.insert(key, Value::Array(list));
            }
            (_, value) => insert(&mut base, &key, value),
        }
    }
    base
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
    table.try_into().map_err(|error: toml::de::Error| {
        let why = error.to_string();
        fail(format!("{}{}", why.trim_end(), did_you_mean_of_serde(&why)))
    })
}

pub(super) fn recipe_error(choice: &str, why: String) -> TrainError {
    TrainError::Recipe { name: choice.to_owned(), why }
}
