//! Settings in which runs differ.

use std::collections::{BTreeMap, BTreeSet};

use convnext_train::WITHOUT_EFFECT;
use serde::Serialize;
use toml::{Table, Value};

/// A setting that is not the same in all runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingDifference {
    /// Its dotted key in `config.toml`.
    pub key: String,
    /// Its value in each run, as in TOML but without quotes; `None` where it is not set.
    pub values: Vec<Option<String>>,
}

/// The settings in which some of these configurations differ, by their keys.
pub(super) fn differences(configs: &[&Table]) -> Vec<SettingDifference> {
    let flat: Vec<BTreeMap<String, String>> = configs
        .iter()
        .map(|config| {
            let mut values = BTreeMap::new();
            flatten("", config, &mut values);
            values
        })
        .collect();
    let keys: BTreeSet<&String> = flat.iter().flat_map(BTreeMap::keys).collect();
    let of_key = |key: &String| SettingDifference {
        key: key.clone(),
        values: flat.iter().map(|values| values.get(key).cloned()).collect(),
    };
    let differs =
        |difference: &SettingDifference| difference.values.windows(2).any(|pair| pair[0] != pair[1]);
    keys.into_iter()
        .filter(|key| !WITHOUT_EFFECT.contains(&key.as_str()))
        .map(of_key)
        .filter(differs)
        .collect()
}

fn flatten(prefix: &str, table: &Table, values: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, values),
            Value::String(text) => drop(values.insert(shared(path), text.clone())),
            other => drop(values.insert(shared(path), other.to_string())),
        }
    }
}

/// The key that an autoencoder and a classifier share: the encoder of the one is the model of the other.
fn shared(key: String) -> String {
    key.strip_prefix("model.encoder.").map_or(key.clone(), |rest| format!("model.{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_listed_and_nothing_else() {
        let configs: Vec<Table> = [
            "seed = 1\nout = 'a'\ndata = 'x'\n[model]\nname = 'atto'\n[recipe]\nclaim = 'good'\n[recipe.training]\nema = 0.5",
            "seed = 1\nout = 'b'\ndata = 'y'\n[model.encoder]\nname = 'atto'\n[recipe]\nclaim = 'bad'\n[recipe.training]\nbatch_size = 4",
        ]
        .iter()
        .map(|text| toml::from_str(text).unwrap())
        .collect();
        let found = differences(&configs.iter().collect::<Vec<_>>());
        let expected = [
            ("data", [Some("x"), Some("y")]),
            ("recipe.training.batch_size", [None, Some("4")]),
            ("recipe.training.ema", [Some("0.5"), None]),
        ];
        let expected = expected.map(|(key, values)| SettingDifference {
            key: key.to_owned(),
            values: values.map(|value| value.map(str::to_owned)).to_vec(),
        });
        assert_eq!(found, expected);
    }
}
