//! The ConvNeXt block on rows, forward: depthwise 7x7, LayerNorm, linear to E = 4C channels, GELU, GRN,
//! linear to C, LayerScale, drop path, residual (paper Figure 5).
//!
//! The convolution runs over the whole batch, the rest by image block (see [`crate::blocking`]): a first
//! sweep over the row blocks up to GELU, which also sums the squares for GRN, and a second one from GRN on.
//! An inactive image, whose branch is dropped, costs nothing.
//!
//! Notation: N images, R rows of one image, C channels, E = 4C.

pub(crate) mod branch;
pub(crate) mod branch_backward;
mod branch_buffers;
pub(crate) mod input;
pub(crate) mod packed;
pub(crate) mod saved;
pub(crate) mod segment_norm;
pub(crate) mod weights;

use crate::bands::Bands;
use crate::bf16::columns::pack_columns;
use crate::block::branch::Branch;
use crate::block::input::BlockInput;
use crate::block::packed::{PackedBlock, PackedLayers};
use crate::block::saved::{Save, SavedActivations};
use crate::blocking::{ImageBlock, image_blocks};
use crate::buffer::Buffer;
use crate::depthwise::Depthwise;
use crate::element::Element;
use crate::parallel;
use crate::registers::bf16x2_count;
use crate::split::{scaled, split_at_ranges};
use crate::target::Target;

/// One block: `[N R, C]` to `[N R, C]`, with its linear layers `packed` from the same weights.
///
/// Returns the output, and the activations that `save` asks for, for [`crate::block_backward()`].
///
/// # Panics
/// When sizes do not fit each other.
pub fn block_forward(
    input: &BlockInput<'_>,
    packed: &PackedBlock,
    save: Save,
) -> (Buffer, Option<SavedActivations>) {
    let BlockInput { target: Target { arch, bf16 }, sites, rows, weights, .. } = *input;
    weights.check();
    let (channels, width) = (weights.channels(), weights.width());
    assert_eq!(rows.len(), sites.rows() * channels, "there is a row for each site");
    let images = input.active_images();
    let bands = Bands::new(sites, |image| images.binary_search(&image).is_ok());
    let mut depthwise = Buffer::take(rows.len());
    let convolution = Depthwise { arch, bands: &bands, rows, weight: weights.depthwise_weight };
    convolution.forward(weights.depthwise_bias, &mut depthwise);
    let mut out = Buffer::take(rows.len());
    input.copy_inactive(&images, rows, &mut out);
    let rounded = save == Save::Bf16 || matches!(packed.layers, PackedLayers::Bf16(_));
    let saved_width = match save {
        Save::Nothing => 0,
        _ if rounded => bf16x2_count(width),
        _ => width,
    };
    let image_blocks = image_blocks(sites, &images, width);
    let mut expanded = Buffer::take(images.len() * sites.rows_per_image() * saved_width);
    let (projection_bias, grn) = (&packed.projection_bias[..], weights.grn_or_zeros());
    let buffers = [&mut expanded[..], &mut out[..]];
    match &packed.layers {
        PackedLayers::F32(layers) => {
            let branch = Branch { input, element: arch, layers, projection_bias, grn };
            run_branch(&branch, &image_blocks, &depthwise, buffers);
        }
        PackedLayers::Bf16(layers) => {
            let branch = Branch { input, element: bf16, layers, projection_bias, grn };
            run_branch(&branch, &image_blocks, &depthwise, buffers);
        }
    }
    let saved = match save {
        Save::Nothing => None,
        _ if rounded => Some(SavedActivations {
            rows: Some(pack_columns(bf16, rows, channels)),
            depthwise: pack_columns(bf16, &depthwise, channels),
            expanded,
        }),
        _ => Some(SavedActivations { rows: None, depthwise, expanded }),
    };
    (out, saved)
}

/// The branch of all image blocks, from the convolution's output to `expanded`, which may be empty, and
/// `out`.
fn run_branch<E: Element>(
    branch: &Branch<'_, E>,
    image_blocks: &[ImageBlock],
    depthwise: &[f32],
    [expanded, out]: [&mut [f32]; 2],
) {
    let rows: usize = image_blocks.iter().map(|image_block| image_block.rows.len()).sum();
    let (channels, saved_width) = (branch.input.weights.channels(), expanded.len() / rows.max(1));
    let saved = image_blocks.iter().map(|image_block| scaled(&image_block.rows, saved_width));
    let outs = image_blocks.iter().map(|image_block| scaled(&image_block.span, channels));
    let work = image_blocks.iter().zip(split_at_ranges(expanded, saved)).zip(split_at_ranges(out, outs));
    parallel::for_each(work, |((image_block, expanded), out)| {
        branch.run(image_block, depthwise, expanded, out);
    });
}
