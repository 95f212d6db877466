//! Names and colours of classes that checkpoints of OpenMMLab keep beside their tensors: `classes` and `palette` in
//! `meta.dataset_meta`, in files of mmsegmentation before version 1 `CLASSES` and `PALETTE` in `meta`.

use super::pickle::Pickle;
use super::values::{Node, Value};

/// More classes than a label map can tell apart, or longer names, are none.
const MAX_CLASSES: usize = 65_535;
const MAX_NAME_LENGTH: usize = 256;

/// Classes as a checkpoint describes them; empty where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ClassTable {
    /// Their names, in the order of the logits.
    pub(crate) names: Vec<String>,
    /// Red, green and blue of each.
    pub(crate) palette: Vec<[u8; 3]>,
}

/// The classes in a pickle.
pub(super) fn find(pickle: &Pickle) -> ClassTable {
    let Some(meta) = entry(pickle, pickle.root(), "meta") else { return ClassTable::default() };
    let (place, keys) = match entry(pickle, meta, "dataset_meta") {
        Some(place) => (place, ["classes", "palette"]),
        None => (meta, ["CLASSES", "PALETTE"]),
    };
    let [names, colours] =
        keys.map(|key| entry(pickle, place, key).map_or(&[][..], |list| items(pickle, list)));
    if names.len().max(colours.len()) > MAX_CLASSES {
        return ClassTable::default();
    }
    let name = |&name| pickle.text(name).filter(|name| name.len() <= MAX_NAME_LENGTH).map(str::to_owned);
    ClassTable {
        names: names.iter().map(name).collect::<Option<_>>().unwrap_or_default(),
        palette: colours
            .iter()
            .map(|&value| colour(pickle, value))
            .collect::<Option<_>>()
            .unwrap_or_default(),
    }
}

/// The value of a key, if this is a dictionary that has it.
fn entry(pickle: &Pickle, value: Value, key: &str) -> Option<Value> {
    let Some(Node::Dict(entries)) = pickle.node(value) else { return None };
    entries.iter().find(|(found, _)| pickle.text(*found) == Some(key)).map(|&(_, value)| value)
}

/// The items of a list or tuple; none of anything else.
fn items<'p>(pickle: &'p Pickle, value: Value) -> &'p [Value] {
    match pickle.node(value) {
        Some(Node::List(items) | Node::Tuple(items)) => items,
        _ => &[],
    }
}

/// Red, green and blue from 0 to 255.
fn colour(pickle: &Pickle, value: Value) -> Option<[u8; 3]> {
    let level = |&level: &Value| match level {
        Value::Int(level) => u8::try_from(level).ok(),
        _ => None,
    };
    let levels = items(pickle, value).iter().map(level).collect::<Option<Vec<u8>>>()?;
    levels.try_into().ok()
}
