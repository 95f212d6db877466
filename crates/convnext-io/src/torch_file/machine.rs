//! Reads a pickle without executing anything: a stack machine over plain values.
//!
//! The opcodes are those of Python's
//! [pickletools](https://docs.python.org/3/library/pickletools.html), protocols 2 to 5, as far as plain data
//! needs them. What Python would call is not called: an allowed name with arguments becomes a [`Node`], any
//! other name ends the reading. `GLOBAL`, `STACK_GLOBAL`, `INST` are the only ways to a name; extension
//! codes, `OBJ`, `NEWOBJ_EX` and buffers are not known here.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::globals::{self, Global};
use super::pickle::{Node, RawStorage, RawTensor, Refusal, Value, text};

/// More opcodes are refused; a checkpoint of Huge with its optimiser has about 50 000.
const MOST_OPCODES: usize = 1 << 19;

/// Deeper nesting is refused; checkpoints have about 10.
const DEEPEST_NESTING: usize = 256;

/// Reads a whole pickle: its value, and the nodes that the value refers to.
///
/// # Errors
/// [`Refusal`] at the first opcode that is not plain data.
pub(super) fn run(bytes: &[u8]) -> Result<(Value, Vec<Node>), Refusal> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
    };
    for _ in 0..MOST_OPCODES {
        if let Some(root) = machine.step()? {
            return Ok((root, machine.nodes));
        }
    }
    invalid(format!("it has more than {MOST_OPCODES} opcodes"))
}

pub(super) fn invalid<T>(why: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Invalid(why.into()))
}

struct Machine<'a> {
    cursor: Cursor<'a>,
    stack: Vec<Value>,
    /// Heights of the stack where collections begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    nodes: Vec<Node>,
}

