//! The bytes of a pickle, read from front to back.

use super::values::{Refusal, invalid};

/// A place in the bytes.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    /// The start of the bytes.
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// All bytes.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The number of bytes before this place.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    /// The next bytes.
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let end = self.position.checked_add(count);
        match end.and_then(|end| Some((end, self.bytes.get(self.position..end)?))) {
            Some((end, bytes)) => {
                self.position = end;
                Ok(bytes)
            }
            None => invalid("it is truncated"),
        }
    }

    /// The next N bytes.
    pub(super) fn take_array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        match self.take(N)?.first_chunk() {
            Some(bytes) => Ok(*bytes),
            None => invalid("it is truncated"),
        }
    }

    /// A number of N bytes without sign; one that does not fit is as good as the largest.
    pub(super) fn length<const N: usize>(&mut self) -> Result<usize, Refusal> {
        let mut extended = [0; 8];
        for (to, from) in extended.iter_mut().zip(self.take_array::<N>()?) {
            *to = from;
        }
        Ok(usize::try_from(u64::from_le_bytes(extended)).unwrap_or(usize::MAX))
    }

    /// The text up to the end of the line, which is passed.
    pub(super) fn line(&mut self) -> Result<&'a str, Refusal> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let line = rest.split(|&byte| byte == b'\n').next().unwrap_or_default();
        self.take(line.len().saturating_add(1))?;
        std::str::from_utf8(line).or_else(|_| invalid("a name that it asks for is no text"))
    }
}
