//! Reading and writing as many values as a register holds.

use pulp::Simd;

/// The values from `at` on; past the end there are zeros.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, values: &[f32], at: usize) -> S::f32s {
    let rest = &values[at..];
    match S::as_simd_f32s(rest).0 {
        [first, ..] => *first,
        [] => simd.partial_load_f32s(rest),
    }
}

/// Writes the values from `at` on; what would lie past the end is dropped.
#[inline(always)]
pub(crate) fn store<S: Simd>(simd: S, values: &mut [f32], at: usize, lanes: S::f32s) {
    let rest = &mut values[at..];
    if rest.len() >= S::F32_LANES {
        S::as_mut_simd_f32s(rest).0[0] = lanes;
    } else {
        simd.partial_store_f32s(rest, lanes);
    }
}

/// Adds to the values from `at` on.
#[inline(always)]
pub(crate) fn add<S: Simd>(simd: S, values: &mut [f32], at: usize, lanes: S::f32s) {
    let sum = simd.add_f32s(load(simd, values, at), lanes);
    store(simd, values, at, sum);
}

/// [`load`] of pairs.
#[inline(always)]
pub(crate) fn load_pairs<S: Simd>(simd: S, pairs: &[u32], at: usize) -> S::u32s {
    let rest = &pairs[at..];
    match S::as_simd_u32s(rest).0 {
        [first, ..] => *first,
        [] => simd.partial_load_u32s(rest),
    }
}

/// [`store`] of pairs.
#[inline(always)]
pub(crate) fn store_pairs<S: Simd>(simd: S, pairs: &mut [u32], at: usize, lanes: S::u32s) {
    let rest = &mut pairs[at..];
    if rest.len() >= S::F32_LANES {
        S::as_mut_simd_u32s(rest).0[0] = lanes;
    } else {
        simd.partial_store_u32s(rest, lanes);
    }
}
