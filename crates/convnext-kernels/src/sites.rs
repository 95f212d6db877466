//! The sites of an activation matrix's rows in the maps of a batch.

use std::collections::HashSet;

use thiserror::Error;

/// Sizes that do not describe sites.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SitesError {
    /// A batch, map or tile without extent.
    #[error("sites need at least one image, one row, one column and one kept tile")]
    Empty,
    /// A kept tile lies outside the grid of tiles.
    #[error("kept tile {tile} of image {image} does not exist: the grid has {tiles} tiles")]
    NoSuchTile {
        /// Index of the image in the batch.
        image: usize,
        /// Index of the tile, row by row.
        tile: usize,
        /// Number of tiles of the grid.
        tiles: usize,
    },
    /// A tile is kept twice, so that two rows would be one site.
    #[error("image {image} keeps tile {tile} twice; list each kept tile once")]
    DuplicateTile {
        /// Index of the image in the batch.
        image: usize,
        /// Index of the tile, row by row.
        tile: usize,
    },
    /// Images that keep different numbers of tiles cannot share a batch.
    #[error("image {image} keeps {found} tiles, the first image of the batch keeps {expected}")]
    UnequalImages {
        /// Index of the image in the batch.
        image: usize,
        /// Tiles that the first image keeps.
        expected: usize,
        /// Tiles that this image keeps.
        found: usize,
    },
}

/// The sites of a batch, in the order of its rows: (image, tile, y, x).
///
/// A sparse batch keeps some tiles of each image, the same number in every image. A dense batch is
/// the case of one tile that is the whole map, of any height and width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites {
    /// Tiles from top to bottom and from left to right.
    grid: [usize; 2],
    /// Rows and columns of one tile.
    tile: [usize; 2],
    /// For each image the kept tiles, as indices into the grid, row by row.
    kept: Vec<Vec<usize>>,
}

impl Sites {
    /// All sites of `images` maps of `height` x `width`.
    ///
    /// # Errors
    /// [`SitesError::Empty`] when any of the three is 0.
    pub fn dense(images: usize, height: usize, width: usize) -> Result<Self, SitesError> {
        if images == 0 || height == 0 || width == 0 {
            return Err(SitesError::Empty);
        }
        Ok(Self { grid: [1, 1], tile: [height, width], kept: vec![vec![0]; images] })
    }

    /// The sites of the kept tiles: `kept[image]` lists tiles of a grid of `grid[0]` x `grid[1]`
    /// tiles, each once, of `side` x `side` sites.
    ///
    /// # Errors
    /// Any [`SitesError`].
    pub fn tiled(grid: [usize; 2], side: usize, kept: Vec<Vec<usize>>) -> Result<Self, SitesError> {
        let tiles = grid[0] * grid[1];
        let expected = kept.first().map_or(0, Vec::len);
        if expected == 0 || side == 0 || tiles == 0 {
            return Err(SitesError::Empty);
        }
        for (image, list) in kept.iter().enumerate() {
            if list.len() != expected {
                return Err(SitesError::UnequalImages { image, expected, found: list.len() });
            }
            if let Some(&tile) = list.iter().find(|&&tile| tile >= tiles) {
                return Err(SitesError::NoSuchTile { image, tile, tiles });
            }
            let mut seen = HashSet::new();
            if let Some(&tile) = list.iter().find(|&&tile| !seen.insert(tile)) {
                return Err(SitesError::DuplicateTile { image, tile });
            }
        }
        Ok(Self { grid, tile: [side, side], kept })
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.kept.len()
    }

    /// Rows of one image's map, kept or not.
    pub fn height(&self) -> usize {
        self.grid[0] * self.tile[0]
    }

    /// Columns of one image's map, kept or not.
    pub fn width(&self) -> usize {
        self.grid[1] * self.tile[1]
    }

    /// Kept sites of each image: the same for all.
    pub fn rows_per_image(&self) -> usize {
        self.kept[0].len() * self.tile[0] * self.tile[1]
    }

    /// Kept sites of the batch: the rows of its activation matrix.
    pub fn rows(&self) -> usize {
        self.images() * self.rows_per_image()
    }

    /// `true` when the rows are exactly the maps, site after site.
    pub fn is_dense(&self) -> bool {
        self.grid == [1, 1]
    }

    /// Rows and columns of one tile.
    pub(crate) fn tile(&self) -> [usize; 2] {
        self.tile
    }

    /// The first row and column of each kept tile of an image, in order.
    pub(crate) fn tiles(&self, image: usize) -> impl Iterator<Item = (usize, usize)> {
        let place = |tile| ((tile / self.grid[1]) * self.tile[0], (tile % self.grid[1]) * self.tile[1]);
        self.kept[image].iter().map(place)
    }

