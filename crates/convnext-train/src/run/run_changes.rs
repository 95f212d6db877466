//! Is a run that goes on still the same run?

use toml::{Table, Value};

use crate::run::old_runs;

/// Resume mode of a run: new, or going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResumeMode {
    /// It is new; its folder must be.
    #[default]
    New,
    /// It goes on with the settings that it began with, or begins if there is nothing to go on with.
    Resumed,
    /// It goes on, perhaps for more epochs or with another patience.
    Extended,
}

/// Settings without effect on the training, as keys of `config.toml`: the place of a run, and words about its recipe.
pub const WITHOUT_EFFECT: [&str; 4] = ["out", "recipe.claim", "recipe.deviations", "recipe.reasons"];

/// Settings that earlier versions did not record: where one is not set, nothing is known to have changed.
const RECORDED_LATER: [&str; 3] =
    ["validation_checksum", "validation_masks_checksum", "validation_objects_checksum"];

/// What ends a run early. When it is extended, it may grow, come or go.
const PATIENCE: &str = "patience";

/// What decides how fast the layers of an encoder learn, unless it is frozen: earlier versions recorded it for masks and objects
/// all the same.
const LAYER_DECAY: &str = "recipe.from_weights.layer_decay.";

/// Settings that may grow when a run is extended: its length and what ends it early; warm-up and milestones keep their share of it.
const LENGTH: [&str; 7] = [
    PATIENCE,
    "recipe.training.epochs",
    "recipe.training.steps",
    "recipe.training.warmup_epochs",
    "recipe.training.warmup_steps",
    "recipe.training.curve.milestones.epochs",
    "recipe.training.curve.milestones.steps",
];

/// Keys whose values follow from those of others, with the latter: beside them they say nothing. A key stands for all that
/// end with it.
const DERIVED: [(&str, &[&str]); 6] = [
    ("_checksum", &["seed", "data"]),
    ("preprocessing.image_size", &["recipe.input.image_size"]),
    ("training.warmup_epochs", &["recipe.training.epochs"]),
    ("training.warmup_steps", &["recipe.training.steps"]),
    ("milestones.epochs", &["recipe.training.epochs"]),
    ("milestones.steps", &["recipe.training.steps"]),
];

