//! Is a run that goes on still the same run?

use toml::{Table, Value};

use crate::old_runs;

/// Whether a run is new or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Continue {
    /// It is new; its folder must be.
    #[default]
    New,
    /// It goes on with the settings that it began with, or begins if there is nothing to go on with.
    Resumed,
    /// It goes on, perhaps for more epochs.
    Extended,
}

/// What decides nothing: where a run stands, and why its recipe is what it is.
const WITHOUT_EFFECT: [&str; 2] = ["out", "recipe.reasons"];

/// What earlier versions did not record: where it is not set, nothing is known to have changed.
const RECORDED_LATER: [&str; 1] = ["validation_checksum"];

/// What may grow when a run is extended; the warm-up keeps its share of it.
const LENGTH: [&str; 2] = ["recipe.training.epochs", "recipe.training.warmup_epochs"];

/// Every key whose value differs, in words; keys are dotted. A run may have begun with an earlier version.
pub(crate) fn changes(begun: &Table, now: &Table, how: Continue) -> Vec<String> {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    flatten("", &old_runs::in_words_of_today(begun.clone()), &mut before);
    flatten("", now, &mut after);
    let find = |list: &[(String, Value)], key: &str| {
        list.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = before.iter().chain(&after).map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut found = Vec::new();
    for key in keys {
        let (was, is) = (find(&before, key), find(&after, key));
        let longer = how == Continue::Extended
            && LENGTH.contains(&key.as_str())
            && was.as_ref().and_then(Value::as_float) <= is.as_ref().and_then(Value::as_float);
        let unknown = was.is_none() && RECORDED_LATER.contains(&key.as_str());
        if was == is || WITHOUT_EFFECT.contains(&key.as_str()) || longer || unknown {
            continue;
        }
        let describe = |value: Option<Value>| value.map_or("not set".to_owned(), |value| value.to_string());
        found.push(format!("{key} was {}, is {}", describe(was), describe(is)));
    }
    found
}

fn flatten(prefix: &str, table: &Table, list: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flatten(&path, inner, list),
            other => list.push((path, other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(begun: &str, now: &str, how: Continue) -> Vec<String> {
        changes(&toml::from_str(begun).unwrap(), &toml::from_str(now).unwrap(), how)
    }

    #[test]
    fn every_change_is_named() {
        let begun = "seed = 1\nout = 'a'\n[recipe.training]\nema = 0.5\nbetas = [0.9, 0.95]";
        let now = "seed = 2\nout = 'b'\ninit = 'w'\n[recipe]\nreasons = ['why']\n[recipe.training]\nbetas = [0.9, 0.99]";
        let expected = [
            "init was not set, is \"w\"",
            "recipe.training.betas was [0.9, 0.95], is [0.9, 0.99]",
            "recipe.training.ema was 0.5, is not set",
            "seed was 1, is 2",
        ];
        assert_eq!(compare(begun, now, Continue::Resumed), expected);
        assert!(compare(begun, begun, Continue::Resumed).is_empty());
    }

    #[test]
    fn what_an_earlier_version_did_not_record_is_no_change() {
        let with = |checksum: &str| format!("seed = 1\nvalidation_checksum = '{checksum}'");
        let compare = |begun: &str, now: &str| compare(begun, now, Continue::Resumed);
        assert!(compare("seed = 1", &with("a")).is_empty());
        assert_eq!(compare(&with("a"), &with("b")), ["validation_checksum was \"a\", is \"b\""]);
        assert_eq!(compare(&with("a"), "seed = 1"), ["validation_checksum was \"a\", is not set"]);
    }

    #[test]
    fn only_an_extended_run_may_grow_and_none_may_shrink() {
        let length = |epochs: f64| format!("[recipe.training]\nepochs = {epochs:?}");
        let grow = |how| compare(&length(2.0), &length(3.0), how);
        assert!(grow(Continue::Extended).is_empty());
        assert_eq!(grow(Continue::Resumed), ["recipe.training.epochs was 2.0, is 3.0"]);
        assert_eq!(compare(&length(3.0), &length(2.0), Continue::Extended).len(), 1);
    }
}
