//! Input of a segmentation network by transformers' `SegformerImageProcessor`, whose networks take images of any size.

use convnext_core::{ImageSize, MAX_IMAGE_SIDE};

use super::forms::Size;
use super::settings::PackageCrop;
use crate::convert::SHORTEST_EDGE;

/// Side of the images where the processor states no size.
const USUAL_SIDE: usize = 512;

/// Size of the input, where all have one, and the resizing to it: warping to height and width, in proportion to a shortest
/// edge, or none.
pub(super) fn input(
    size: Option<Size>,
    do_resize: Option<bool>,
    remarks: &mut Vec<String>,
) -> (Option<ImageSize>, Option<PackageCrop>) {
    if do_resize == Some(false) {
        return (None, Some(PackageCrop::Unresized));
    }
    match size.unwrap_or(Size::Side(USUAL_SIDE)) {
        Size::ShortestEdge { shortest_edge: short, longest_edge } => {
            remarks.push(format!("size has shortest_edge {short}: {SHORTEST_EDGE}"));
            let long = longest_edge.map_or(MAX_IMAGE_SIDE, |long| long as usize);
            (None, Some(PackageCrop::Fit { long, short: short.min(long) }))
        }
        warped => (Some(warped.sides()), Some(PackageCrop::Whole)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortest_edge_is_remarked_on() {
        let edge = Some(Size::ShortestEdge { shortest_edge: 64, longest_edge: Some(256.0) });
        for (size, do_resize, expected) in
            [(edge, None, 1), (edge, Some(false), 0), (None, None, 0), (Some(Size::Side(64)), None, 0)]
        {
            let mut remarks = Vec::new();
            input(size, do_resize, &mut remarks);
            assert_eq!(remarks.len(), expected, "{remarks:?}");
            assert!(remarks.iter().all(|remark| remark.contains("shortest_edge 64")), "{remarks:?}");
        }
    }
}