/// Every key whose value differs, in words; keys are dotted. Of another task that is all that is said, and what follows from
/// another key that differs is left out. A run may have begun with an earlier version.
pub(crate) fn changes(begun: &Table, now: &Table, how: ResumeMode) -> Vec<String> {
    let (was, is) = (task(begun), task(now));
    if was != is {
        return vec![format!("the task was {was}, is {is}")];
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    flatten("", &old_runs::in_current_form(begun.clone()), &mut before);
    flatten("", now, &mut after);
    let find = |list: &[(String, Value)], key: &str| {
        list.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = before.iter().chain(&after).map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    let is_frozen = [begun, now].iter().all(|config| config.contains_key("freeze"));
    keys.retain(|key| !(is_frozen && key.starts_with(LAYER_DECAY)));
    let mut found = Vec::new();
    for key in keys {
        let (was, is) = (find(&before, key), find(&after, key));
        let longer = how == ResumeMode::Extended
            && LENGTH.contains(&key.as_str())
            && was.as_ref().zip(is.as_ref()).map_or(key == PATIENCE, |(was, is)| has_grown(was, is));
        let unknown = was.is_none() && RECORDED_LATER.contains(&key.as_str());
        if was == is || WITHOUT_EFFECT.contains(&key.as_str()) || longer || unknown {
            continue;
        }
        let describe = |value: Option<Value>| value.map_or("not set".to_owned(), |value| value.to_string());
        found.push((key, format!("{key} was {}, is {}", describe(was), describe(is))));
    }
    let differs = |key: &&str| found.iter().any(|(found, _)| found == key);
    let is_derived =
        |key: &str| DERIVED.iter().any(|(end, of)| key.ends_with(*end) && of.iter().any(differs));
    let told = found.iter().filter(|(key, _)| !is_derived(key));
    told.map(|(_, change)| change.clone()).collect()
}

/// `true` if a change, as [`changes`] describes it, is one that an extended run may have in the other direction.
pub(crate) fn is_of_length(change: &str) -> bool {
    LENGTH.iter().any(|key| change.strip_prefix(*key).is_some_and(|rest| rest.starts_with(" was ")))
}

/// The task of a run. Pre-training and classification do not say it; the former alone masks.
fn task(config: &Table) -> &str {
    let is_masked = config.get("recipe").is_some_and(|recipe| recipe.get("masking").is_some());
    let otherwise = if is_masked { "pre-training" } else { "classification" };
    config.get("task").and_then(Value::as_str).unwrap_or(otherwise)
}

/// `true` if a number, or each of a list of them, has grown or stayed.
fn has_grown(was: &Value, is: &Value) -> bool {
    let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|count| count as f64));
    match (was, is) {
        (Value::Array(was), Value::Array(is)) => {
            was.len() == is.len() && was.iter().zip(is).all(|(was, is)| has_grown(was, is))
        }
        _ => number(was).zip(number(is)).is_some_and(|(was, is)| was <= is),
    }
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

    fn compare(begun: &str, now: &str, how: ResumeMode) -> Vec<String> {
        changes(&toml::from_str(begun).unwrap(), &toml::from_str(now).unwrap(), how)
    }

    #[test]
    fn every_change_is_named() {
        let begun = "seed = 1\nout = 'a'\n[recipe.training]\nema = 0.5\nbetas = [0.9, 0.95]";
        let now = "seed = 2\nout = 'b'\ninit = 'w'\n[recipe]\nclaim = 'x'\nreasons = ['why']\n[recipe.training]\nbetas = [0.9, 0.99]";
        let expected = [
            "init was not set, is \"w\"",
            "recipe.training.betas was [0.9, 0.95], is [0.9, 0.99]",
            "recipe.training.ema was 0.5, is not set",
            "seed was 1, is 2",
        ];
        assert_eq!(compare(begun, now, ResumeMode::Resumed), expected);
        assert!(compare(begun, begun, ResumeMode::Resumed).is_empty());
    }

    /// Bug: a frozen run that recorded a layer decay did not go on.
    #[test]
    fn layer_decay_changes_nothing_where_the_encoder_is_frozen() {
        let plain = "freeze = 'encoder'\n[recipe.from_weights]\nlearning_rate = 1.0";
        let layered = format!("{plain}\nlayer_decay = {{ rate = 0.9, count = 'group' }}");
        let compare = |begun: &str, now: &str| compare(begun, now, ResumeMode::Resumed);
        for [begun, now] in [[plain, &layered], [&layered, plain], [&layered, &layered]] {
            assert!(compare(begun, now).is_empty(), "{begun} {now}");
        }
        let [plain, layered] = [plain, &layered].map(|text| text.replace("freeze = 'encoder'\n", ""));
        assert_eq!(compare(&plain, &layered).len(), 2);
    }

    /// Bug: nearly all keys were listed, and the reader had to find the one that they came from.
    #[test]
    fn the_cause_of_changes_is_named_and_not_what_follows() {
        let classification =
            "seed = 1\ndata_checksum = 5\n[recipe.training]\nepochs = 1.0\nwarmup_epochs = 0.2";
        let pretraining = "seed = 1\n[recipe.masking]\nratio = 0.6";
        let compare = |now: &str| compare(classification, now, ResumeMode::Resumed);
        assert_eq!(compare(pretraining), ["the task was classification, is pre-training"]);
        let detection = format!("task = 'detection'\n{classification}");
        assert_eq!(compare(&detection), ["the task was classification, is detection"]);
        let other_data = classification.replace("checksum = 5", "checksum = 6");
        assert_eq!(compare(&other_data), ["data_checksum was 5, is 6"]);
        assert_eq!(compare(&other_data.replace("seed = 1", "seed = 2")), ["seed was 1, is 2"]);
        let other_warmup = classification.replace("0.2", "0.4");
        assert_eq!(compare(&other_warmup), ["recipe.training.warmup_epochs was 0.2, is 0.4"]);
        let longer = compare(&other_warmup.replace("epochs = 1.0", "epochs = 2.0"));
        assert_eq!(longer, ["recipe.training.epochs was 1.0, is 2.0"]);
        assert!(is_of_length(&longer[0]) && !is_of_length("seed was 1, is 2"));
    }

    #[test]
    fn what_an_earlier_version_did_not_record_is_no_change() {
        let compare = |begun: &str, now: &str| compare(begun, now, ResumeMode::Resumed);
        for key in RECORDED_LATER {
            let with = |checksum: &str| format!("seed = 1\n{key} = '{checksum}'");
            assert!(compare("seed = 1", &with("a")).is_empty());
            assert_eq!(compare(&with("a"), &with("b")), [format!("{key} was \"a\", is \"b\"")]);
            assert_eq!(compare(&with("a"), "seed = 1"), [format!("{key} was \"a\", is not set")]);
        }
    }

    #[test]
    fn only_an_extended_run_may_grow_and_none_may_shrink() {
        let length = |epochs: f64| format!("[recipe.training]\nepochs = {epochs:?}");
        let grow = |how| compare(&length(2.0), &length(3.0), how);
        assert!(grow(ResumeMode::Extended).is_empty());
        assert_eq!(grow(ResumeMode::Resumed), ["recipe.training.epochs was 2.0, is 3.0"]);
        assert_eq!(compare(&length(3.0), &length(2.0), ResumeMode::Extended).len(), 1);
    }

    #[test]
    fn patience_may_grow_come_and_go_when_a_run_is_extended() {
        let (none, three) = ("seed = 1", "seed = 1\npatience = 3");
        for (was, is) in [(none, three), (three, none), (three, "seed = 1\npatience = 4")] {
            assert!(compare(was, is, ResumeMode::Extended).is_empty(), "{was} {is}");
            assert_eq!(compare(was, is, ResumeMode::Resumed).len(), 1, "{was} {is}");
        }
        let less = compare(three, "seed = 1\npatience = 2", ResumeMode::Extended);
        assert_eq!(less, ["patience was 3, is 2"]);
    }

    #[test]
    fn a_length_in_steps_grows_with_its_milestones() {
        let length = |steps: usize, milestones: [f64; 2]| {
            let curve = format!("curve.milestones = {{ steps = {milestones:?}, factor = 0.1 }}");
            format!("[recipe.training]\nsteps = {steps}\nwarmup_steps = 1.5\n{curve}")
        };
        let short = length(100, [60.0, 80.0]);
        let extended = |now: &str| compare(&short, now, ResumeMode::Extended);
        assert!(extended(&length(200, [120.0, 160.0])).is_empty());
        assert_eq!(extended(&length(99, [60.0, 80.0])), ["recipe.training.steps was 100, is 99"]);
        let earlier = extended(&length(200, [120.0, 79.0]));
        assert!(
            earlier[0].starts_with("recipe.training.curve.milestones.steps was [60.0, 80.0]"),
            "{earlier:?}"
        );
        let epochs = short.replace("steps = 100", "epochs = 2.0");
        let expected =
            ["recipe.training.epochs was not set, is 2.0", "recipe.training.steps was 100, is not set"];
        assert_eq!(extended(&epochs), expected);
    }
}
