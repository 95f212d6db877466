//! Buffers that are used again, so that a step neither asks the system for memory nor clears it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers that nobody uses at the moment.
static FREE: Mutex<Free> = Mutex::new(Free { buffers: Vec::new(), values: 0, lent: 0, most_lent: 0 });

/// Smaller ones are left to the allocator, which keeps them itself.
const SMALLEST: usize = 1 << 12;

struct Free {
    /// The one that was given back last is the last.
    buffers: Vec<Vec<f32>>,
    /// How many values they have.
    values: usize,
    /// Values that are in use, and the most that ever were.
    lent: usize,
    most_lent: usize,
}

impl Free {
    /// The smallest buffer that is large enough, unless that would waste half of it; or else a new one.
    fn take(&mut self, count: usize) -> Vec<f32> {
        let fits = |buffer: &Vec<f32>| (count..=2 * count).contains(&buffer.len());
        let best = (self.buffers.iter().enumerate().rev().filter(|(_, buffer)| fits(buffer)))
            .min_by_key(|(_, buffer)| buffer.len())
            .map(|(index, _)| index);
        let found = best.map(|index| self.buffers.remove(index));
        self.values -= found.as_ref().map_or(0, Vec::len);
        self.lent += found.as_ref().map_or(count, Vec::len);
        self.most_lent = self.most_lent.max(self.lent);
        found.unwrap_or_else(|| vec![0.0; count])
    }

    /// Takes a buffer back. If more lies idle then than was ever in use, sizes have changed: what nobody
    /// has wanted for longest goes.
    fn give(&mut self, buffer: Vec<f32>) {
        self.lent -= buffer.len();
        self.values += buffer.len();
        self.buffers.push(buffer);
        while self.values > self.most_lent {
            self.values -= self.buffers.remove(0).len();
        }
    }
}

/// A row of values. A new one holds values without a meaning: whoever takes it writes before reading. Its
/// memory is used again after it is dropped.
pub struct Buffer {
    values: Vec<f32>,
    count: usize,
}

impl Buffer {
    /// A buffer that nobody uses at the moment, or a new one.
    pub(crate) fn take(count: usize) -> Self {
        let values = match count < SMALLEST {
            true => vec![0.0; count],
            false => FREE.lock().unwrap_or_else(PoisonError::into_inner).take(count),
        };
        Self { values, count }
    }

    /// The same memory as pairs of bf16 values.
    pub(crate) fn pairs(&self) -> &[u32] {
        bytemuck::cast_slice(self)
    }

    pub(crate) fn pairs_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(self)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if values.len() >= SMALLEST {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).give(values);
        }
    }
}

/// The bytes of the values, for frameworks that hold them.
impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(self)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.count]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.count]
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::take(self.count);
        copy.copy_from_slice(self);
        copy
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} values", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_taken_again() {
        let mut free = Free { buffers: Vec::new(), values: 0, lent: 0, most_lent: 0 };
        let [small, large] = [100, 150].map(|count| free.take(count));
        let places = [small.as_ptr(), large.as_ptr()];
        free.give(large);
        free.give(small);
        // The smallest that is large enough, but none that is twice as large as wanted.
        let again = free.take(90);
        assert_eq!((again.as_ptr(), again.len()), (places[0], 100));
        let other = free.take(74);
        assert_eq!(other.len(), 74);
        let last = free.take(75);
        assert_eq!(last.as_ptr(), places[1]);
    }

    #[test]
    fn what_nobody_wants_any_more_is_let_go() {
        let mut free = Free { buffers: Vec::new(), values: 0, lent: 0, most_lent: 0 };
        for count in (1_000..2_000).rev() {
            let buffer = free.take(count);
            assert!(buffer.len() <= 2 * count);
            free.give(buffer);
            assert!(free.values <= free.most_lent && free.most_lent <= 2_000);
        }
        assert_eq!(free.lent, 0);
    }

    #[test]
    fn copies_have_memory_of_their_own() {
        let mut first = Buffer::take(SMALLEST);
        first.fill(3.0);
        let copy = first.clone();
        first.fill(5.0);
        assert!(copy.iter().all(|&value| value == 3.0) && copy != first);
        assert_eq!(AsRef::<[u8]>::as_ref(&copy).len(), 4 * SMALLEST);
    }
}
