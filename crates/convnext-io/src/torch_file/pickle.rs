//! Content of a pickle, as plain values; `machine` reads it.
//!
//! Values are small and never copied with what they hold: nodes lie in one arena and refer to each other by
//! number, texts refer to the pickle. So nothing grows beyond the number of opcodes, which is limited, and no
//! depth of nesting and no circle can hurt.

use safetensors::Dtype;

use super::globals::Global;
use super::machine::{self, Outcome};
use super::objects::shown;

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
}

/// Why a pickle is not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It asks for this name, which is forbidden.
    Global(String),
    /// It is damaged, too large or uses what plain data does not need.
    Invalid(String),
}

/// A pickle that was read to its end.
pub(super) struct Pickle<'a> {
    bytes: &'a [u8],
    outcome: Outcome,
}

impl<'a> Pickle<'a> {
    /// Reads the pickle at the beginning of these bytes.
    ///
    /// # Errors
    /// [`Refusal`] at the first opcode that is not plain data, or a name that is forbidden.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(Refusal::Invalid("it is too large".to_owned()));
        }
        Ok(Self { bytes, outcome: machine::run(bytes)? })
    }

    /// The class of the object.
    pub(super) fn root(&self) -> Value {
        self.outcome.root
    }

    /// The number of its bytes.
    pub(super) fn end(&self) -> usize {
        self.outcome.end
    }

    /// All that holds values.
    pub(super) fn nodes(&self) -> &[Node] {
        &self.outcome.nodes
    }

    /// Module and name of a thing, cut if they are long.
    pub(super) fn name_of(&self, global: Global) -> String {
        let unknown = || {
            let Global::Unknown(index) = global else { return None };
            let &[module, name] = self.outcome.unknown.get(index as usize)?;
            Some(shown(self.text(module)?, self.text(name)?))
        };
        unknown().unwrap_or_else(|| format!("{global:?}"))
    }

    /// The text of a value that is one.
    pub(super) fn text(&self, value: Value) -> Option<&'a str> {
        text(self.bytes, value)
    }

    /// The node of a value that is one.
    pub(super) fn node(&self, value: Value) -> Option<&Node> {
        match value {
            Value::Node(index) => self.nodes().get(index as usize),
            _ => None,
        }
    }
}

/// The text of a value that is one, from the pickle's bytes.
pub(super) fn text(bytes: &[u8], value: Value) -> Option<&str> {
    match value {
        Value::Text(start, end) => std::str::from_utf8(bytes.get(start as usize..end as usize)?).ok(),
        _ => None,
    }
}
