//! Epilogues: operations on the output of a GEMM while it is in a cache near to the core.

use std::ops::Range;

use pulp::Simd;

use crate::lanes::{load, relu, store};
use crate::profile::Kernel;
use crate::storage::{Lane, Storage};

/// A part of the output, as it was accumulated.
pub(crate) struct Output<'a> {
    /// Its rows and columns.
    pub(crate) rows: Range<usize>,
    pub(crate) columns: Range<usize>,
    /// From the first row and column on.
    pub(crate) values: &'a [f32],
    /// Values to a row; those beyond its columns are undefined.
    pub(crate) stride: usize,
}

impl<'a> Output<'a> {
    /// One of the rows, from the first column on.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &'a [f32] {
        &self.values[(row - self.rows.start) * self.stride..][..self.stride]
    }
}

/// An operation that consumes the output of a GEMM, part by part. Activations beside it are stored as lanes L.
pub(crate) trait Epilogue<L: Lane> {
    /// The kernel that its time counts for where it is not fused; `None` is the GEMM's.
    const KERNEL: Option<Kernel> = None;

    /// Consumes a part of the output.
    fn apply<S: Storage<Lane = L>>(&mut self, storage: S, output: &Output<'_>);
}

/// Epilogue: stores the output, or its sum with something.
pub(crate) struct Store<'a> {
    /// `[rows, columns]`.
    pub(crate) out: &'a mut [f32],
    pub(crate) columns: usize,
    pub(crate) onto: Onto<'a>,
}

/// What the output is added to.
#[derive(Clone, Copy)]
pub(crate) enum Onto<'a> {
    Nothing,
    /// `[columns]`.
    Bias(&'a [f32]),
    /// `[columns]`, and then ReLU.
    BiasRelu(&'a [f32]),
    /// What is stored already.
    Stored,
}

impl<L: Lane> Epilogue<L> for Store<'_> {
    #[inline(always)]
    fn apply<S: Storage<Lane = L>>(&mut self, storage: S, output: &Output<'_>) {
        let simd = storage.simd();
        let columns = &output.columns;
        for row in output.rows.clone() {
            let out = &mut self.out[row * self.columns..][columns.clone()];
            for place in (0..out.len()).step_by(S::Simd::F32_LANES) {
                let value = load(simd, output.row(row), place);
                let value = match self.onto {
                    Onto::Nothing => value,
                    Onto::Bias(bias) => simd.add_f32s(value, load(simd, &bias[columns.clone()], place)),
                    Onto::BiasRelu(bias) => {
                        relu(simd, simd.add_f32s(value, load(simd, &bias[columns.clone()], place)))
                    }
                    Onto::Stored => simd.add_f32s(load(simd, out, place), value),
                };
                store(simd, out, place, value);
            }
        }
    }
}
