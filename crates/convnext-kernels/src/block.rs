//! The ConvNeXt block on rows, forward: depthwise 7x7, LayerNorm, linear to E = 4C channels, GELU, GRN,
//! linear to C, LayerScale, drop path, residual (paper Figure 5).
//!
//! The convolution runs over the whole batch, the rest by image block (see [`crate::blocking`]): a first
//! sweep over the row blocks up to GELU, which also sums the squares for GRN, and a second one from GRN on.
//! An inactive image, whose branch is dropped, costs nothing.
//!
//! Notation: N images, R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use bytemuck::cast_slice_mut;
use pulp::Arch;

use crate::Sites;
use crate::bands::Bands;
use crate::bf16::bf16;
use crate::bf16::block::Bf16Branch;
use crate::bf16::columns::{PackColumns, bf16x2_count, pack_columns};
use crate::bf16::packed::PackedBf16;
use crate::blocking::{ImageBlock, Segment, image_blocks};
use crate::buffer::Buffer;
use crate::depthwise;
use crate::expansion::{BiasGelu, GrnApply, Residual};
use crate::gemm::gemm;
use crate::grn_stats::GrnStats;
use crate::isa::{Target, target};
use crate::layer_norm::LayerNorm;
use crate::packed::{Matrix, Packed};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::{scaled, split_at_ranges};

/// A block's parameters in PyTorch's layouts.
#[derive(Debug, Clone, Copy)]
pub struct BlockWeights<'a> {
    /// `[C, 49]`.
    pub depthwise_weight: &'a [f32],
    /// `[C]`.
    pub depthwise_bias: &'a [f32],
    /// LayerNorm's scale, `[C]`.
    pub norm_weight: &'a [f32],
    /// LayerNorm's shift, `[C]`.
    pub norm_bias: &'a [f32],
    /// Of the first linear layer, `[E, C]`.
    pub expand_weight: &'a [f32],
    /// `[E]`.
    pub expand_bias: &'a [f32],
    /// Of the second linear layer, `[C, E]`.
    pub project_weight: &'a [f32],
    /// `[C]`.
    pub project_bias: &'a [f32],
    /// GRN's gamma and beta, each `[E]`; V1 has none.
    pub grn: Option<[&'a [f32]; 2]>,
    /// LayerScale, `[C]`; V2 has none.
    pub layer_scale: Option<&'a [f32]>,
}

impl<'a> BlockWeights<'a> {
    /// C.
    pub(crate) fn channels(&self) -> usize {
        self.depthwise_bias.len()
    }

    /// E.
    pub(crate) fn width(&self) -> usize {
        self.expand_bias.len()
    }

    /// GRN's gamma and beta. A block without GRN is one in which both are 0.
    pub(crate) fn grn_or_zeros(&self) -> [Cow<'a, [f32]>; 2] {
        match self.grn {
            Some(grn) => grn.map(Cow::Borrowed),
            None => [(); 2].map(|()| Cow::Owned(vec![0.0; self.width()])),
        }
    }

    /// Weight and bias of the second linear layer with LayerScale folded in.
    pub(crate) fn scaled_projection(&self) -> [Cow<'a, [f32]>; 2] {
        let Some(scale) = self.layer_scale else {
            return [Cow::Borrowed(self.project_weight), Cow::Borrowed(self.project_bias)];
        };
        let rows = self.project_weight.chunks_exact(self.width()).zip(scale);
        let weight = rows.flat_map(|(row, scale)| row.iter().map(move |value| value * scale)).collect();
        let bias = self.project_bias.iter().zip(scale).map(|(value, scale)| value * scale).collect();
        [Cow::Owned(weight), Cow::Owned(bias)]
    }

    fn check(&self) {
        let (channels, width) = (self.channels(), self.width());
        assert_eq!(self.depthwise_weight.len(), 49 * channels, "the depthwise weight is [C, 49]");
        assert!(
            [self.norm_weight, self.norm_bias, self.project_bias].iter().all(|part| part.len() == channels),
            "norm and projection have C channels"
        );
        assert!(
            [self.expand_weight, self.project_weight].iter().all(|part| part.len() == width * channels),
            "the linear layers are [E, C] and [C, E]"
        );
        assert!(self.grn.iter().flatten().all(|part| part.len() == width), "GRN has E channels");
        assert!(self.layer_scale.is_none_or(|part| part.len() == channels), "LayerScale has C channels");
    }
}

