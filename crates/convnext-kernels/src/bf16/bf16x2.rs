//! bf16x2 lanes: two bf16 values in 32 bits, and what is done with them.

use pulp::Simd;

/// SIMD operations on bf16x2 lanes.
pub(crate) trait Bf16x2: Copy {
    type Simd: Simd;

    fn simd(self) -> Self::Simd;

    /// The dot product of each bf16x2 lane, added to `sums`.
    fn multiply_add(
        self,
        left: <Self::Simd as Simd>::u32s,
        right: <Self::Simd as Simd>::u32s,
        sums: <Self::Simd as Simd>::f32s,
    ) -> <Self::Simd as Simd>::f32s;

    /// Rounds to nearest bf16, ties to even, and packs two registers into bf16x2 lanes. A NaN becomes a quiet one;
    /// subnormal values may become zeros.
    fn pack(
        self,
        low: <Self::Simd as Simd>::f32s,
        high: <Self::Simd as Simd>::f32s,
    ) -> <Self::Simd as Simd>::u32s;
}

/// A kernel that is generic over [`Bf16x2`].
pub(crate) trait WithBf16x2 {
    type Output;

    fn with_bf16x2<B: Bf16x2>(self, ops: B) -> Self::Output;
}

/// The low and the high halves of bf16x2 lanes, as f32.
#[inline(always)]
pub(crate) fn unpack<S: Simd>(simd: S, bf16x2: S::u32s) -> [S::f32s; 2] {
    let low = simd.wrapping_dyn_shl_u32s(bf16x2, simd.splat_u32s(16));
    let high = simd.and_u32s(bf16x2, simd.splat_u32s(0xffff_0000));
    [simd.transmute_f32s_u32s(low), simd.transmute_f32s_u32s(high)]
}

/// One bf16x2 lane, rounded as [`Bf16x2::pack`] rounds what is not subnormal.
#[cfg(test)]
pub(crate) fn pack_one(low: f32, high: f32) -> u32 {
    let round = |value: f32| {
        let bits = value.to_bits();
        if value.is_nan() {
            return bits | 0x0040_0000;
        }
        bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
    };
    (round(low) >> 16) | (round(high) & 0xffff_0000)
}
