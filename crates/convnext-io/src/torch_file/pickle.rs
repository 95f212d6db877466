//! A pickle that was read to its end; `machine` reads it.

use super::globals::Global;
use super::machine::{self, Outcome};
use super::values::{Node, Refusal, Value, shown, text};

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
