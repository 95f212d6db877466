//! The block's branch on pairs of bf16 values, forward and backward: what lies between the convolution and
//! what went in. The counterpart of the passes in [`crate::block`] and [`crate::block_backward`], with the
//! same sweeps; what lies between products is rounded and stays in half the memory, and where it can be,
//! it is computed on the strips of a product.
//!
//! Letters: R rows of one image, C channels, E = 4C.

use std::borrow::Cow;

use crate::bf16::columns::{PackColumns, count};
use crate::bf16::expansion::{Activate, Modulate, Pull, Reactivate, Residual, Runs};
use crate::bf16::packed::PackedPairs;
use crate::bf16::product::{Left, Right, Store, add_turned_product, product};
use crate::bf16::rows::{PackRows, lines, padded};
use crate::block::{BlockWeights, normalise};
use crate::block_backward::pull_layer_norm;
use crate::block_sums::{ChunkSums, Sums};
use crate::buffer::Buffer;
use crate::cut::{Chunk, Pass};
use crate::expansion::ScaleRows;
use crate::instructions::Engine;
use crate::parallel;
use crate::pieces::{add_to, wide};
use crate::profile::{Kernel, timed};
use crate::response::Responses;

/// What all passes of a forward share.
pub(crate) struct PairsBranch<'a> {
    pub(crate) engine: Engine,
    pub(crate) weights: &'a BlockWeights<'a>,
    /// The first linear layer, and the second one with LayerScale.
    pub(crate) layers: &'a [PackedPairs; 2],
    pub(crate) projection_bias: &'a [f32],
    pub(crate) grn: [Cow<'a, [f32]>; 2],
    pub(crate) drop_path_scales: Option<&'a [f32]>,
}

