//! Huge images as tiles, for training (facts: SAHI's `slice_coco`).

use std::sync::Arc;

use convnext_core::{BoundingBox, ImageSize};

use crate::detection::set::{DetectionSet, Entry};
use crate::error::DataError;
use crate::instances::instance::{Instance, InstanceMask};
use crate::instances::run_lengths::RunLengths;
use crate::transforms::resized_cut::ResizedCut;

/// How images become tiles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TileOptions {
    /// Height and width of a tile, in pixels.
    pub size: usize,
    /// Share of a tile that its neighbour has as well, in [0, 1).
    pub overlap: f64,
    /// Images whose longer side has more pixels than this become tiles.
    pub limit: usize,
    /// Objects stay in a tile that has at least this share of their area, in (0, 1].
    pub least_area: f64,
}

impl TileOptions {
    /// Share of a tile that its neighbour has as well, unless another is given.
    pub const OVERLAP: f64 = 0.2;

    /// Tiles of images that are larger than one and a half of them, with a fifth of overlap and a tenth of an object.
    pub fn of_size(size: usize) -> Self {
        Self { size, overlap: Self::OVERLAP, limit: size + size / 2, least_area: 0.1 }
    }

    /// Checks every value against its range.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] with the first value that does not fit.
    pub fn validate(&self) -> Result<(), DataError> {
        DataError::check(self.size > 0, "tile size", self.size, "above 0")?;
        let shared = (0.0..1.0).contains(&self.overlap);
        DataError::check(shared, "overlap of tiles", self.overlap, "at least 0 and below 1")?;
        DataError::check(
            self.limit >= self.size,
            "limit of whole images",
            self.limit,
            "at least the tile size",
        )?;
        let share = self.least_area > 0.0 && self.least_area <= 1.0;
        DataError::check(share, "share of an object", self.least_area, "above 0 and at most 1")
    }

    /// `true` for an image that becomes tiles.
    fn divides(&self, entry: &Entry) -> bool {
        entry.size.long_side() > self.limit && entry.tile.is_none()
    }

    /// The corners `[left, top]` of the tiles of an image, row by row; the last of a row or a column is moved back into it.
    pub fn corners(&self, image: ImageSize) -> Vec<[usize; 2]> {
        let step = ((self.size as f64 * (1.0 - self.overlap)) as usize).max(1);
        let starts = |side: usize| -> Vec<usize> {
            let last = side.saturating_sub(self.size);
            let mut starts: Vec<usize> = (0..last).step_by(step).collect();
            starts.push(last);
            starts
        };
        let columns = starts(image.width);
        starts(image.height)
            .into_iter()
            .flat_map(|top| columns.iter().map(move |&left| [left, top]))
            .collect()
    }
}

impl DetectionSet {
    /// The number of images that [`Self::tiled`] makes.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for options that make no sense.
    pub fn tile_count(&self, options: TileOptions) -> Result<usize, DataError> {
        options.validate()?;
        let of_image = |index: usize| match self.entry(index) {
            entry if options.divides(entry) => options.corners(entry.size).len(),
            _ => 1,
        };
        Ok((0..self.len()).map(of_image).sum())
    }

    /// The same images, of which those larger than a limit are a tile after another: each is an image of its own, with the
    /// objects that lie in it. Crowds stay where any of their area is.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for options that make no sense.
    pub fn tiled(&self, options: TileOptions) -> Result<Self, DataError> {
        options.validate()?;
        let mut entries = Vec::with_capacity(self.len());
        let shared = self.shared();
        for member in self.members() {
            let entry = &shared.entries[member];
            match options.divides(entry) {
                true => entries.extend(tiles(entry, options)),
                false => entries.push(entry.clone()),
            }
        }
        let members: Vec<usize> = (0..entries.len()).collect();
        Ok(Self::new(&Arc::new(shared.with_entries(entries)), &members))
    }
}

