//! Buffers that are used again, so that a training step neither asks the system for memory nor clears it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

/// Buffers that nobody uses at the moment.
static FREE: Mutex<Vec<Vec<f32>>> = Mutex::new(Vec::new());

/// Smaller ones are left to the allocator, which keeps them itself.
const SMALLEST: usize = 1 << 12;

/// A buffer of values without a meaning: whoever takes it writes before reading. It goes back to the
/// others when it is dropped.
pub(crate) struct Scratch {
    values: Vec<f32>,
    count: usize,
}

impl Scratch {
    /// Takes the smallest free buffer that is large enough, unless that would waste half of it.
    pub(crate) fn take(count: usize) -> Self {
        if count < SMALLEST {
            return Self { values: vec![0.0; count], count };
        }
        let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |buffer: &Vec<f32>| (count..=2 * count).contains(&buffer.len());
        let best = (free.iter().enumerate().filter(|(_, buffer)| fits(buffer)))
            .min_by_key(|(_, buffer)| buffer.len())
            .map(|(index, _)| index);
        let found = best.map(|index| free.swap_remove(index));
        drop(free);
        Self { values: found.unwrap_or_else(|| vec![0.0; count]), count }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.values.len() >= SMALLEST {
            FREE.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.values));
        }
    }
}

impl Deref for Scratch {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.count]
    }
}

impl DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.count]
    }
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        let mut copy = Self::take(self.count);
        copy.copy_from_slice(self);
        copy
    }
}

impl PartialEq for Scratch {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} values", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_that_was_given_back_is_taken_again() {
        // A size that no other test uses.
        let count = 123_457;
        let mut first = Scratch::take(count);
        first[count - 1] = 5.0;
        let place = first.as_ptr();
        let copy = first.clone();
        assert!(copy == first && copy.as_ptr() != place);
        drop(copy);
        drop(first);
        let places: Vec<Scratch> = (0..2).map(|_| Scratch::take(count - 7)).collect();
        assert!(places.iter().any(|buffer| buffer.as_ptr() == place));
        assert!(places.iter().all(|buffer| buffer.len() == count - 7));
    }
}
