//! The inputs of RoIAlign's operation beside rows: regions, and the weights by which they are made of maps.

use std::sync::Arc;

use convnext_kernels::{DenseMaps, RegionWeights};

/// A rectangle of one image of a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Index of the image in the batch.
    pub image: usize,
    /// Left, top, right and bottom edge in pixels of the network's input; they may lie outside of it.
    pub bounds: [f32; 4],
}

/// The regions of a RoIAlign and the maps that they are of.
#[derive(Debug, Clone)]
pub struct RoiAlignPlan {
    /// Images of the batch.
    pub images: usize,
    /// Height and width of the input maps.
    pub input: [usize; 2],
    /// Height and width of each region's output.
    pub output: [usize; 2],
    /// The weights of every region.
    pub regions: Arc<[RegionWeights]>,
}

impl RoiAlignPlan {
    /// The plan of regions of so many maps whose pixels are `1 / scale` pixels of the network's input.
    ///
    /// # Panics
    /// When a region is of an image that the batch does not have.
    pub(crate) fn new(
        images: usize,
        input: [usize; 2],
        regions: &[Region],
        output: [usize; 2],
        scale: f32,
    ) -> Self {
        let maps = DenseMaps { images, height: input[0], width: input[1] };
        let weights = |region: &Region| {
            // Cells are counted between their centres: the first one's is half a cell from the edge.
            let bounds = region.bounds.map(|edge| f64::from(edge) * f64::from(scale) - 0.5);
            RegionWeights::new(&maps, region.image, bounds, output)
        };
        Self { images, input, output, regions: regions.iter().map(weights).collect() }
    }

    /// Rows of the output.
    pub fn rows(&self) -> usize {
        self.regions.len() * self.output[0] * self.output[1]
    }
}
