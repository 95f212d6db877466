//! The implementation of bf16x2 that this process uses.

use std::sync::OnceLock;

use pulp::Arch;

use crate::bf16::bf16x2::WithBf16x2;
use crate::bf16::emulated::Emulate;
#[cfg(target_arch = "x86_64")]
use crate::bf16::native::Native;
use crate::isa::{AVX512_BF16, Wish, isa, isa_in_use};

/// The implementation of bf16x2 lanes, see [`crate::bf16::bf16x2::Bf16x2`].
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bf16 {
    Emulated(Arch),
    #[cfg(target_arch = "x86_64")]
    Native(Native),
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
    *CHOSEN.get_or_init(|| native_unless_forbidden(Wish::of_process()).unwrap_or(Bf16::Emulated(isa())))
}

/// The instruction, unless a lower set is forced, which excludes it.
fn native_unless_forbidden(wish: Wish) -> Option<Bf16> {
    match wish {
        Wish::Level(_) => None,
        Wish::Best | Wish::Bf16 | Wish::Absent => native(),
    }
}

/// `true` if this process runs on the instructions that [`crate::ISA_VARIABLE`] asks for, or it asks for none. Otherwise the best
/// of this CPU are used.
pub fn has_wanted_instructions() -> bool {
    is_met(Wish::of_process())
}

fn is_met(wish: Wish) -> bool {
    match wish {
        Wish::Best | Wish::Level(_) => true,
        Wish::Bf16 => native().is_some(),
        Wish::Absent => false,
    }
}

/// Name of the bf16 implementation of this process: `avx512bf16`, or `emulated` and the instruction set.
pub fn bf16_in_use() -> String {
    match bf16() {
        Bf16::Emulated(_) => format!("emulated on {}", isa_in_use()),
        #[cfg(target_arch = "x86_64")]
        Bf16::Native(_) => AVX512_BF16.to_owned(),
    }
}

/// Every implementation that this CPU can run, emulated on scalar first.
#[cfg(test)]
pub(crate) fn bf16_isa_levels() -> Vec<(&'static str, Bf16)> {
    let emulated = crate::isa::isa_levels().into_iter().map(|(name, arch)| (name, Bf16::Emulated(arch)));
    emulated.chain(native().map(|found| (AVX512_BF16, found))).collect()
}

#[cfg(target_arch = "x86_64")]
fn native() -> Option<Bf16> {
    Native::try_new().map(Bf16::Native)
}

#[cfg(not(target_arch = "x86_64"))]
fn native() -> Option<Bf16> {
    None
}

#[cfg(test)]
mod tests {
    use pulp::Simd;

    use super::*;
    use crate::bf16::bf16x2::{Bf16x2, pack_one, unpack};
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
    fn a_misspelt_instruction_set_does_not_turn_bf16_off() {
        let is_native = |value: &str| native_unless_forbidden(Wish::of(value)).is_some();
        for value in ["", "avx512bf16", "avx512bf61", "mmx"] {
            assert_eq!(is_native(value), native().is_some(), "{value}");
        }
        for (name, _) in crate::isa::isa_levels() {
            assert!(!is_native(name) && is_met(Wish::of(name)), "{name}");
        }
        assert!(is_met(Wish::of("")) && !is_met(Wish::of("avx512bf61")));
        assert_eq!(is_met(Wish::of("avx512bf16")), native().is_some());
    }

    #[test]
    fn values_are_rounded_to_nearest_and_accumulated_in_f32() {
        // Ties in both directions, and values that rounding must not change.
        let special =
            [1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -1.0 - 1.0 / 256.0, 0.0, -3.0, f32::INFINITY, 1e15];
        // NaN of both signs that rounding would make zeros, one that it would make an infinity, and the usual one.
        let nan = [0x7fff_ffff, 0xffff_ffff, 0x7f80_0001, 0x7fc0_0000].map(f32::from_bits);
        let low: Vec<f32> = special.into_iter().chain(nan).chain(noise(100, 1)).collect();
        let mut high = noise(low.len(), 2);
        high[20] = nan[0];
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
                    let agrees = match value.is_nan() {
                        true => back.is_nan(),
                        false => (value - back).abs() <= value.abs() / 256.0 || value == back,
                    };
                    assert!(agrees, "{name}: {value} became {back}");
                }
                let exact = 0.5
                    + f64::from(back_low[place]) * f64::from(back_low[place])
                    + f64::from(back_high[place]) * f64::from(back_high[place]);
                let found = f64::from(sums[place]);
                let agrees = match exact.is_nan() {
                    true => found.is_nan(),
                    false => exact.is_infinite() || (found - exact).abs() < 1e-6 * exact,
                };
                assert!(agrees, "{name}: {found}, {exact}");
            }
        }
    }
}
