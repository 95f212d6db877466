//! A cache of packed weights between inferences.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The packed form of a layer's parameters, valid until these change. Clones share it. Each belongs to one
/// layer, which always packs in the same way; the backend's kernels know into what.
#[derive(Clone, Default)]
pub struct PackingCache(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl PackingCache {
    /// The packed form of these parameters, made by `pack` unless they are the same as last time.
    pub(crate) fn get<K, P>(&self, parameters: K, pack: impl FnOnce() -> P) -> Arc<P>
    where
        K: PartialEq + Send + 'static,
        P: Send + Sync + 'static,
    {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = last.as_ref().and_then(|entry| entry.downcast_ref::<(K, Arc<P>)>());
        if let Some((of, packed)) = entry
            && *of == parameters
        {
            return packed.clone();
        }
        let packed = Arc::new(pack());
        *last = Some(Box::new((parameters, packed.clone())));
        packed
    }

    /// Drops the packed weights and the references to their parameters.
    pub(crate) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl fmt::Debug for PackingCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PackingCache")
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Shape;

    use super::*;
    use crate::ops::flex_slices::{Memory, tensor};

    #[test]
    fn weights_are_packed_again_after_a_change_or_a_clear() {
        let cache = PackingCache::default();
        let pack = || vec![0.0];
        let [one, other] = [1.0, 1.0].map(|value| tensor(vec![value], Shape::new([1])));
        let first = cache.get(Memory::of(&one), pack);
        assert!(Arc::ptr_eq(&first, &cache.get(Memory::of(&one.clone()), pack)));
        assert!(!Arc::ptr_eq(&first, &cache.get(Memory::of(&other), pack)));
        cache.clear();
        assert_eq!(Arc::strong_count(&one.data_arc()), 2, "the tensor, and what this line holds");
        assert_eq!(Arc::strong_count(&first), 1);
    }
}