/// Input precision of the linear layers' GEMMs, which accumulate in f32. Everything else is computed in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// f32 inputs.
    #[default]
    F32,
    /// Inputs rounded to bf16: 8 bits of mantissa, the exponents of f32.
    Bf16,
}

impl Precision {
    /// Name in commands and files: `f32` or `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

/// The activations that a forward saves for its backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// None: there is no backward, or it recomputes them.
    Nothing,
    /// The activations that the backward needs, as they are computed: f32, or bf16 with [`Precision::Bf16`].
    AsComputed,
    /// The same rounded to bf16, and the block's input with it.
    Bf16,
}

/// The activations that a block's forward saved for its backward.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedActivations {
    /// The block's input, if all is saved in bf16. bf16 activations are column-packed.
    pub(crate) rows: Option<Buffer>,
    /// The convolution's output, `[N R, C]`; undefined where the branch is dropped.
    pub(crate) depthwise: Buffer,
    /// The first linear layer's output, `[rows, E]`, of active images.
    pub(crate) expanded: Buffer,
}

impl SavedActivations {
    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        let values =
            self.rows.as_ref().map_or(0, |rows| rows.len()) + self.depthwise.len() + self.expanded.len();
        values * size_of::<f32>()
    }

    /// `true` if these include the block's input, so that the caller need not save it.
    pub fn has_rows(&self) -> bool {
        self.rows.is_some()
    }
}

/// The packed linear layers of a block, for [`block_forward`].
#[derive(Debug)]
pub struct PackedBlock {
    layers: PackedLayers,
    projection_bias: Vec<f32>,
}

/// The first one, and the second one with LayerScale.
#[derive(Debug)]
enum PackedLayers {
    F32([Packed; 2]),
    Bf16([PackedBf16; 2]),
}

impl PackedBlock {
    /// Packs the linear layers and LayerScale of a block. The result can be reused until these change.
    ///
    /// # Panics
    /// When sizes do not fit each other.
    pub fn new(weights: &BlockWeights<'_>, precision: Precision) -> Self {
        weights.check();
        let (channels, width) = (weights.channels(), weights.width());
        let [projection, projection_bias] = weights.scaled_projection();
        let expansion = Matrix::new(weights.expand_weight, width, channels).transposed();
        let projection = Matrix::new(&projection, channels, width).transposed();
        let layers = match precision {
            Precision::F32 => PackedLayers::F32([expansion, projection].map(Packed::new)),
            Precision::Bf16 => {
                let bf16 = bf16();
                let expansion = PackedBf16::of_whole_interleaves(bf16, expansion);
                PackedLayers::Bf16([expansion, PackedBf16::new(bf16, projection)])
            }
        };
        Self { layers, projection_bias: projection_bias.into_owned() }
    }
}

/// The images whose branch is not dropped.
pub(crate) fn active_images(images: usize, drop_path_scales: Option<&[f32]>) -> Vec<usize> {
    (0..images).filter(|&image| drop_path_scales.is_none_or(|scales| scales[image] != 0.0)).collect()
}

/// Copies the rows of the inactive images.
pub(crate) fn copy_inactive(sites: &Sites, images: &[usize], from: &[f32], to: &mut [f32]) {
    let values = from.len() / sites.images().max(1);
    let inactive = (0..sites.images()).filter(|image| images.binary_search(image).is_err());
    for image in inactive.map(|image| image * values..(image + 1) * values) {
        to[image.clone()].copy_from_slice(&from[image]);
    }
}

