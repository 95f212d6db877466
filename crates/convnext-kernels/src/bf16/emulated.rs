//! bf16x2 on CPUs without an instruction for it: two f32 multiply-adds on values that are rounded as the
//! instruction rounds. Subnormal values are kept, which the instruction reads and writes as zeros.

use pulp::{Simd, WithSimd};

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2, unpack};

/// A kernel on emulated lanes.
pub(crate) struct Emulate<W>(pub(crate) W);

impl<W: WithBf16x2> WithSimd for Emulate<W> {
    type Output = W::Output;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> W::Output {
        self.0.with_bf16x2(Emulated(simd))
    }
}

/// [`Bf16x2`] on CPUs without an instruction for it.
#[derive(Clone, Copy)]
struct Emulated<S>(S);

impl<S: Simd> Bf16x2 for Emulated<S> {
    type Simd = S;

    #[inline(always)]
    fn simd(self) -> S {
        self.0
    }

    #[inline(always)]
    fn multiply_add(self, left: S::u32s, right: S::u32s, sums: S::f32s) -> S::f32s {
        let ([low, high], [right_low, right_high]) = (unpack(self.0, left), unpack(self.0, right));
        self.0.mul_add_e_f32s(low, right_low, self.0.mul_add_e_f32s(high, right_high, sums))
    }

    #[inline(always)]
    fn pack(self, low: S::f32s, high: S::f32s) -> S::u32s {
        let Self(simd) = self;
        let low = simd.wrapping_dyn_shr_u32s(round(simd, low), simd.splat_u32s(16));
        simd.or_u32s(low, simd.and_u32s(round(simd, high), simd.splat_u32s(0xffff_0000)))
    }
}

/// The bits of the rounded bf16 values in the upper halves; the lower halves are undefined. A NaN becomes a quiet one:
/// rounding might carry its bits over into an infinity or a zero.
#[inline(always)]
fn round<S: Simd>(simd: S, values: S::f32s) -> S::u32s {
    let bits = simd.transmute_u32s_f32s(values);
    let odd = simd.and_u32s(simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(16)), simd.splat_u32s(1));
    let rounded = simd.add_u32s(bits, simd.add_u32s(odd, simd.splat_u32s(0x7fff)));
    let quiet = simd.or_u32s(bits, simd.splat_u32s(0x0040_0000));
    simd.select_u32s(simd.equal_f32s(values, values), rounded, quiet)
}
