//! bf16 GEMM with f32 accumulation, on bf16x2 lanes: two bf16 values in 32 bits, multiplied and added at once
//! (`vdpbf16ps`).
//!
//! The layout of a matrix pairs either neighbouring rows ([`rows`]) or columns ([`columns`]); both sides of a
//! GEMM have to agree. A CPU without the instruction emulates it by two f32 multiply-adds on values that are
//! rounded in the same way; [`bf16_in_use`] names the implementation.

pub(crate) mod block;
pub(crate) mod columns;
mod expansion;
mod gelu;
pub(crate) mod gemm;
pub(crate) mod packed;
pub(crate) mod rows;

use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

use crate::isa::{ISA_VARIABLE, isa, isa_in_use};

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

    /// Rounds to nearest bf16, ties to even, and packs two registers into bf16x2 lanes.
    fn pack(
        self,
        low: <Self::Simd as Simd>::f32s,
        high: <Self::Simd as Simd>::f32s,
    ) -> <Self::Simd as Simd>::u32s;
}

/// The low and the high halves of bf16x2 lanes, as f32.
#[inline(always)]
pub(crate) fn unpack<S: Simd>(simd: S, bf16x2: S::u32s) -> [S::f32s; 2] {
    let low = simd.wrapping_dyn_shl_u32s(bf16x2, simd.splat_u32s(16));
    let high = simd.and_u32s(bf16x2, simd.splat_u32s(0xffff_0000));
    [simd.transmute_f32s_u32s(low), simd.transmute_f32s_u32s(high)]
}

/// One bf16x2 lane, rounded as [`Bf16x2::pack`] rounds.
#[cfg(test)]
pub(crate) fn pack_one(low: f32, high: f32) -> u32 {
    let round = |value: f32| {
        let bits = value.to_bits();
        bits.wrapping_add(0x7fff + ((bits >> 16) & 1))
    };
    (round(low) >> 16) | (round(high) & 0xffff_0000)
}

/// A kernel that is generic over [`Bf16x2`].
pub(crate) trait WithBf16x2 {
    type Output;

    fn with_bf16x2<B: Bf16x2>(self, ops: B) -> Self::Output;
}

/// The implementation of [`Bf16x2`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bf16 {
    Emulated(Arch),
    #[cfg(target_arch = "x86_64")]
    Native(native::Native),
}

impl Bf16 {
    #[inline(always)]
    pub(crate) fn dispatch<W: WithBf16x2>(self, work: W) -> W::Output {
        match self {
            Self::Emulated(arch) => arch.dispatch(Emulate(work)),
            #[cfg(target_arch = "x86_64")]
            Self::Native(native) => native.dispatch(work),
        }
    }
}

/// The implementation of this process.
pub(crate) fn bf16() -> Bf16 {
    static CHOSEN: OnceLock<Bf16> = OnceLock::new();
    *CHOSEN.get_or_init(|| {
        // A forced lower instruction set excludes this one.
        let wanted = std::env::var(ISA_VARIABLE).unwrap_or_default();
        let found = native().filter(|_| wanted.is_empty() || wanted == NATIVE);
        found.unwrap_or(Bf16::Emulated(isa()))
    })
}

const NATIVE: &str = "avx512bf16";

/// Name of the bf16 implementation of this process: `avx512bf16`, or `emulated` and the instruction set.
pub fn bf16_in_use() -> String {
    match bf16() {
        Bf16::Emulated(_) => format!("emulated on {}", isa_in_use()),
        #[cfg(target_arch = "x86_64")]
        Bf16::Native(_) => NATIVE.to_owned(),
    }
}

/// Every implementation that this CPU can run, emulated on scalar first.
#[cfg(test)]
pub(crate) fn bf16_isa_levels() -> Vec<(&'static str, Bf16)> {
    let emulated = crate::isa::isa_levels().into_iter().map(|(name, arch)| (name, Bf16::Emulated(arch)));
    emulated.chain(native().map(|found| (NATIVE, found))).collect()
}

#[cfg(target_arch = "x86_64")]
fn native() -> Option<Bf16> {
    native::Native::try_new().map(Bf16::Native)
}

#[cfg(not(target_arch = "x86_64"))]
fn native() -> Option<Bf16> {
    None
}

struct Emulate<W>(W);

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

/// The bits of the rounded bf16 values in the upper halves; the lower halves are undefined.
#[inline(always)]
fn round<S: Simd>(simd: S, values: S::f32s) -> S::u32s {
    let bits = simd.transmute_u32s_f32s(values);
    let odd = simd.and_u32s(simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(16)), simd.splat_u32s(1));
    simd.add_u32s(bits, simd.add_u32s(odd, simd.splat_u32s(0x7fff)))
}

