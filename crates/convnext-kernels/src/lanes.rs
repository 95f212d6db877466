//! Loads and stores of one SIMD register.

use pulp::Simd;

/// Loads from `at` on, zero-padded past the end.
#[inline(always)]
pub(crate) fn load<S: Simd>(simd: S, values: &[f32], at: usize) -> S::f32s {
    let rest = &values[at..];
    match S::as_simd_f32s(rest).0 {
        [first, ..] => *first,
        [] => simd.partial_load_f32s(rest),
    }
}

/// Stores from `at` on; lanes past the end are dropped.
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

/// `max(0, x)`; NaN stays NaN, as in PyTorch.
#[inline(always)]
pub(crate) fn relu<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    simd.select_f32s(simd.less_than_f32s(x, zero), zero, x)
}

/// [`load`] of bf16x2 lanes.
#[inline(always)]
pub(crate) fn load_bf16x2<S: Simd>(simd: S, bf16x2: &[u32], at: usize) -> S::u32s {
    let rest = &bf16x2[at..];
    match S::as_simd_u32s(rest).0 {
        [first, ..] => *first,
        [] => simd.partial_load_u32s(rest),
    }
}

/// [`store`] of bf16x2 lanes.
#[inline(always)]
pub(crate) fn store_bf16x2<S: Simd>(simd: S, bf16x2: &mut [u32], at: usize, lanes: S::u32s) {
    let rest = &mut bf16x2[at..];
    if rest.len() >= S::F32_LANES {
        S::as_mut_simd_u32s(rest).0[0] = lanes;
    } else {
        simd.partial_store_u32s(rest, lanes);
    }
}
