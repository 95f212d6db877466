//! The values of a pickle.
//!
//! They are small and never copied with what they hold: nodes lie in one arena and refer to each other by
//! number, texts refer to the pickle. So nothing grows beyond the number of opcodes, which is limited, and no
//! depth of nesting and no circle can hurt.

use std::path::Path;

use safetensors::Dtype;

use super::globals::Global;
use crate::error::IoError;

/// Something on the stack or inside a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// A text, as a range of the pickle, whose size was checked to fit.
    Text(u32, u32),
    /// A number that fits.
    Int(i64),
    /// A name of a class or function.
    Global(Global),
    /// A container of other values.
    Node(u32),
    /// None, truth values, fractions, long numbers, bytes: of no use here.
    Other,
}

/// A container of other values.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    /// A list or a set.
    List(Vec<Value>),
    Tuple(Vec<Value>),
    /// A dictionary, in the order of insertion.
    Dict(Vec<(Value, Value)>),
    Storage(Box<RawStorage>),
    Tensor(Box<RawTensor>),
    /// Made from a [`Global`] whose arguments are of no use here: inert, whatever it is in Python.
    Object(Global),
}

/// The arguments of a storage, not checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RawStorage {
    pub(super) dtype: Dtype,
    pub(super) key: Value,
    /// Number of its elements.
    pub(super) count: i64,
}

/// The arguments of a tensor, not checked against each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RawTensor {
    pub(super) storage: Value,
    pub(super) offset: Value,
    pub(super) size: Value,
    pub(super) stride: Value,
    /// What PyTorch does to the elements after it has read them; empty or [`Value::Other`] where that is nothing.
    pub(super) metadata: Value,
}

/// Why a pickle is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It asks for this name, which is forbidden.
    Global(String),
    /// It is damaged, too large or uses what plain data does not need.
    Invalid(String),
}

impl Refusal {
    /// The error for a file with such a pickle.
    pub(super) fn of_file(self, path: &Path) -> IoError {
        let path = path.to_owned();
        match self {
            Self::Global(global) => IoError::ForbiddenGlobal { path, global },
            Self::Invalid(why) => IoError::BadPickle { path, why },
        }
    }
}

/// Refuses a pickle that is not plain data.
pub(super) fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Invalid(why.into()))
}

/// The text of a value that is one, from the pickle's bytes.
pub(super) fn text(bytes: &[u8], value: Value) -> Option<&str> {
    match value {
        Value::Text(start, end) => std::str::from_utf8(bytes.get(start as usize..end as usize)?).ok(),
        _ => None,
    }
}

/// A name as a message shows it.
pub(super) fn shown(module: &str, name: &str) -> String {
    format!("{module}.{name}").escape_debug().take(200).collect()
}
