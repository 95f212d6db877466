//! All tensors of a checkpoint under one name each: the keys of the dictionaries that they lie in, joined by dots.
//! Which of them are the model is for `foreign` to say.

use std::collections::BTreeMap;
use std::fmt;

use super::globals::Global;
use super::pickle::Pickle;
use super::values::{Node, RawTensor, Value};

/// Deeper dictionaries are passed over; checkpoints have three.
const DEEPEST: usize = 8;

/// Longer keys are passed over, as no tensor has them.
const MAX_NAME_LENGTH: usize = 256;

/// Bytes of names for each byte of the pickle: keys may be repeated by a damaged one.
const NAME_BYTES: usize = 4;

/// What stands where a tensor or a dictionary might.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NoTensor {
    /// An object made from this class, which is not known here.
    Object(String),
    /// A list of so many tensors, which have no names.
    Tensors(usize),
}

impl NoTensor {
    /// The class of an object.
    pub(crate) fn class(&self) -> Option<&str> {
        match self {
            Self::Object(class) => Some(class),
            Self::Tensors(_) => None,
        }
    }
}

impl fmt::Display for NoTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(class) => write!(f, "made from {class}"),
            Self::Tensors(count) => write!(f, "a list of {count} tensors"),
        }
    }
}

/// Content of a checkpoint.
#[derive(Default)]
pub(super) struct Flat<'p> {
    /// In the order of the file.
    pub(super) tensors: Vec<(String, &'p RawTensor)>,
    /// What is neither a tensor nor a dictionary, by name.
    pub(super) objects: BTreeMap<String, NoTensor>,
    /// The keys of the outermost dictionary.
    pub(super) keys: Vec<&'p str>,
}

impl Flat<'_> {
    fn object(&mut self, name: String, pickle: &Pickle, class: Global) {
        self.objects.insert(name, NoTensor::Object(pickle.name_of(class)));
    }
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
                flat.object(name, pickle, class);
                continue;
            }
            _ => continue,
        };
        match pickle.node(value)? {
            Node::Tensor(tensor) => match pickle.node(tensor.storage) {
                Some(&Node::Object(class)) => flat.object(name, pickle, class),
                _ => flat.tensors.push((name, tensor)),
            },
            Node::Object(Global::Ignored) => {}
            &Node::Object(class) => flat.object(name, pickle, class),
            node if depth < DEEPEST => {
                if std::mem::replace(seen.get_mut(index as usize)?, true) {
                    continue;
                }
                let listed = listed_tensors(pickle, node);
                if listed > 0 {
                    flat.objects.insert(name.clone(), NoTensor::Tensors(listed));
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

/// The number of tensors in a list: averages over a training are often kept in the order of the parameters, without names.
fn listed_tensors(pickle: &Pickle, node: &Node) -> usize {
    let (Node::List(items) | Node::Tuple(items)) = node else { return 0 };
    items.iter().filter(|&&item| matches!(pickle.node(item), Some(Node::Tensor(_)))).count()
}

fn top_keys<'p>(pickle: &'p Pickle) -> Vec<&'p str> {
    match pickle.node(pickle.root()) {
        Some(Node::Dict(entries)) => entries.iter().filter_map(|&(key, _)| pickle.text(key)).collect(),
        _ => Vec::new(),
    }
}
