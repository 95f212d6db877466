//! Sums of slices of equal length, each times its weight.

use pulp::Simd;

use crate::lanes::{load, store};

/// Registers that are accumulated at a time.
const REGISTERS: usize = 4;

/// The sum of parts of the same length, each times its weight.
#[inline(always)]
pub(crate) fn weighted_sum<S: Simd>(simd: S, parts: &[(&[f32], f32)], out: &mut [f32]) {
    accumulate::<S, false>(simd, parts, out);
}

/// The same, added to what `out` is.
#[inline(always)]
pub(crate) fn add_weighted_sum<S: Simd>(simd: S, parts: &[(&[f32], f32)], out: &mut [f32]) {
    accumulate::<S, true>(simd, parts, out);
}

#[inline(always)]
fn accumulate<S: Simd, const ADDED: bool>(simd: S, parts: &[(&[f32], f32)], out: &mut [f32]) {
    let begin = out.len() / (REGISTERS * S::F32_LANES) * REGISTERS * S::F32_LANES;
    let (blocks, _) = S::as_mut_simd_f32s(out).0.as_chunks_mut::<REGISTERS>();
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut sums = if ADDED { *out } else { [simd.splat_f32s(0.0); REGISTERS] };
        for (part, weight) in parts {
            let weight = simd.splat_f32s(*weight);
            let values = &S::as_simd_f32s(part).0.as_chunks::<REGISTERS>().0[block];
            for (sum, values) in sums.iter_mut().zip(values) {
                *sum = simd.mul_add_e_f32s(*values, weight, *sum);
            }
        }
        *out = sums;
    }
    for at in (begin..out.len()).step_by(S::F32_LANES) {
        let mut sum = if ADDED { load(simd, out, at) } else { simd.splat_f32s(0.0) };
        for (part, weight) in parts {
            sum = simd.mul_add_e_f32s(load(simd, part, at), simd.splat_f32s(*weight), sum);
        }
        store(simd, out, at, sum);
    }
}
