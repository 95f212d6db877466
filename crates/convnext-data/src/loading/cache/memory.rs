//! Decoded images in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::error::DataError;
use crate::pixels::image::Image;

/// The first images that fit into a limit.
#[derive(Debug)]
pub(crate) struct MemoryCache {
    limit: u64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    images: HashMap<usize, Arc<Image>>,
    bytes: u64,
}

impl MemoryCache {
    /// An empty cache for this many bytes of pixels.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, kept: Mutex::default() }
    }

    /// The image of a sample, kept or decoded now.
    pub(crate) fn image(
        &self,
        sample: usize,
        decode: impl FnOnce() -> Result<Image, DataError>,
    ) -> Result<Arc<Image>, DataError> {
        let lock = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = lock().images.get(&sample) {
            return Ok(Arc::clone(image));
        }
        // Others go on meanwhile; two threads that want the same image both decode it.
        let image = Arc::new(decode()?);
        let bytes = image.levels().as_bytes().len() as u64;
        let mut kept = lock();
        if bytes <= self.limit - kept.bytes && !kept.images.contains_key(&sample) {
            kept.bytes += bytes;
            kept.images.insert(sample, Arc::clone(&image));
        }
        Ok(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_kept_up_to_the_limit() {
        let cache = MemoryCache::new(30);
        // 12 bytes each: the third does not fit, a small one does.
        let sides = [(2, 2), (2, 2), (2, 2), (1, 2)];
        for _ in 0..2 {
            for (sample, (width, height)) in sides.into_iter().enumerate() {
                let decode = || Image::new(width, height, 3, vec![sample as u8; width * height * 3]);
                let image = cache.image(sample, decode).unwrap();
                assert_eq!((image.width(), image.bytes()[0]), (width, sample as u8));
            }
        }
        let kept = cache.kept.lock().unwrap();
        let mut samples: Vec<_> = kept.images.keys().copied().collect();
        samples.sort_unstable();
        assert_eq!((samples, kept.bytes), (vec![0, 1, 3], 30));
        drop(kept);
        let unused = || panic!("it is kept");
        assert_eq!(cache.image(1, unused).unwrap().bytes(), [1; 12]);
    }
}
