//! A buffer pool, so that a step neither requests memory from the system nor clears it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// The process's pool.
static POOL: Mutex<Pool> = Mutex::new(Pool { buffers: Vec::new(), values: 0, in_use: 0, max_in_use: 0 });

/// Smaller buffers are left to the allocator, which pools them itself.
const MIN_POOLED: usize = 1 << 12;

struct Pool {
    /// Idle buffers, the last returned last.
    buffers: Vec<Vec<f32>>,
    /// Their values in total.
    values: usize,
    /// Values in use, and their peak.
    in_use: usize,
    max_in_use: usize,
}

impl Pool {
    /// The smallest idle buffer that is large enough and at most twice as large, or a new one.
    fn take(&mut self, count: usize) -> Vec<f32> {
        let fits = |buffer: &Vec<f32>| (count..=2 * count).contains(&buffer.len());
        let best = (self.buffers.iter().enumerate().rev().filter(|(_, buffer)| fits(buffer)))
            .min_by_key(|(_, buffer)| buffer.len())
            .map(|(index, _)| index);
        let found = best.map(|index| self.buffers.remove(index));
        self.values -= found.as_ref().map_or(0, Vec::len);
        self.in_use += found.as_ref().map_or(count, Vec::len);
        self.max_in_use = self.max_in_use.max(self.in_use);
        found.unwrap_or_else(|| vec![0.0; count])
    }

    /// Returns a buffer to the pool. More idle values than the peak in use mean that sizes have changed: the
    /// least recently returned buffers are freed.
    fn give(&mut self, buffer: Vec<f32>) {
        self.in_use -= buffer.len();
        self.values += buffer.len();
        self.buffers.push(buffer);
        while self.values > self.max_in_use {
            self.values -= self.buffers.remove(0).len();
        }
    }
}

/// A pooled slice of f32. A new one is uninitialised in the sense of its values: write before reading. Its
/// memory returns to the pool when it is dropped.
pub struct Buffer {
    values: Vec<f32>,
    count: usize,
}

impl Buffer {
    /// A buffer from the pool, or a new one.
    pub(crate) fn take(count: usize) -> Self {
        let values = match count < MIN_POOLED {
            true => vec![0.0; count],
            false => POOL.lock().unwrap_or_else(PoisonError::into_inner).take(count),
        };
        Self { values, count }
    }

    /// The same memory as bf16x2 lanes.
    pub(crate) fn bf16x2(&self) -> &[u32] {
        bytemuck::cast_slice(self)
    }

    pub(crate) fn bf16x2_mut(&mut self) -> &mut [u32] {
        bytemuck::cast_slice_mut(self)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        if values.len() >= MIN_POOLED {
            POOL.lock().unwrap_or_else(PoisonError::into_inner).give(values);
        }
    }
}

/// The bytes of the values, for frameworks that own tensors as bytes.
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
    fn a_returned_buffer_is_reused() {
        let mut pool = Pool { buffers: Vec::new(), values: 0, in_use: 0, max_in_use: 0 };
        let [small, large] = [100, 150].map(|count| pool.take(count));
        let places = [small.as_ptr(), large.as_ptr()];
        pool.give(large);
        pool.give(small);
        // The smallest that is large enough, but none that is more than twice as large.
        let again = pool.take(90);
        assert_eq!((again.as_ptr(), again.len()), (places[0], 100));
        let other = pool.take(74);
        assert_eq!(other.len(), 74);
        let last = pool.take(75);
        assert_eq!(last.as_ptr(), places[1]);
    }

    #[test]
    fn unused_buffers_are_freed() {
        let mut pool = Pool { buffers: Vec::new(), values: 0, in_use: 0, max_in_use: 0 };
        for count in (1_000..2_000).rev() {
            let buffer = pool.take(count);
            assert!(buffer.len() <= 2 * count);
            pool.give(buffer);
            assert!(pool.values <= pool.max_in_use && pool.max_in_use <= 2_000);
        }
        assert_eq!(pool.in_use, 0);
    }

    #[test]
    fn copies_have_memory_of_their_own() {
        let mut first = Buffer::take(MIN_POOLED);
        first.fill(3.0);
        let copy = first.clone();
        first.fill(5.0);
        assert!(copy.iter().all(|&value| value == 3.0) && copy != first);
        assert_eq!(AsRef::<[u8]>::as_ref(&copy).len(), 4 * MIN_POOLED);
    }
}
