//! Dotted keys of a recipe, such as `training.epochs`: setting them, and which of them say the same.

use toml::{Table, Value};

use super::input::key_of_today;

/// Replaces one key of a table: `a.b=value`. What is no TOML value is taken as text.
pub(super) fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let (path, text) =
        setting.split_once('=').ok_or_else(|| format!("'{setting}' is not of the form key=value"))?;
    let value = toml::from_str::<Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| Value::String(text.to_owned()));
    let mut keys: Vec<&str> = key_of_today(path.trim()).split('.').collect();
    let last = keys.pop().unwrap_or_default();
    let mut place = table;
    for key in keys {
        if !place.contains_key(key) {
            insert(place, key, Value::Table(Table::new()));
        }
        let next = place.get_mut(key).and_then(Value::as_table_mut);
        place = next.ok_or_else(|| format!("'{path}': '{key}' is no table"))?;
    }
    insert(place, last, value);
    Ok(())
}

/// `true` if a setting, as in `table.key=value`, names this key.
pub(super) fn is_key(setting: &str, table: &str, key: &str) -> bool {
    let name = setting.split('=').next().unwrap_or_default().trim();
    name.split_once('.') == Some((table, key))
}

/// Pairs of keys of which a table has one, because they say the same in two ways.
const ALTERNATIVES: [[&str; 2]; 5] = [
    ["learning_rate", "base_learning_rate"],
    ["epochs", "steps"],
    ["warmup_epochs", "warmup_steps"],
    ["poly", "milestones"],
    ["layer_wise", "stage_wise"],
];

/// Sets a key. Of two ways to say the same the last one counts.
pub(super) fn insert(table: &mut Table, key: &str, value: Value) {
    for other in
        ALTERNATIVES.iter().filter(|pair| pair.contains(&key)).flatten().filter(|&&other| other != key)
    {
        table.remove(*other);
    }
    table.insert(key.to_owned(), value);
}

/// The one of two keys that stands for both.
fn representative(key: &str) -> &str {
    ALTERNATIVES.iter().find(|pair| pair.contains(&key)).map_or(key, |pair| pair[0])
}

/// `true` if two keys decide the same: a rate and a length have two keys, and a start from scratch its own,
/// which give way.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let of = |key: &str| {
        let (table, last) = key_of_today(key).rsplit_once('.').unwrap_or(("", key));
        let table = if table == "from_scratch" { "training" } else { table };
        (table.to_owned(), representative(last).to_owned())
    };
    of(a) == of(b)
}

/// `true` if two values are equal, however they are written: `0.5`, `0.50` and `.5`, or with and without
/// quotes.
pub(super) fn is_same_value(a: &str, b: &str) -> bool {
    let bare = |value: &str| value.replace(char::is_whitespace, "").trim_matches('"').to_owned();
    let (a, b) = (bare(a), bare(b));
    match (a.parse::<f64>(), b.parse::<f64>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a == b,
    }
}

/// Looks up a dotted key in a recipe, with what it extends.
pub(super) fn stated<'r>(recipe: &'r Table, key: &str) -> Option<&'r Value> {
    let mut parts = key.split('.');
    let first = recipe.get(parts.next()?)?;
    parts.try_fold(first, |place, part| place.get(part))
}