    /// The flat index of every row in the stacked maps: `(image * height + y) * width + x`.
    pub fn positions(&self) -> Vec<usize> {
        let [tile_height, tile_width] = self.tile;
        let (height, width) = (self.height(), self.width());
        let mut positions = Vec::with_capacity(self.rows());
        for image in 0..self.images() {
            for (top, left) in self.tiles(image) {
                for y in top..top + tile_height {
                    let start = (image * height + y) * width;
                    positions.extend(start + left..start + left + tile_width);
                }
            }
        }
        positions
    }

    /// The sites after a 2x2 convolution of stride 2, flooring: an odd last row or column drops out.
    ///
    /// # Errors
    /// [`SitesError::Empty`] when a tile is only one site high or wide.
    pub fn downsample(&self) -> Result<Self, SitesError> {
        let tile = self.tile.map(|side| side / 2);
        if tile.contains(&0) {
            return Err(SitesError::Empty);
        }
        Ok(Self { grid: self.grid, tile, kept: self.kept.clone() })
    }

    /// For every row of [`Self::downsample`], in order, the four rows of `self` that it is computed from:
    /// (top left, top right, bottom left, bottom right), flattened.
    pub fn children(&self) -> Vec<usize> {
        let [tile_height, tile_width] = self.tile;
        let [out_height, out_width] = self.tile.map(|side| side / 2);
        let tiles = self.images() * self.kept[0].len();
        let mut children = Vec::with_capacity(4 * tiles * out_height * out_width);
        for tile in 0..tiles {
            let base = tile * tile_height * tile_width;
            for y in 0..out_height {
                for x in 0..out_width {
                    let first = base + 2 * y * tile_width + 2 * x;
                    children.extend([first, first + 1, first + tile_width, first + tile_width + 1]);
                }
            }
        }
        children
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dense_rows_are_the_map() {
        let sites = Sites::dense(2, 3, 5).unwrap();
        assert!(sites.is_dense());
        assert_eq!(sites.positions(), (0..30).collect::<Vec<_>>());
        // The odd third row and fifth column drop out, as in PyTorch.
        let half = sites.downsample().unwrap();
        assert_eq!((half.height(), half.width(), half.rows()), (1, 2, 4));
        assert_eq!(sites.children()[..8], [0, 1, 5, 6, 2, 3, 7, 8]);
        assert_eq!(sites.children()[8..12], [15, 16, 20, 21]);
    }

    #[test]
    fn tiles_follow_the_grid() {
        let sites = Sites::tiled([2, 2], 2, vec![vec![1, 2], vec![0, 3]]).unwrap();
        assert_eq!((sites.height(), sites.width(), sites.rows()), (4, 4, 16));
        assert_eq!(sites.positions(), [2, 3, 6, 7, 8, 9, 12, 13, 16, 17, 20, 21, 26, 27, 30, 31]);
        assert_eq!(sites.children()[..8], [0, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(sites.downsample().unwrap().positions(), [1, 2, 4, 7]);
    }

    #[test]
    fn children_of_kept_sites_are_the_same_places_as_in_the_dense_map() {
        let sparse = Sites::tiled([2, 3], 4, vec![vec![0, 4, 5]]).unwrap();
        let half = sparse.downsample().unwrap();
        let places = sparse.positions();
        for (row, four) in sparse.children().chunks(4).enumerate() {
            let (y, x) = (half.positions()[row] / half.width(), half.positions()[row] % half.width());
            let at = |dy: usize, dx: usize| (2 * y + dy) * sparse.width() + 2 * x + dx;
            let found: Vec<usize> = four.iter().map(|&child| places[child]).collect();
            assert_eq!(found, [at(0, 0), at(0, 1), at(1, 0), at(1, 1)]);
        }
    }

    #[test]
    fn bad_sites_are_refused() {
        assert_eq!(Sites::dense(0, 1, 1), Err(SitesError::Empty));
        assert_eq!(Sites::tiled([2, 2], 1, vec![vec![]]), Err(SitesError::Empty));
        let message = Sites::tiled([2, 2], 1, vec![vec![4]]).unwrap_err().to_string();
        assert!(message.contains("tile 4 of image 0"), "{message}");
        let message = Sites::tiled([2, 2], 1, vec![vec![0], vec![1, 2]]).unwrap_err().to_string();
        assert!(message.contains("image 1 keeps 2 tiles"), "{message}");
        let message = Sites::tiled([2, 2], 1, vec![vec![0, 3], vec![2, 2]]).unwrap_err().to_string();
        assert!(message.contains("image 1 keeps tile 2 twice"), "{message}");
        assert_eq!(Sites::tiled([1, 2], 1, vec![vec![0]]).unwrap().downsample(), Err(SitesError::Empty));
    }
}
