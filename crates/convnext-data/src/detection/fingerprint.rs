//! A checksum of objects.

use crate::instances::instance::{Instance, InstanceMask};

/// Adds an object to a checksum.
pub(crate) fn add_instance(hash: &mut crc32fast::Hasher, instance: &Instance) {
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
