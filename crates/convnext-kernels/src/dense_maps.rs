//! The maps of a batch whose rows are all sites of every image, in the order (image, y, x).

/// Maps of one height and width, every site of which has a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DenseMaps {
    /// Images of the batch.
    pub images: usize,
    /// Rows of a map.
    pub height: usize,
    /// Columns of a map.
    pub width: usize,
}

impl DenseMaps {
    /// Sites of the batch: the rows of its activation matrix.
    pub fn rows(&self) -> usize {
        self.images * self.sites()
    }

    /// Sites of one map.
    pub(crate) fn sites(&self) -> usize {
        self.height * self.width
    }
}