impl PairsBranch<'_> {
    /// One pass, from the convolution's output to the block's. If there is room in `expanded`, the first
    /// linear layer's output goes there, pairs of columns of `[R, E]`.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        depthwise: &[f32],
        rows: &[f32],
        expanded: &mut [u32],
        out: &mut [f32],
    ) {
        let mut values = Buffer::take(pass.rows.len() * count(self.weights.width()));
        let responses = self.expand(pass, depthwise, values.pairs_mut(), expanded);
        self.project(pass, &responses, rows, values.pairs_mut(), out);
    }

    /// LayerNorm, the first linear layer, GELU and GRN's sums; h goes into `values`.
    fn expand(&self, pass: &Pass, depthwise: &[f32], values: &mut [u32], expanded: &mut [u32]) -> Responses {
        let (Engine { arch, bf16 }, weights) = (self.engine, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let kept = pass.of_chunks(expanded, if expanded.is_empty() { 0 } else { count(width) });
        let mut squares = vec![0.0; pass.segments.len() * width];
        let sums = pass.of_chunks_segments(&mut squares, width);
        let work = pass.chunks.iter().zip(pass.of_chunks(values, count(width))).zip(kept).zip(sums);
        parallel::for_each(work, |(((chunk, values), expanded), squares)| {
            let segments = pass.segments_of(chunk);
            let mut normal = Buffer::take(chunk.rows.len() * channels);
            normalise(arch, weights, segments, depthwise, &mut normal);
            let mut pairs = Buffer::take(chunk.rows.len() * count(channels));
            timed(Kernel::Rounding, || {
                bf16.dispatch(PackColumns { rows: &normal, columns: channels, pairs: pairs.pairs_mut() });
            });
            let runs = Runs::new(segments);
            let mut finish = Activate { runs: &runs, bias: weights.expand_bias, expanded, values, squares };
            let (left, right) = (Left::Columns(pairs.pairs()), Right::Packed(&self.layers[0]));
            product(bf16, Kernel::ProductForward, left, 0..chunk.rows.len(), &right, &mut finish);
        });
        Responses::new(pass, width, &squares, &self.grn[0])
    }

    /// GRN, the second linear layer, and what went in.
    fn project(&self, pass: &Pass, responses: &Responses, rows: &[f32], values: &mut [u32], out: &mut [f32]) {
        let (bf16, weights) = (self.engine.bf16, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let work =
            pass.chunks.iter().zip(pass.of_chunks(values, count(width))).zip(pass.of_segments(out, channels));
        parallel::for_each(work, |((chunk, values), outs)| {
            let segments = pass.segments_of(chunk);
            let mut done = 0;
            for segment in segments.iter().filter(|_| weights.grn.is_some()) {
                let values = &mut values[wide(&(done..done + segment.rows.len()), count(width))];
                let scale = responses.scale(pass.place_of(segment));
                timed(Kernel::Expansion, || bf16.dispatch(Modulate { values, scale, shift: &self.grn[1] }));
                done += segment.rows.len();
            }
            let factor = |image: usize| self.drop_path_scales.map_or(1.0, |scales| scales[image]);
            let mut finish = Residual {
                runs: &Runs::new(segments),
                rows: segments.iter().map(|segment| &rows[wide(&segment.rows, channels)]).collect(),
                factors: segments.iter().map(|segment| factor(segment.image)).collect(),
                bias: self.projection_bias,
                outs,
            };
            let (left, right) = (Left::Columns(values), Right::Packed(&self.layers[1]));
            product(bf16, Kernel::ProductForward, left, 0..chunk.rows.len(), &right, &mut finish);
        });
    }
}

/// What all passes of a backward share.
pub(crate) struct PairsBranchBackward<'a> {
    pub(crate) engine: Engine,
    pub(crate) weights: &'a BlockWeights<'a>,
    pub(crate) grn: [Cow<'a, [f32]>; 2],
    /// The first linear layer, `[E, C]`.
    pub(crate) expansion: PackedPairs,
    /// The second one with LayerScale, `[C, E]`.
    pub(crate) projection: PackedPairs,
    pub(crate) drop_path_scales: Option<&'a [f32]>,
    /// What the convolution put out, `[N R, C]`.
    pub(crate) depthwise: &'a [f32],
}

/// What the sweeps of a pass hand on to each other.
struct Buffers {
    /// The branch's output gradient g, pairs of rows of `[R, C]`.
    gradient: Buffer,
    /// What LayerNorm put out, pairs of rows of `[R, C]`.
    normal: Buffer,
    /// dy, pairs of columns of `[R, E]`.
    dy: Buffer,
    /// h, pairs of columns of `[R, E]`.
    values: Buffer,
    /// du and y, pairs of rows of `[R, E]`.
    du: Buffer,
    y: Buffer,
}

impl PairsBranchBackward<'_> {
    /// One pass: `expanded` is u and is used up, `ddepthwise` gets the gradient of the convolution's output.
    pub(crate) fn run(
        &self,
        pass: &Pass,
        dout: &[f32],
        expanded: &mut [u32],
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (channels, width) = (self.weights.channels(), self.weights.width());
        let by_lines = |columns| Buffer::take(pass.lines() * padded(columns));
        let by_rows = |columns| Buffer::take(pass.rows.len() * count(columns));
        let mut buffers = Buffers {
            gradient: by_lines(channels),
            normal: by_lines(channels),
            dy: by_rows(width),
            values: by_rows(width),
            du: by_lines(width),
            y: by_lines(width),
        };
        let (responses, products) =
            self.reactivate(pass, dout, expanded, &mut buffers, &mut sums.project_bias);
        let through_norm = responses.pull(pass, &products, &self.grn[0], &mut sums.grn_gamma);
        self.pull(pass, &responses, &through_norm, expanded, &mut buffers, ddepthwise, sums);
        let Buffers { gradient, normal, du, y, .. } = &buffers;
        let bf16 = self.engine.bf16;
        let (of_expansion, of_projection) = ([width, channels], [channels, width]);
        add_turned_product(bf16, [du.pairs(), normal.pairs()], of_expansion, &mut sums.expand_weight);
        add_turned_product(bf16, [gradient.pairs(), y.pairs()], of_projection, &mut sums.project_weight);
    }

    /// The first sweep: fills `gradient`, `normal`, `dy` and, with h, `values`; `expanded` becomes GELU'(u).
    fn reactivate(
        &self,
        pass: &Pass,
        dout: &[f32],
        expanded: &mut [u32],
        buffers: &mut Buffers,
        bias_sums: &mut [f32],
    ) -> (Responses, Vec<f32>) {
        let (Engine { arch, bf16 }, weights) = (self.engine, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let mut squares = vec![0.0; pass.segments.len() * width];
        let mut products = squares.clone();
        let work = (pass.chunks.iter())
            .zip(pass.of_chunks(expanded, count(width)))
            .zip(pass.of_chunks_lines(buffers.gradient.pairs_mut(), padded(channels)))
            .zip(pass.of_chunks_lines(buffers.normal.pairs_mut(), padded(channels)))
            .zip(pass.of_chunks(buffers.dy.pairs_mut(), count(width)))
            .zip(pass.of_chunks(buffers.values.pairs_mut(), count(width)))
            .zip(pass.of_chunks_segments(&mut squares, width))
            .zip(pass.of_chunks_segments(&mut products, width));
        let sums: Vec<Vec<f32>> = parallel::map(
            work,
            |(((((((chunk, expanded), gradient), normal), dy), values), squares), products)| {
                let segments = pass.segments_of(chunk);
                let mut exact = Buffer::take(chunk.rows.len() * channels);
                normalise(arch, weights, segments, self.depthwise, &mut exact);
                self.pack_rows(pass, chunk, &exact, channels, normal);
                let mut sums = vec![0.0; channels];
                let mut done = 0;
                for segment in segments {
                    let factor = self.drop_path_scales.map_or(1.0, |scales| scales[segment.image]);
                    let out = &mut exact[wide(&(done..done + segment.rows.len()), channels)];
                    let rows = &dout[wide(&segment.rows, channels)];
                    timed(Kernel::Residual, || {
                        arch.dispatch(ScaleRows { rows, factor, out, sums: &mut sums });
                    });
                    done += segment.rows.len();
                }
                self.pack_rows(pass, chunk, &exact, channels, gradient);
                let mut pairs = Buffer::take(chunk.rows.len() * count(channels));
                timed(Kernel::Rounding, || {
                    bf16.dispatch(PackColumns { rows: &exact, columns: channels, pairs: pairs.pairs_mut() });
                });
                let runs = Runs::new(segments);
                let mut finish = Reactivate { runs: &runs, width, expanded, dy, values, squares, products };
                let (left, right) = (Left::Columns(pairs.pairs()), Right::Packed(&self.projection));
                let rows = 0..chunk.rows.len();
                product(bf16, Kernel::ProductInputGradient, left, rows, &right, &mut finish);
                sums
            },
        );
        sums.iter().for_each(|sums| add_to(bias_sums, sums));
        (Responses::new(pass, width, &squares, &self.grn[0]), products)
    }

    /// Rounds the rows of a chunk to pairs of rows, segment by segment.
    fn pack_rows(&self, pass: &Pass, chunk: &Chunk, rows: &[f32], columns: usize, pairs: &mut [u32]) {
        let (mut rest, mut to) = (rows, pairs);
        for segment in pass.segments_of(chunk) {
            let (rows, after) = rest.split_at(segment.rows.len() * columns);
            let (pairs, after_pairs) = to.split_at_mut(lines(segment.rows.len()) * padded(columns));
            timed(Kernel::Rounding, || self.engine.bf16.dispatch(PackRows { rows, columns, pairs }));
            (rest, to) = (after, after_pairs);
        }
    }

    /// The second sweep: fills `du` and `y`.
    #[expect(clippy::too_many_arguments, reason = "each is a buffer of its own meaning")]
    fn pull(
        &self,
        pass: &Pass,
        responses: &Responses,
        through_norm: &[f32],
        expanded: &mut [u32],
        buffers: &mut Buffers,
        ddepthwise: &mut [f32],
        sums: &mut Sums,
    ) {
        let (bf16, weights) = (self.engine.bf16, self.weights);
        let (channels, width) = (weights.channels(), weights.width());
        let Buffers { dy, values, du, y, .. } = buffers;
        let (dy, values) = (dy.pairs(), values.pairs());
        let work = (pass.chunks.iter())
            .zip(pass.of_chunks(expanded, count(width)))
            .zip(pass.of_chunks_lines(du.pairs_mut(), padded(width)))
            .zip(pass.of_chunks_lines(y.pairs_mut(), padded(width)))
            .zip(pass.of_segments(ddepthwise, channels));
        let partial: Vec<ChunkSums> = parallel::map(work, |((((chunk, expanded), du), y), outs)| {
            let mut sums = ChunkSums::new(channels, width);
            let of_chunk = wide(&chunk.rows, count(width));
            let (dy, values) = (&dy[of_chunk.clone()], &values[of_chunk]);
            let (mut done, mut line) = (0, 0);
            for segment in pass.segments_of(chunk) {
                let rows = wide(&(done..done + segment.rows.len()), count(width));
                let of_lines = wide(&(line..line + lines(segment.rows.len())), padded(width));
                let place = pass.place_of(segment);
                let pull = Pull {
                    expanded: &mut expanded[rows.clone()],
                    values: &values[rows.clone()],
                    dy: &dy[rows],
                    du_lines: &mut du[of_lines.clone()],
                    y_lines: &mut y[of_lines],
                    scale: responses.scale(place),
                    shift: &self.grn[1],
                    through_norm: &through_norm[place * width..][..width],
                    dbias: &mut sums.expand_bias,
                };
                timed(Kernel::ExpansionGradient, || bf16.dispatch(pull));
                (done, line) = (done + segment.rows.len(), line + lines(segment.rows.len()));
            }
            self.pull_norm(pass, chunk, expanded, outs, &mut sums);
            sums
        });
        partial.iter().for_each(|partial| sums.add_chunk(partial));
    }

    /// From du of a chunk back through the first linear layer and LayerNorm.
    fn pull_norm(&self, pass: &Pass, chunk: &Chunk, du: &[u32], outs: Vec<&mut [f32]>, sums: &mut ChunkSums) {
        let (Engine { arch, bf16 }, weights) = (self.engine, self.weights);
        let channels = weights.channels();
        let mut dnormal = Buffer::take(chunk.rows.len() * channels);
        let mut finish = Store { out: &mut dnormal, columns: channels, bias: None };
        let (left, right) = (Left::Columns(du), Right::Packed(&self.expansion));
        product(bf16, Kernel::ProductInputGradient, left, 0..chunk.rows.len(), &right, &mut finish);
        pull_layer_norm(arch, weights, self.depthwise, pass.segments_of(chunk), &dnormal, outs, sums);
    }
}
