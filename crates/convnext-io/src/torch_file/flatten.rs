//! All tensors of a checkpoint under one name each: the keys of the dictionaries that they lie in, joined by dots.
//! Which of them are the model is for `foreign` to say.

use std::collections::BTreeMap;

use super::globals::Global;
use super::pickle::Pickle;
use super::values::{Node, RawTensor, Value};

/// Deeper dictionaries are passed over; checkpoints have three.
const DEEPEST: usize = 8;

/// Longer keys are passed over, as no tensor has them.
const MAX_NAME_LENGTH: usize = 256;

/// Bytes of names for each byte of the pickle: keys may be repeated by a damaged one.
const NAME_BYTES: usize = 4;

/// Content of a checkpoint.
#[derive(Default)]
pub(super) struct Flat<'p> {
    /// In the order of the file.
    pub(super) tensors: Vec<(String, &'p RawTensor)>,
    /// Objects that are neither a tensor nor a dictionary, by name, with what they were made from.
    pub(super) objects: BTreeMap<String, String>,
    /// The keys of the outermost dictionary.
    pub(super) keys: Vec<&'p str>,
}

/// Walks over the dictionaries of a pickle, each once; `None` when a damaged file repeats long names without end.
pub(super) fn flatten<'p>(pickle: &'p Pickle) -> Option<Flat<'p>> {
    let mut flat = Flat { keys: top_keys(pickle), ..Flat::default() };
    let mut room = NAME_BYTES * pickle.end() + MAX_NAME_LENGTH;
    let mut seen = vec![false; pickle.nodes().len()];
    let mut waiting = vec![(String::new(), pickle.root(), 0)];
    while let Some((name, value, depth)) = waiting.pop() {
        let index = match value {
            Value::Node(index) => index,
            Value::Global(class) => {
                flat.objects.insert(name, pickle.name_of(class));
                continue;
            }
            _ => continue,
        };
        match pickle.node(value)? {
            Node::Tensor(tensor) => match pickle.node(tensor.storage) {
                Some(&Node::Object(class)) => drop(flat.objects.insert(name, pickle.name_of(class))),
                _ => flat.tensors.push((name, tensor)),
            },
            Node::Object(Global::Ignored) => {}
            &Node::Object(class) => drop(flat.objects.insert(name, pickle.name_of(class))),
            node if depth < DEEPEST => {
                if std::mem::replace(seen.get_mut(index as usize)?, true) {
                    continue;
                }
                for (key, value) in children(pickle, node).into_iter().rev() {
                    let name = if name.is_empty() { key } else { format!("{name}.{key}") };
                    room = room.checked_sub(name.len())?;
                    waiting.push((name, value, depth + 1));
                }
            }
            _ => {}
        }
    }
    Some(flat)
}

/// The nodes in a dictionary by their keys, and the dictionaries in a list by their numbers.
fn children(pickle: &Pickle, node: &Node) -> Vec<(String, Value)> {
    let named = |&(key, value): &(Value, Value)| {
        let key = pickle.text(key).filter(|key| key.len() <= MAX_NAME_LENGTH)?;
        pickle.node(value).is_some().then(|| (key.to_owned(), value))
    };
    let numbered = |(index, &value): (usize, &Value)| match pickle.node(value) {
        Some(Node::Dict(_)) => Some((index.to_string(), value)),
        _ => None,
    };
    match node {
        Node::Dict(entries) => entries.iter().filter_map(named).collect(),
        Node::List(items) | Node::Tuple(items) => items.iter().enumerate().filter_map(numbered).collect(),
        Node::Storage(_) | Node::Tensor(_) | Node::Object(_) => Vec::new(),
    }
}

fn top_keys<'p>(pickle: &'p Pickle) -> Vec<&'p str> {
    match pickle.node(pickle.root()) {
        Some(Node::Dict(entries)) => entries.iter().filter_map(|&(key, _)| pickle.text(key)).collect(),
        _ => Vec::new(),
    }
}
