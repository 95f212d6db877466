//! Objects of a pickle: where Python calls, a [`Node`] only tells what there would be.

use super::globals::{self, Global, Standing};
use super::machine::Machine;
use super::values::{Node, RawStorage, RawTensor, Refusal, Value, invalid, shown, text};

impl Machine<'_> {
    /// `GLOBAL`; `INST` also calls, so that even an allowed name is refused there.
    pub(super) fn global(&mut self, opcode: u8) -> Result<(), Refusal> {
        let (module, name) = (self.line()?, self.line()?);
        self.push_global(module, name)?;
        if opcode == b'i' {
            return invalid("opcode INST is none of plain data");
        }
        Ok(())
    }

    pub(super) fn stack_global(&mut self) -> Result<(), Refusal> {
        let (name, module) = (self.pop()?, self.pop()?);
        self.push_global(module, name)
    }

    fn line(&mut self) -> Result<Value, Refusal> {
        let start = self.cursor.position();
        let line = self.cursor.line()?;
        Ok(Value::Text(start as u32, (start + line.len()) as u32))
    }

    fn push_global(&mut self, module: Value, name: Value) -> Result<(), Refusal> {
        let bytes = self.cursor.bytes();
        let (Some(module_text), Some(name_text)) = (text(bytes, module), text(bytes, name)) else {
            return invalid("a name that it asks for is no text");
        };
        let global = match globals::find(module_text, name_text) {
            Standing::Known(global) => global,
            Standing::Unknown => {
                self.unknown.push([module, name]);
                Global::Unknown(self.unknown.len() as u32 - 1)
            }
            Standing::Forbidden => return Err(Refusal::Global(shown(module_text, name_text))),
        };
        self.stack.push(Value::Global(global));
        Ok(())
    }

    /// A storage: `("storage", type, key, device, number of elements)`, in streams with the place of a view in the
    /// storage of another, which no version since 0.4 writes. Streams also refer to modules by their class.
    pub(super) fn persistent(&mut self) -> Result<(), Refusal> {
        let id = self.pop()?;
        let bytes = self.cursor.bytes();
        let node = match *self.tuple(id)? {
            [kind, Value::Global(global), ..] if text(bytes, kind) == Some("module") => Node::Object(global),
            [kind, Value::Global(global), key @ Value::Text(..), _, Value::Int(count)]
            | [kind, Value::Global(global), key @ Value::Text(..), _, Value::Int(count), Value::Other]
                if text(bytes, kind) == Some("storage") =>
            {
                match global {
                    Global::Storage(dtype) => Node::Storage(Box::new(RawStorage { dtype, key, count })),
                    other => Node::Object(other),
                }
            }
            _ => return invalid("it refers to something that is no storage"),
        };
        self.push_node(node);
        Ok(())
    }

    /// `REDUCE` and `NEWOBJ`.
    pub(super) fn reduce(&mut self) -> Result<(), Refusal> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        self.call(callable, arguments)
    }

    /// `NEWOBJ_EX`: with named arguments, which no name that is known has.
    pub(super) fn reduce_with_names(&mut self) -> Result<(), Refusal> {
        self.pop()?;
        self.reduce()
    }

    fn call(&mut self, callable: Value, arguments: Value) -> Result<(), Refusal> {
        let arguments = self.tuple(arguments)?;
        let made = match (callable, arguments) {
            (Value::Global(Global::Tensor), &[storage, offset, size, stride, ref rest @ ..])
                if matches!(rest.len(), 0 | 2 | 3) =>
            {
                let metadata = rest.get(2).copied().unwrap_or(Value::Other);
                Node::Tensor(Box::new(RawTensor { storage, offset, size, stride, metadata }))
            }
            (Value::Global(Global::Parameter), &[tensor, _, _] | &[tensor, _, _, _]) => {
                self.stack.push(tensor);
                return Ok(());
            }
            (Value::Global(Global::OfType), &[Value::Global(Global::Tensor), _, arguments, _]) => {
                return self.call(Value::Global(Global::Tensor), arguments);
            }
            (Value::Global(Global::Dict), &[Value::Node(argument)]) => return self.dictionary_of(argument),
            (Value::Global(Global::Dict), [] | [_]) => Node::Dict(Vec::new()),
            (Value::Global(global @ (Global::Ignored | Global::Unknown(_) | Global::OfType)), _) => {
                Node::Object(global)
            }
            (Value::Global(global), arguments) => {
                return invalid(format!("{} arguments make no {global:?}", arguments.len()));
            }
            // What an unknown thing made is called: that makes something unknown as well.
            (Value::Node(index), _) => match self.nodes.get(index as usize) {
                Some(&Node::Object(global)) => Node::Object(global),
                _ => return invalid("it calls something that is no name"),
            },
            _ => return invalid("it calls something that is no name"),
        };
        self.push_node(made);
        Ok(())
    }

    /// `OrderedDict` of a list of pairs, as Python 2 saves it, or `defaultdict` of what makes its values. The list
    /// itself becomes the dictionary: a copy each time that a file asks for one would have no bound.
    fn dictionary_of(&mut self, argument: u32) -> Result<(), Refusal> {
        let entries: Option<Vec<_>> = match self.nodes.get(argument as usize) {
            Some(Node::List(items) | Node::Tuple(items)) => {
                items.iter().map(|&item| self.pair(item)).collect()
            }
            // A dictionary, or the same list once more.
            Some(Node::Dict(_)) => {
                self.stack.push(Value::Node(argument));
                return Ok(());
            }
            _ => {
                self.push_node(Node::Dict(Vec::new()));
                return Ok(());
            }
        };
        match (entries, self.nodes.get_mut(argument as usize)) {
            (Some(entries), Some(node)) => *node = Node::Dict(entries),
            // Of something else that holds pairs, such as strings of two letters: no weights.
            _ => {
                self.push_node(Node::Dict(Vec::new()));
                return Ok(());
            }
        }
        self.stack.push(Value::Node(argument));
        Ok(())
    }

    /// The key and the value in a list or tuple of two.
    fn pair(&self, value: Value) -> Option<(Value, Value)> {
        let Value::Node(index) = value else { return None };
        match self.nodes.get(index as usize)? {
            Node::List(items) | Node::Tuple(items) => match *items.as_slice() {
                [key, value] => Some((key, value)),
                _ => None,
            },
            _ => None,
        }
    }

    /// `BUILD` sets attributes in Python, such as torch's `_metadata` of dictionaries. They are ignored.
    pub(super) fn build(&mut self) -> Result<(), Refusal> {
        self.pop()?;
        match self.top_node()? {
            Node::Dict(_) | Node::Object(_) | Node::Tensor(_) => Ok(()),
            _ => invalid("it sets attributes of something that has none"),
        }
    }
}
