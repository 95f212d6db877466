//! A cache of packed weights between inferences.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
        if let Some(packed) = self.find(&parameters) {
            return packed;
        }
        // Not under the lock: while it waits for the other threads, this one runs other tasks, of which one may be an inference
        // with the same layer. Then both pack, into the same values.
        let packed = Arc::new(pack());
        *self.lock() = Some(Box::new((parameters, packed.clone())));
        packed
    }

    /// The packed form that is cached, if it is that of these parameters.
    fn find<K: PartialEq + 'static, P: 'static>(&self, parameters: &K) -> Option<Arc<P>> {
        let last = self.lock();
        let (of, packed) = last.as_ref()?.downcast_ref::<(K, Arc<P>)>()?;
        (of == parameters).then(|| packed.clone())
    }

    /// Drops the packed weights and the references to their parameters.
    pub(crate) fn clear(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<dyn Any + Send>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PackingCache {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PackingCache")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

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

    /// Bug: inferences in a loop of rayon waited for each other for ever.
    #[test]
    fn another_inference_may_begin_while_the_first_one_packs() {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let cache = PackingCache::default();
            let packed = cache.get(1, || *cache.get(1, || 5));
            sender.send(*packed)
        });
        assert_eq!(receiver.recv_timeout(Duration::from_secs(60)), Ok(5));
    }
}
