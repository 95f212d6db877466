//! RoIAlign: regions of dense maps in one size, each axis by the weights of a few cells.
//!
//! Notation: H x W the maps, C channels.

use crate::resample::axis_weights::AxisWeights;

/// The weights by which a region is made of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionWeights {
    /// Index of the map.
    pub image: usize,
    /// Along height and width.
    pub axes: [AxisWeights; 2],
}