/// One block: `[N R, C]` to `[N R, C]`, with its linear layers `packed` from the same weights.
///
/// `drop_path_scales` is drop path's factor of each image, 0 where the branch is dropped; `None` drops none.
/// Returns the output, and the activations that `save` asks for, for [`crate::block_backward`].
///
/// # Panics
/// When sizes do not fit each other.
pub fn block_forward(
    sites: &Sites,
    rows: &[f32],
    weights: &BlockWeights<'_>,
    packed: &PackedBlock,
    drop_path_scales: Option<&[f32]>,
    save: Save,
) -> (Buffer, Option<SavedActivations>) {
    forward(target(), sites, rows, weights, packed, drop_path_scales, save)
}

pub(crate) fn forward(
    target: Target,
    sites: &Sites,
    rows: &[f32],
    weights: &BlockWeights<'_>,
    packed: &PackedBlock,
    drop_path_scales: Option<&[f32]>,
    save: Save,
) -> (Buffer, Option<SavedActivations>) {
    weights.check();
    let Target { arch, bf16 } = target;
    let (channels, width) = (weights.channels(), weights.width());
    assert_eq!(rows.len(), sites.rows() * channels, "there is a row for each site");
    let images = active_images(sites.images(), drop_path_scales);
    let bands = Bands::new(sites, |image| images.binary_search(&image).is_ok());
    let mut depthwise = Buffer::take(rows.len());
    let (taps, bias) = (weights.depthwise_weight, weights.depthwise_bias);
    depthwise::forward(arch, &bands, rows, taps, bias, &mut depthwise);
    let mut out = Buffer::take(rows.len());
    copy_inactive(sites, &images, rows, &mut out);
    let rounded = save == Save::Bf16 || matches!(packed.layers, PackedLayers::Bf16(_));
    let saved_rows = if save == Save::Nothing { 0 } else { images.len() * sites.rows_per_image() };
    let saved_width = if rounded { bf16x2_count(width) } else { width };
    let mut expanded = Buffer::take(saved_rows * saved_width);
    let image_blocks = image_blocks(sites, &images, width);
    let saved = image_blocks
        .iter()
        .map(|image_block| if saved_rows > 0 { scaled(&image_block.rows, saved_width) } else { 0..0 });
    let saved = split_at_ranges(&mut expanded, saved);
    let outs =
        split_at_ranges(&mut out, image_blocks.iter().map(|image_block| scaled(&image_block.span, channels)));
    let grn = weights.grn_or_zeros();
    let projection_bias = &packed.projection_bias;
    let work = image_blocks.iter().zip(saved).zip(outs);
    match &packed.layers {
        PackedLayers::F32(layers) => {
            let branch = Branch { target, weights, layers, projection_bias, grn, drop_path_scales };
            parallel::for_each(work, |((image_block, expanded), out)| {
                let mut values = Buffer::take(image_block.rows.len() * width);
                let stats = branch.expand(image_block, &depthwise, &mut values, expanded);
                branch.project(image_block, &stats, rows, &mut values, out);
            });
        }
        PackedLayers::Bf16(layers) => {
            let branch = Bf16Branch { target, weights, layers, projection_bias, grn, drop_path_scales };
            parallel::for_each(work, |((image_block, expanded), out)| {
                branch.run(image_block, &depthwise, rows, cast_slice_mut(expanded), out);
            });
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

/// The inputs of a forward that all image blocks share.
struct Branch<'a> {
    target: Target,
    weights: &'a BlockWeights<'a>,
    layers: &'a [Packed; 2],
    projection_bias: &'a [f32],
    grn: [Cow<'a, [f32]>; 2],
    drop_path_scales: Option<&'a [f32]>,
}

impl Branch<'_> {
    /// LayerNorm, the first linear layer, GELU and GRN's sums; `values` becomes h. Unless `expanded` is
    /// empty, u is saved there, as bf16x2 where it has half the size.
    fn expand(
        &self,
        image_block: &ImageBlock,
        depthwise: &[f32],
        values: &mut [f32],
        expanded: &mut [f32],
    ) -> GrnStats {
        let (Target { arch, bf16 }, weights) = (self.target, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let saved_width = expanded.len() / image_block.rows.len().max(1);
        let saved = image_block.split_by_row_block(expanded, saved_width);
        let mut squares = vec![0.0; image_block.segments.len() * width];
        let sums = image_block.split_segments_by_row_block(&mut squares, width);
        let work = image_block
            .row_blocks
            .iter()
            .zip(image_block.split_by_row_block(values, width))
            .zip(saved)
            .zip(sums);
        parallel::for_each(work, |(((row_block, values), saved), squares)| {
            let segments = image_block.segments_of(row_block);
            let count = row_block.rows.len();
            let mut normal = Buffer::take(count * channels);
            layer_norm_segments(arch, weights, segments, depthwise, &mut normal);
            let normal = Matrix::new(&normal, count, channels);
            gemm(arch, Kernel::GemmForward, normal, &self.layers[0], values, false);
            let rounded = saved_width > 0 && saved_width < width;
            let mut exact = Buffer::take(if rounded { count * width } else { 0 });
            let (saved_bf16, expanded) = if rounded { (saved, &mut exact[..]) } else { (&mut [][..], saved) };
            let mut done = 0;
            for (segment, squares) in segments.iter().zip(squares.chunks_exact_mut(width)) {
                let rows = scaled(&(done..done + segment.rows.len()), width);
                let expanded = if expanded.is_empty() { &mut [][..] } else { &mut expanded[rows.clone()] };
                let values = &mut values[rows];
                timed(Kernel::Expansion, || {
                    arch.dispatch(BiasGelu { values, bias: weights.expand_bias, expanded, squares });
                });
                done += segment.rows.len();
            }
            if rounded {
                let bf16x2 = cast_slice_mut(saved_bf16);
                timed(Kernel::Rounding, || {
                    bf16.dispatch(PackColumns { rows: expanded, columns: width, bf16x2 });
                });
            }
        });
        GrnStats::new(image_block, width, &squares, &self.grn[0])
    }

    /// GRN, the second linear layer and the residual addition.
    fn project(
        &self,
        image_block: &ImageBlock,
        stats: &GrnStats,
        rows: &[f32],
        values: &mut [f32],
        out: &mut [f32],
    ) {
        let (arch, weights) = (self.target.arch, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let work = image_block
            .row_blocks
            .iter()
            .zip(image_block.split_by_row_block(values, width))
            .zip(image_block.split_by_segment(out, channels));
        parallel::for_each(work, |((row_block, values), outs)| {
            let segments = image_block.segments_of(row_block);
            let mut done = 0;
            for segment in segments.iter().filter(|_| weights.grn.is_some()) {
                let values = &mut values[scaled(&(done..done + segment.rows.len()), width)];
                let scale = stats.scale(image_block.place_of(segment));
                timed(Kernel::Expansion, || arch.dispatch(GrnApply { values, scale, shift: &self.grn[1] }));
                done += segment.rows.len();
            }
            let mut branch = Buffer::take(row_block.rows.len() * channels);
            let y = Matrix::new(values, row_block.rows.len(), width);
            gemm(arch, Kernel::GemmForward, y, &self.layers[1], &mut branch, false);
            let mut branch = &branch[..];
            for (segment, out) in segments.iter().zip(outs) {
                let (part, rest) = branch.split_at(out.len());
                branch = rest;
                let residual = Residual {
                    rows: &rows[scaled(&segment.rows, channels)],
                    branch: part,
                    bias: self.projection_bias,
                    factor: self.drop_path_scales.map_or(1.0, |scales| scales[segment.image]),
                    out,
                };
                timed(Kernel::Residual, || arch.dispatch(residual));
            }
        });
    }
}

/// LayerNorm of a row block's rows, gathered into `[count, C]`.
pub(crate) fn layer_norm_segments(
    arch: Arch,
    weights: &BlockWeights<'_>,
    segments: &[Segment],
    depthwise: &[f32],
    normal: &mut [f32],
) {
    let channels = weights.channels();
    let mut rest = normal;
    for segment in segments {
        let (out, after) = rest.split_at_mut(segment.rows.len() * channels);
        rest = after;
        let norm = LayerNorm {
            rows: &depthwise[scaled(&segment.rows, channels)],
            weight: weights.norm_weight,
            bias: weights.norm_bias,
            out,
        };
        timed(Kernel::LayerNorm, || arch.dispatch(norm));
    }
}
