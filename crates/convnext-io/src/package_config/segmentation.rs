//! Input of a segmentation network by transformers' `SegformerImageProcessor`, whose networks take images of any size.

use convnext_core::{ImageSize, MAX_IMAGE_SIDE};

use super::forms::Size;
use super::settings::PackageCrop;

/// Side of the images where the processor states no size.
const USUAL_SIDE: usize = 512;

/// Size of the input, where all have one, and the resizing to it: warping to height and width, in proportion to a shortest
/// edge, or none.
pub(super) fn input(size: Option<Size>, do_resize: Option<bool>) -> (Option<ImageSize>, Option<PackageCrop>) {
    if do_resize == Some(false) {
        return (None, Some(PackageCrop::Unresized));
    }
    match size.unwrap_or(Size::Side(USUAL_SIDE)) {
        Size::ShortestEdge { shortest_edge: short, longest_edge } => {
            let long = longest_edge.map_or(MAX_IMAGE_SIDE, |long| long as usize);
            (None, Some(PackageCrop::Fit { long, short: short.min(long) }))
        }
        warped => (Some(warped.sides()), Some(PackageCrop::Whole)),
    }
}
