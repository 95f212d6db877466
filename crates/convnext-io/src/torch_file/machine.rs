//! Reads a pickle without executing anything: a stack machine over plain values.
//!
//! The opcodes are those of Python's
//! [pickletools](https://docs.python.org/3/library/pickletools.html), protocols 2 to 5, as far as plain data
//! needs them. What Python would call is not called: a name with arguments becomes a [`Node`] (see `objects`).
//! `GLOBAL`, `STACK_GLOBAL`, `INST` are the only ways to a name; extension codes, `OBJ` and buffers are not known here.

use std::collections::HashMap;

use super::cursor::Cursor;
use super::values::{Node, Refusal, Value, invalid};

/// More opcodes are refused; a checkpoint of Huge with its optimiser has about 50 000, and every number of a history
/// one or more.
const MAX_OPCODES: usize = 1 << 20;

/// Deeper nesting is refused; checkpoints have about 10.
const DEEPEST_NESTING: usize = 256;

/// Result of a pickle.
pub(super) struct Outcome {
    pub(super) root: Value,
    pub(super) nodes: Vec<Node>,
    /// Modules and names, as texts, of what is not known.
    pub(super) unknown: Vec<[Value; 2]>,
    /// The number of bytes that it has.
    pub(super) end: usize,
}

/// Reads the pickle at the beginning of these bytes to its end.
///
/// # Errors
/// [`Refusal`] at the first opcode that is not plain data, or a name that is forbidden.
pub(super) fn run(bytes: &[u8]) -> Result<Outcome, Refusal> {
    let mut machine = Machine {
        cursor: Cursor::new(bytes),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        nodes: Vec::new(),
        unknown: Vec::new(),
    };
    for _ in 0..MAX_OPCODES {
        if let Some(root) = machine.step()? {
            let end = machine.cursor.position();
            return Ok(Outcome { root, nodes: machine.nodes, unknown: machine.unknown, end });
        }
    }
    invalid(format!("it has more than {MAX_OPCODES} opcodes"))
}

pub(super) struct Machine<'a> {
    pub(super) cursor: Cursor<'a>,
    pub(super) stack: Vec<Value>,
    /// Heights of the stack where collections begin.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    pub(super) nodes: Vec<Node>,
    pub(super) unknown: Vec<[Value; 2]>,
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
            b'N' => self.stack.push(Value::Other),
            // In Python, truth values are 1 and 0.
            0x88 | 0x89 => self.stack.push(Value::Int(i64::from(opcode == 0x88))),
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
            0x92 => self.reduce_with_names()?,
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

    fn append(&mut self, items: Vec<Value>) -> Result<(), Refusal> {
        match self.top_node()? {
            Node::List(list) => list.extend(items),
            // Whatever a list of an unknown kind holds is passed over with it.
            Node::Object(_) => {}
            _ => return invalid("it appends to something that is no list"),
        }
        Ok(())
    }

    fn insert(&mut self, items: &[Value]) -> Result<(), Refusal> {
        let (pairs, rest) = items.as_chunks::<2>();
        match self.top_node()? {
            Node::Dict(entries) => entries.extend(pairs.iter().map(|&[key, value]| (key, value))),
            Node::Object(_) => {}
            _ => return invalid("it inserts into something that is no dictionary"),
        }
        if rest.is_empty() { Ok(()) } else { invalid("a dictionary has a key without a value") }
    }

    pub(super) fn push_node(&mut self, node: Node) {
        self.stack.push(Value::Node(self.nodes.len() as u32));
        self.nodes.push(node);
    }

    pub(super) fn tuple(&self, value: Value) -> Result<&[Value], Refusal> {
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

    pub(super) fn top_node(&mut self) -> Result<&mut Node, Refusal> {
        match self.top()? {
            Value::Node(index) => match self.nodes.get_mut(index as usize) {
                Some(node) => Ok(node),
                None => invalid("it refers to nothing"),
            },
            _ => invalid("it fills something that is no collection"),
        }
    }

    pub(super) fn pop(&mut self) -> Result<Value, Refusal> {
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
