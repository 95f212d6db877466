//! What this processor can do at most: a loop of multiply-adds that never leaves the registers, of values or of
//! pairs of bf16 ones.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::bf16::{Pairs, WithPairs};
use crate::block::Precision;
use crate::instructions::engine;

/// Registers that are added to in turn: enough to hide that a sum takes four cycles. x86 starts two a
/// cycle and has as few as 16 registers; ARM starts up to four and has 32.
const SUMS: usize = if cfg!(target_arch = "aarch64") { 24 } else { 12 };

/// Rounds between two looks at the clock.
const ROUNDS: usize = 20_000;

/// Floating-point operations a second of all threads of the pool together, multiply and add counted as
/// two, measured for this long.
pub fn peak_flops(precision: Precision, time: Duration) -> f64 {
    let engine = engine();
    let threads = rayon::current_num_threads();
    let begin = Instant::now();
    let done: usize = (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut operations = 0;
            while begin.elapsed() < time {
                operations += match precision {
                    Precision::F32 => engine.arch.dispatch(MultiplyAdd),
                    Precision::Bf16 => engine.bf16.dispatch(MultiplyAdd),
                };
            }
            operations
        })
        .sum();
    done as f64 / begin.elapsed().as_secs_f64()
}

/// Some rounds of the loop; tells how many operations that were.
struct MultiplyAdd;

impl WithSimd for MultiplyAdd {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let factor = simd.splat_f32s(black_box(-1e-3));
        let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
        for _ in 0..ROUNDS {
            // Each adds to itself, which is the only form that NEON has: another one would copy registers.
            // That it adds its neighbour keeps the compiler from taking the product out of the loop.
            for at in 0..SUMS {
                sums[at] = simd.mul_add_e_f32s(factor, sums[(at + 1) % SUMS], sums[at]);
            }
        }
        let mut sum = sums[0];
        for other in &sums[1..] {
            sum = simd.add_f32s(sum, *other);
        }
        black_box(simd.reduce_sum_f32s(sum));
        ROUNDS * SUMS * S::F32_LANES * 2
    }
}

impl WithPairs for MultiplyAdd {
    type Output = usize;

    #[inline(always)]
    fn with_pairs<P: Pairs>(self, pairs: P) -> usize {
        // Twice as many registers: a sum of pairs takes longer.
        const SUMS: usize = 24;
        let simd = pairs.simd();
        let factor = simd.splat_u32s(black_box(0xba83_ba83));
        let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
        for _ in 0..ROUNDS {
            for at in 0..SUMS {
                let other = simd.transmute_u32s_f32s(sums[(at + 1) % SUMS]);
                sums[at] = pairs.multiply_add(factor, other, sums[at]);
            }
        }
        let mut sum = sums[0];
        for other in &sums[1..] {
            sum = simd.add_f32s(sum, *other);
        }
        black_box(simd.reduce_sum_f32s(sum));
        ROUNDS * SUMS * P::Simd::F32_LANES * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_processor_does_more_than_a_hundred_million_operations_a_second() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert!(peak_flops(precision, Duration::from_millis(20)) > 1e8, "{precision:?}");
        }
    }
}