impl Machine<'_> {
    /// Runs one opcode; gives the result at the last one.
    fn step(&mut self) -> Result<Option<Value>, Refusal> {
        let at = self.cursor.position();
        let [opcode] = self.cursor.take_array()?;
        match opcode {
            b'.' => return self.pop().map(Some),
            0x80 => self.protocol()?,
            // FRAME: the frame's content follows as if there were none.
            0x95 => drop(self.cursor.take_array::<8>()?),
            b'(' if self.marks.len() < DEEPEST_NESTING => self.marks.push(self.stack.len()),
            b'(' => return invalid(format!("it nests deeper than {DEEPEST_NESTING}")),
            b'0' => self.pop_or_unmark()?,
            b'1' => drop(self.pop_to_mark()?),
            b'2' => self.stack.push(self.top()?),
            b'N' | 0x88 | 0x89 => self.stack.push(Value::Other),
            b'J' => {
                let number = i32::from_le_bytes(self.cursor.take_array()?);
                self.stack.push(Value::Int(number.into()));
            }
            b'K' | b'M' | 0x8a | 0x8b => self.push_number(opcode)?,
            b'G' => {
                self.cursor.take_array::<8>()?;
                self.stack.push(Value::Other);
            }
            b'X' | 0x8c | 0x8d | b'U' | b'T' => self.push_text(opcode)?,
            b'B' | b'C' | 0x8e | 0x96 => self.skip_bytes(opcode)?,
            b']' | 0x8f => self.push_node(Node::List(Vec::new())),
            b'}' => self.push_node(Node::Dict(Vec::new())),
            b')' => self.push_node(Node::Tuple(Vec::new())),
            0x85..=0x87 => self.push_tuple(usize::from(opcode - 0x84))?,
            b't' | 0x91 => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Tuple(items));
            }
            b'l' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::List(items));
            }
            b'd' => {
                let items = self.pop_to_mark()?;
                self.push_node(Node::Dict(Vec::new()));
                self.insert(&items)?;
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            b'e' | 0x90 => {
                let items = self.pop_to_mark()?;
                self.append(items)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.insert(&[key, value])?;
            }
            b'u' => {
                let items = self.pop_to_mark()?;
                self.insert(&items)?;
            }
            b'q' | b'r' | 0x94 => self.memoize(opcode)?,
            b'h' | b'j' => self.recall(opcode)?,
            b'c' | b'i' => self.global(opcode)?,
            0x93 => self.stack_global()?,
            b'Q' => self.persistent()?,
            b'R' | 0x81 => self.reduce()?,
            b'b' => self.build()?,
            _ => return invalid(format!("opcode {opcode:#04x} at byte {at} is none of plain data")),
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Result<(), Refusal> {
        match self.cursor.take_array()? {
            [2..=5] => Ok(()),
            [version] => invalid(format!("it is of protocol {version}, not 2 to 5")),
        }
    }

    fn push_number(&mut self, opcode: u8) -> Result<(), Refusal> {
        let bytes = match opcode {
            b'K' => self.cursor.take(1)?,
            b'M' => self.cursor.take(2)?,
            _ => {
                let size =
                    if opcode == 0x8a { self.cursor.length::<1>()? } else { self.cursor.length::<4>()? };
                self.cursor.take(size)?
            }
        };
        // Little-endian; the long forms have a sign.
        let signed = matches!(opcode, 0x8a | 0x8b) && bytes.last().is_some_and(|byte| byte >> 7 == 1);
        let mut extended = [if signed { 0xff } else { 0 }; 8];
        let value = match extended.get_mut(..bytes.len()) {
            Some(start) => {
                start.copy_from_slice(bytes);
                Value::Int(i64::from_le_bytes(extended))
            }
            None => Value::Other,
        };
        self.stack.push(value);
        Ok(())
    }

    fn push_text(&mut self, opcode: u8) -> Result<(), Refusal> {
        let size = match opcode {
            0x8c | b'U' => self.cursor.length::<1>()?,
            0x8d => self.cursor.length::<8>()?,
            _ => self.cursor.length::<4>()?,
        };
        let start = self.cursor.position() as u32;
        self.cursor.take(size)?;
        self.stack.push(Value::Text(start, self.cursor.position() as u32));
        Ok(())
    }

    fn skip_bytes(&mut self, opcode: u8) -> Result<(), Refusal> {
        let size = match opcode {
            b'C' => self.cursor.length::<1>()?,
            b'B' => self.cursor.length::<4>()?,
            _ => self.cursor.length::<8>()?,
        };
        self.cursor.take(size)?;
        self.stack.push(Value::Other);
        Ok(())
    }

    fn push_tuple(&mut self, count: usize) -> Result<(), Refusal> {
        let mut items = vec![Value::Other; count];
        for item in items.iter_mut().rev() {
            *item = self.pop()?;
        }
        self.push_node(Node::Tuple(items));
        Ok(())
    }

    fn memoize(&mut self, opcode: u8) -> Result<(), Refusal> {
        let index = match opcode {
            b'q' => self.cursor.length::<1>()? as u32,
            b'r' => self.cursor.length::<4>()? as u32,
            _ => self.memo.len() as u32,
        };
        self.memo.insert(index, self.top()?);
        Ok(())
    }

    fn recall(&mut self, opcode: u8) -> Result<(), Refusal> {
        let index =
            if opcode == b'h' { self.cursor.length::<1>()? } else { self.cursor.length::<4>()? } as u32;
        match self.memo.get(&index) {
            Some(&value) => self.stack.push(value),
            None => return invalid(format!("it recalls value {index}, which it did not store")),
        }
        Ok(())
    }

    /// `GLOBAL`; `INST` also calls, so that even an allowed name is refused there.
    fn global(&mut self, opcode: u8) -> Result<(), Refusal> {
        let (module, name) = (self.cursor.line()?, self.cursor.line()?);
        let global = find_global(module, name)?;
        if opcode == b'i' {
            return invalid(format!("opcode INST for {module}.{name} is none of plain data"));
        }
        self.stack.push(global);
        Ok(())
    }

    fn stack_global(&mut self) -> Result<(), Refusal> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (text(self.cursor.bytes(), module), text(self.cursor.bytes(), name)) {
            (Some(module), Some(name)) => self.stack.push(find_global(module, name)?),
            _ => return invalid("a name that it asks for is no text"),
        }
        Ok(())
    }

    /// A storage: `("storage", type, key, device, number of elements)`.
    fn persistent(&mut self) -> Result<(), Refusal> {
        let id = self.pop()?;
        let storage = match *self.tuple(id)? {
            [kind, Value::Global(Global::Storage(dtype)), key @ Value::Text(..), _, Value::Int(count)]
                if text(self.cursor.bytes(), kind) == Some("storage") =>
            {
                Node::Storage(Box::new(RawStorage { dtype, key, count }))
            }
            _ => return invalid("it refers to something that is no storage"),
        };
        self.push_node(storage);
        Ok(())
    }

    /// `REDUCE` and `NEWOBJ`: where Python calls, an allowed name only tells what there would be.
    fn reduce(&mut self) -> Result<(), Refusal> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Value::Global(global) = callable else {
            return invalid("it calls something that is no name");
        };
        match (global, self.tuple(arguments)?) {
            (
                Global::Tensor,
                &[storage, offset, size, stride, _, _] | &[storage, offset, size, stride, _, _, _],
            ) => {
                self.push_node(Node::Tensor(Box::new(RawTensor { storage, offset, size, stride })));
            }
            (Global::Parameter, &[tensor, _, _]) => self.stack.push(tensor),
            (Global::OrderedDict, []) => self.push_node(Node::Dict(Vec::new())),
            (Global::Ignored, _) => self.push_node(Node::Object),
            (global, arguments) => {
                return invalid(format!("{} arguments make no {global:?}", arguments.len()));
            }
        }
        Ok(())
    }

    /// `BUILD` sets attributes in Python. Dictionaries get torch's `_metadata`, other objects are ignored.
    fn build(&mut self) -> Result<(), Refusal> {
        self.pop()?;
        match self.top()? {
            Value::Node(index)
                if matches!(self.nodes.get(index as usize), Some(Node::Dict(_) | Node::Object)) =>
            {
                Ok(())
            }
            _ => invalid("it sets attributes of something that has none"),
        }
    }

    fn append(&mut self, items: Vec<Value>) -> Result<(), Refusal> {
        match self.top_node()? {
            Node::List(list) => list.extend(items),
            _ => return invalid("it appends to something that is no list"),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Value]) -> Result<(), Refusal> {
        let Node::Dict(entries) = self.top_node()? else {
            return invalid("it inserts into something that is no dictionary");
        };
        let (pairs, rest) = items.as_chunks::<2>();
        entries.extend(pairs.iter().map(|&[key, value]| (key, value)));
        if rest.is_empty() { Ok(()) } else { invalid("a dictionary has a key without a value") }
    }

    fn push_node(&mut self, node: Node) {
        self.stack.push(Value::Node(self.nodes.len() as u32));
        self.nodes.push(node);
    }

    fn tuple(&self, value: Value) -> Result<&[Value], Refusal> {
        match value {
            Value::Node(index) => match self.nodes.get(index as usize) {
                Some(Node::Tuple(items)) => Ok(items),
                _ => invalid("it needs a tuple and has another value"),
            },
            _ => invalid("it needs a tuple and has another value"),
        }
    }

    fn top(&self) -> Result<Value, Refusal> {
        match self.stack.last() {
            Some(&value) if self.stack.len() > self.floor() => Ok(value),
            _ => invalid("it takes a value where there is none"),
        }
    }

    fn top_node(&mut self) -> Result<&mut Node, Refusal> {
        match self.top()? {
            Value::Node(index) => match self.nodes.get_mut(index as usize) {
                Some(node) => Ok(node),
                None => invalid("it refers to nothing"),
            },
            _ => invalid("it fills something that is no collection"),
        }
    }

    fn pop(&mut self) -> Result<Value, Refusal> {
        let value = self.top()?;
        self.stack.pop();
        Ok(value)
    }

    fn pop_or_unmark(&mut self) -> Result<(), Refusal> {
        if self.stack.len() > self.floor() {
            self.stack.pop();
        } else if self.marks.pop().is_none() {
            return invalid("it drops a value where there is none");
        }
        Ok(())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, Refusal> {
        match self.marks.pop() {
            Some(height) => Ok(self.stack.split_off(height.min(self.stack.len()))),
            None => invalid("it ends a collection that did not begin"),
        }
    }

    /// Height of the stack below which the present collection does not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }
}

fn find_global(module: &str, name: &str) -> Result<Value, Refusal> {
    let refuse = || Refusal::Global(format!("{module}.{name}").escape_debug().take(200).collect());
    globals::find(module, name).map(Value::Global).ok_or_else(refuse)
}
