//! A class for every pixel of an image.

use convnext_core::ImageSize;

/// A label of every pixel, row by row: an index into the classes, or [`LabelMap::IGNORED`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelMap {
    /// Width in pixels, at least 1.
    pub width: usize,
    /// Height in pixels, at least 1.
    pub height: usize,
    /// Shape `[height, width]`.
    pub labels: Vec<u16>,
}

impl LabelMap {
    /// The label of a pixel that is neither trained nor measured on.
    pub const IGNORED: u16 = u16::MAX;

    /// A map of one label.
    pub fn of_one(size: ImageSize, label: u16) -> Self {
        Self { width: size.width, height: size.height, labels: vec![label; size.pixels()] }
    }

    /// Height and width in pixels.
    pub fn size(&self) -> ImageSize {
        ImageSize { height: self.height, width: self.width }
    }

    /// The label at column `x` and row `y`; [`Self::IGNORED`] outside.
    pub fn get(&self, x: usize, y: usize) -> u16 {
        let inside = x < self.width && y < self.height;
        if inside { self.labels[y * self.width + x] } else { Self::IGNORED }
    }

    /// A map of another size, whose columns and rows are those of this one that are named, and ignored where none is.
    pub(crate) fn of_columns_and_rows(&self, columns: &[Option<usize>], rows: &[Option<usize>]) -> Self {
        let mut labels = Vec::with_capacity(columns.len() * rows.len());
        for row in rows {
            let row = row.map(|row| &self.labels[row * self.width..][..self.width]);
            labels.extend(
                columns.iter().map(|&column| row.zip(column).map_or(Self::IGNORED, |(row, x)| row[x])),
            );
        }
        Self { width: columns.len(), height: rows.len(), labels }
    }

    /// The map with left and right exchanged.
    pub(crate) fn mirrored(mut self) -> Self {
        self.labels.chunks_exact_mut(self.width).for_each(<[u16]>::reverse);
        self
    }
}
