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

/// How a region is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RoiSampling {
    /// `aligned=True`, `sampling_ratio=0` in torchvision's `roi_align`: between the centres of cells, by as many samples as a
    /// bin has cells.
    #[default]
    Aligned,
    /// `aligned=False`, `sampling_ratio=2`: half a cell further to the bottom and to the right, by 2 x 2 samples of a bin, from
    /// a region that is a cell wide and high at least.
    Shifted,
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
        (scale, sampling): (f32, RoiSampling),
    ) -> Self {
        let maps = DenseMaps { images, height: input[0], width: input[1] };
        let weights = |region: &Region| {
            let bounds = region.bounds.map(|edge| f64::from(edge) * f64::from(scale));
            let (bounds, samples) = match sampling {
                // Cells are counted between their centres: the first one's is half a cell from the edge.
                RoiSampling::Aligned => (bounds.map(|edge| edge - 0.5), None),
                RoiSampling::Shifted => (a_cell_wide(bounds), Some(2)),
            };
            RegionWeights::new(&maps, region.image, bounds, output, samples)
        };
        Self { images, input, output, regions: regions.iter().map(weights).collect() }
    }

    /// Rows of the output.
    pub fn rows(&self) -> usize {
        self.regions.len() * self.output[0] * self.output[1]
    }
}

/// The edges, those at the right and at the bottom moved to a cell from the others where they are nearer.
fn a_cell_wide([left, top, right, bottom]: [f64; 4]) -> [f64; 4] {
    [left, top, right.max(left + 1.0), bottom.max(top + 1.0)]
}
