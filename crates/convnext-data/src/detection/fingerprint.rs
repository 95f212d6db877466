//! A checksum of images with their objects.

use crate::detection::set::{DetectionSet, Entry};
use crate::instances::instance::{Instance, InstanceMask};

impl DetectionSet {
    /// A checksum of the names of the classes, of every image, and of its objects, in order. A resumed run notices by it
    /// that its data is another.
    pub fn fingerprint(&self) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&self.images().fingerprint().to_le_bytes());
        for class in &self.classes().0 {
            hash.update(class.as_bytes());
            hash.update(&[0]);
        }
        for index in 0..self.len() {
            let Entry { size, tile, instances, .. } = self.entry(index);
            let corner = tile.map_or([usize::MAX; 2], |tile| [tile.left, tile.top]);
            for number in [size.height, size.width, corner[0], corner[1], instances.len()] {
                hash.update(&(number as u64).to_le_bytes());
            }
            instances.iter().for_each(|instance| add_instance(&mut hash, instance));
        }
        hash.finalize()
    }
}

/// Adds an object to a checksum.
fn add_instance(hash: &mut crc32fast::Hasher, instance: &Instance) {
    let Instance { class, bounds, mask, area, is_crowd } = instance;
    hash.update(&(*class as u64).to_le_bytes());
    hash.update(&[u8::from(*is_crowd)]);
    for number in bounds.edges().into_iter().chain([*area]) {
        hash.update(&number.to_le_bytes());
    }
    match mask {
        None => hash.update(&[0]),
        Some(InstanceMask::Rings(rings)) => {
            for ring in rings {
                hash.update(&[1]);
                ring.iter().for_each(|coordinate| hash.update(&coordinate.to_le_bytes()));
            }
        }
        Some(InstanceMask::RunLengths(pixels)) => {
            hash.update(&[2]);
            pixels.counts().iter().for_each(|count| hash.update(&count.to_le_bytes()));
        }
    }
}
