//! Label maps of COCO's annotations.

use convnext_core::ImageSize;
use image::metadata::Orientation as Turn;

use crate::instances::coco_region::Region;
use crate::segmentation::mask::{Mask, MaskPixels};

/// An image with its annotations.
#[derive(Debug, Default)]
pub(crate) struct AnnotatedImage {
    /// Position of the file among all files.
    pub(crate) image: usize,
    /// Name in messages.
    pub(crate) name: String,
    pub(crate) size: Option<ImageSize>,
    pub(crate) regions: Vec<LabelledRegion>,
}

/// A region and its number in the label map: 0 is what no region covers, [`crate::LabelMap::IGNORED`] what is ignored.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LabelledRegion {
    pub(crate) id: u16,
    pub(crate) region: Region,
    /// It lies below objects.
    pub(crate) is_crowd: bool,
}

impl AnnotatedImage {
    /// Draws the regions: crowds first, then larger before smaller ones, and of equal ones the later above.
    ///
    /// # Errors
    /// In words, when run lengths are damaged or of another size.
    pub(crate) fn mask(&self) -> Result<Mask, String> {
        let size = self.size.unwrap_or(ImageSize::square(1));
        let mut drawn = Vec::with_capacity(self.regions.len());
        for LabelledRegion { id, region, is_crowd } in &self.regions {
            let Some(pixels) = region.pixels(size)? else { continue };
            drawn.push((!is_crowd, pixels.area(), *id, pixels));
        }
        // Larger regions first; the sort is stable.
        drawn.sort_by_key(|&(is_object, area, ..)| (is_object, std::cmp::Reverse(area)));
        let mut by_columns = vec![0; size.pixels()];
        for (_, _, id, pixels) in drawn {
            for (start, end) in pixels.ranges() {
                by_columns[start..end].fill(id);
            }
        }
        let mut ids = Vec::with_capacity(size.pixels());
        for row in 0..size.height {
            ids.extend(by_columns[row..].iter().step_by(size.height));
        }
        Ok(Mask { size, pixels: MaskPixels::Ids(ids, 0), turn: Turn::NoTransforms })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(from: f64, to: f64) -> Region {
        Region::Rings(vec![vec![from, from, to, from, to, to, from, to]])
    }

    fn drawn(regions: &[(u16, Region, bool)]) -> Vec<u16> {
        let regions = regions.iter().map(|(id, region, is_crowd)| LabelledRegion {
            id: *id,
            region: region.clone(),
            is_crowd: *is_crowd,
        });
        let size = Some(ImageSize { height: 4, width: 5 });
        let image = AnnotatedImage { size, regions: regions.collect(), ..AnnotatedImage::default() };
        let MaskPixels::Ids(ids, _) = image.mask().unwrap().pixels else { panic!() };
        ids
    }

    #[test]
    fn smaller_regions_lie_above_larger_ones_and_later_above_equal_ones() {
        let ids = drawn(&[(2, square(1.0, 3.0), false), (1, square(0.0, 4.0), false)]);
        assert_eq!(ids, [1, 1, 1, 1, 0, 1, 2, 2, 1, 0, 1, 2, 2, 1, 0, 1, 1, 1, 1, 0]);
        assert_eq!(drawn(&[(1, square(0.0, 2.0), false), (2, square(0.0, 2.0), false)])[0], 2);
        // A crowd lies below, however small.
        assert_eq!(drawn(&[(2, square(1.0, 3.0), true), (1, square(0.0, 4.0), false)])[6], 1);
        let counts = Region::Counts { size: [4, 5], counts: vec![4, 1] };
        assert_eq!(drawn(&[(3, counts, false)])[..3], [0, 3, 0]);
    }

    #[test]
    fn regions_of_another_size_are_refused() {
        let region = Region::Counts { size: [5, 4], counts: vec![4, 1] };
        let regions = vec![LabelledRegion { id: 1, region, is_crowd: false }];
        let size = Some(ImageSize { height: 4, width: 5 });
        let why = AnnotatedImage { size, regions, ..AnnotatedImage::default() }.mask().unwrap_err();
        assert!(why.contains("5 x 4 px"), "{why}");
    }
}
