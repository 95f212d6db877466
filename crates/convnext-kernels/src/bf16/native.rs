//! bf16x2 on CPUs with AVX-512 BF16.

use std::arch::x86_64::{__m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps};

use pulp::x86::V4;
use pulp::{NullaryFnOnce, Simd, cast, f32x16, u16x32, u32x16};

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2};

pulp::simd_type! {
    /// AVX-512 BF16: the features of [`V4`] and one more.
    pub(crate) struct Features {
        sse: "sse",
        sse2: "sse2",
        fxsr: "fxsr",
        sse3: "sse3",
        ssse3: "ssse3",
        sse4_1: "sse4.1",
        sse4_2: "sse4.2",
        popcnt: "popcnt",
        avx: "avx",
        avx2: "avx2",
        bmi1: "bmi1",
        bmi2: "bmi2",
        fma: "fma",
        lzcnt: "lzcnt",
        avx512f: "avx512f",
        avx512bw: "avx512bw",
        avx512cd: "avx512cd",
        avx512dq: "avx512dq",
        avx512vl: "avx512vl",
        avx512bf16: "avx512bf16",
    }
}

/// [`Bf16x2`] on AVX-512 BF16. Only [`Native::try_new`] makes one, on CPUs that have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Native {
    simd: V4,
    features: Features,
}

impl Native {
    pub(crate) fn try_new() -> Option<Self> {
        Some(Self { simd: V4::try_new()?, features: Features::try_new()? })
    }

    #[inline(always)]
    pub(crate) fn dispatch<W: WithBf16x2>(self, work: W) -> W::Output {
        self.features.vectorize(Call { native: self, work })
    }
}

struct Call<W> {
    native: Native,
    work: W,
}

impl<W: WithBf16x2> NullaryFnOnce for Call<W> {
    type Output = W::Output;

    #[inline(always)]
    fn call(self) -> W::Output {
        self.work.with_bf16x2(self.native)
    }
}

/// The permutation that interleaves 16 low and 16 high halves.
const INTERLEAVED: [u16; 32] = {
    let mut places = [0; 32];
    let mut lane = 0;
    while lane < 16 {
        places[2 * lane as usize] = lane;
        places[2 * lane as usize + 1] = lane + 16;
        lane += 1;
    }
    places
};

impl Bf16x2 for Native {
    type Simd = V4;

    #[inline(always)]
    fn simd(self) -> V4 {
        self.simd
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "the instruction has no safe form outside of a function with its feature")]
    fn multiply_add(self, left: u32x16, right: u32x16, sums: f32x16) -> f32x16 {
        // SAFETY: a `Native` exists, so the CPU has avx512bf16; all three types are 64 bytes for
        // which any bits are values.
        unsafe {
            let left = std::mem::transmute::<u32x16, __m512bh>(left);
            let right = std::mem::transmute::<u32x16, __m512bh>(right);
            cast(_mm512_dpbf16_ps(cast(sums), left, right))
        }
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "the instruction has no safe form outside of a function with its feature")]
    fn pack(self, low: f32x16, high: f32x16) -> u32x16 {
        // SAFETY: as above.
        let halves: u16x32 =
            unsafe { std::mem::transmute::<__m512bh, u16x32>(_mm512_cvtne2ps_pbh(cast(high), cast(low))) };
        let order: u16x32 = cast(INTERLEAVED);
        cast(self.simd.avx512bw._mm512_permutexvar_epi16(cast(order), cast(halves)))
    }
}

// The lanes that `load` and `store` count are those of V4.
const _: () = assert!(V4::F32_LANES == 16);