/// The tiles of an image.
fn tiles(entry: &Entry, options: TileOptions) -> Vec<Entry> {
    let masks: Vec<Option<RunLengths>> = entry
        .instances
        .iter()
        .map(|instance| Some(instance.mask.as_ref()?.run_lengths(entry.size)))
        .collect();
    let tile = |[left, top]: [usize; 2]| {
        let size = ImageSize {
            height: options.size.min(entry.size.height),
            width: options.size.min(entry.size.width),
        };
        let cut = ResizedCut { resized: entry.size, left, top, size };
        let objects = entry.instances.iter().zip(&masks);
        let instances =
            objects.filter_map(|(instance, mask)| inside(instance, mask.as_ref(), cut, options.least_area));
        Entry { tile: Some(cut), size, instances: instances.collect(), ..*entry }
    };
    options.corners(entry.size).into_iter().map(tile).collect()
}

/// What a tile has of an object; `None` where that is too little.
fn inside(instance: &Instance, mask: Option<&RunLengths>, cut: ResizedCut, least: f64) -> Option<Instance> {
    let corner = [cut.left, cut.top];
    let moved = instance.bounds.moved(corner.map(|start| -(start as f64))).clipped(cut.size);
    let part = mask.map(|mask| mask.part(corner, cut.size));
    let (bounds, area): (BoundingBox, f64) = match &part {
        Some(part) => (part.bounds(), part.area() as f64),
        None => (moved, moved.area()),
    };
    let whole = mask.map_or_else(|| instance.bounds.area(), |mask| mask.area() as f64);
    let least = if instance.is_crowd { 0.0 } else { least };
    (bounds.has_area() && area > 0.0 && area >= least * whole).then(|| Instance {
        class: instance.class,
        bounds,
        mask: part.map(InstanceMask::RunLengths),
        area,
        is_crowd: instance.is_crowd,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_image_and_the_last_is_moved_back() {
        let options = TileOptions { overlap: 0.25, ..TileOptions::of_size(8) };
        let corners = options.corners(ImageSize { height: 8, width: 23 });
        assert_eq!(corners, [[0, 0], [6, 0], [12, 0], [15, 0]]);
        assert_eq!(options.corners(ImageSize { height: 5, width: 8 }), [[0, 0]]);
        assert_eq!(options.corners(ImageSize { height: 14, width: 14 }), [[0, 0], [6, 0], [0, 6], [6, 6]]);
        assert!(TileOptions { overlap: 1.0, ..options }.validate().is_err() && options.validate().is_ok());
    }

    #[test]
    fn objects_stay_where_enough_of_them_is() {
        let size = ImageSize { height: 8, width: 16 };
        let ring = vec![2.0, 2.0, 12.0, 2.0, 12.0, 6.0, 2.0, 6.0];
        let bounds = BoundingBox { left: 2.0, top: 2.0, right: 12.0, bottom: 6.0 };
        let mask = Some(InstanceMask::Rings(vec![ring]));
        let object = Instance { class: 1, bounds, mask, area: 40.0, is_crowd: false };
        let boxed = Instance { mask: None, ..object.clone() };
        let crowd = Instance { is_crowd: true, ..object.clone() };
        let instances: Box<[Instance]> = [object, boxed, crowd].into();
        let entry = Entry { file: 0, id: 7, source: 0, size, tile: None, instances };
        let options = TileOptions { overlap: 0.0, limit: 8, least_area: 0.5, size: 8 };
        let found = tiles(&entry, options);
        // Six of ten columns lie in the left tile.
        assert_eq!(found.iter().map(|tile| tile.instances.len()).collect::<Vec<_>>(), [3, 1]);
        let [masked, boxed, _] = &*found[0].instances else { panic!("three objects") };
        assert_eq!((masked.bounds.edges(), masked.area), ([2.0, 2.0, 8.0, 6.0], 24.0));
        assert_eq!((boxed.bounds, boxed.area), (masked.bounds, masked.area));
        let crowd = &found[1].instances[0];
        assert_eq!((crowd.bounds.edges(), crowd.is_crowd), ([0.0, 2.0, 4.0, 6.0], true));
        assert_eq!((found[1].tile.unwrap().left, found[1].size), (8, ImageSize::square(8)));
    }
}