#[cfg(target_arch = "x86_64")]
mod native {
    use std::arch::x86_64::{__m512bh, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps};

    use pulp::x86::V4;
    use pulp::{NullaryFnOnce, Simd, cast, f32x16, u16x32, u32x16};

    use super::{Bf16x2, WithBf16x2};

    pulp::simd_type! {
        /// AVX-512 BF16: the features of [`V4`] and one more.
        pub(super) struct Features {
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
        pub(super) fn try_new() -> Option<Self> {
            Some(Self { simd: V4::try_new()?, features: Features::try_new()? })
        }

        #[inline(always)]
        pub(super) fn dispatch<W: WithBf16x2>(self, work: W) -> W::Output {
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
        #[allow(
            unsafe_code,
            reason = "the instruction has no safe form outside of a function with its feature"
        )]
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
        #[allow(
            unsafe_code,
            reason = "the instruction has no safe form outside of a function with its feature"
        )]
        fn pack(self, low: f32x16, high: f32x16) -> u32x16 {
            // SAFETY: as above.
            let halves: u16x32 = unsafe {
                std::mem::transmute::<__m512bh, u16x32>(_mm512_cvtne2ps_pbh(cast(high), cast(low)))
            };
            let order: u16x32 = cast(INTERLEAVED);
            cast(self.simd.avx512bw._mm512_permutexvar_epi16(cast(order), cast(halves)))
        }
    }

    // The lanes that `load` and `store` count are those of V4.
    const _: () = assert!(V4::F32_LANES == 16);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lanes::{load, load_bf16x2, store, store_bf16x2};
    use crate::testing::noise;

    /// Packs, unpacks, and multiplies lanes by themselves.
    struct RoundTrip<'a> {
        low: &'a [f32],
        high: &'a [f32],
        bf16x2: &'a mut [u32],
        back: [&'a mut [f32]; 2],
        sums: &'a mut [f32],
    }

    impl WithBf16x2 for RoundTrip<'_> {
        type Output = ();

        #[inline(always)]
        fn with_bf16x2<B: Bf16x2>(self, ops: B) {
            let simd = ops.simd();
            let [back_low, back_high] = self.back;
            for at in (0..self.low.len()).step_by(B::Simd::F32_LANES) {
                let packed = ops.pack(load(simd, self.low, at), load(simd, self.high, at));
                store_bf16x2(simd, self.bf16x2, at, packed);
                let packed = load_bf16x2(simd, self.bf16x2, at);
                let [low, high] = unpack(simd, packed);
                store(simd, back_low, at, low);
                store(simd, back_high, at, high);
                store(simd, self.sums, at, ops.multiply_add(packed, packed, simd.splat_f32s(0.5)));
            }
        }
    }

    #[test]
    fn values_are_rounded_to_nearest_and_accumulated_in_f32() {
        // Ties in both directions, and values that rounding must not change.
        let special =
            [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.0 - 1.0 / 256.0, 0.0, -3.0, f32::INFINITY, 1e15];
        let low: Vec<f32> = special.into_iter().chain(noise(100, 1)).collect();
        let high = noise(low.len(), 2);
        for (name, bf16) in bf16_isa_levels() {
            let mut bf16x2 = vec![0; low.len()];
            let [mut back_low, mut back_high, mut sums] = [(); 3].map(|()| vec![0.0; low.len()]);
            bf16.dispatch(RoundTrip {
                low: &low,
                high: &high,
                bf16x2: &mut bf16x2,
                back: [&mut back_low, &mut back_high],
                sums: &mut sums,
            });
            assert_eq!(back_low[..2], [1.0, 1.0 + 4.0 / 256.0], "{name}");
            assert_eq!(back_low[2..6], [-1.0, 0.0, -3.0, f32::INFINITY], "{name}");
            for place in 0..low.len() {
                assert_eq!(
                    bf16x2[place],
                    pack_one(low[place], high[place]),
                    "{name}: the scalar rounding agrees"
                );
                for (value, back) in [(low[place], back_low[place]), (high[place], back_high[place])] {
                    assert!((value - back).abs() <= value.abs() / 256.0 || value == back, "{name}: {value}");
                }
                let exact = 0.5
                    + f64::from(back_low[place]) * f64::from(back_low[place])
                    + f64::from(back_high[place]) * f64::from(back_high[place]);
                let error = (f64::from(sums[place]) - exact).abs();
                assert!(exact.is_infinite() || error < 1e-6 * exact, "{name}: {error}");
            }
        }
    }
}
