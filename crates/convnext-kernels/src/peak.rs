//! Peak throughput of this CPU: a loop of multiply-adds that never leaves the registers, in f32 or bf16x2.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::bf16::bf16x2::{Bf16x2, WithBf16x2};
use crate::precision::Precision;
use crate::target::target;

/// Independent accumulators: enough to hide the four cycles of latency of a multiply-add. x86 issues two a
/// cycle and has as few as 16 registers; ARM issues up to four and has 32.
const SUMS: usize = if cfg!(target_arch = "aarch64") { 24 } else { 12 };

/// Iterations between two reads of the clock.
const ROUNDS: usize = 20_000;

/// FLOP/s of all threads of the pool together, a multiply-add counted as two, measured over `time`.
pub fn peak_flops(precision: Precision, time: Duration) -> f64 {
    let target = target();
    let threads = rayon::current_num_threads();
    let begin = Instant::now();
    let done: usize = (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut operations = 0;
            while begin.elapsed() < time {
                operations += match precision {
                    Precision::F32 => target.arch.dispatch(MultiplyAdd),
                    Precision::Bf16 => target.bf16.dispatch(MultiplyAdd),
                };
            }
            operations
        })
        .sum();
    done as f64 / begin.elapsed().as_secs_f64()
}

/// [`ROUNDS`] iterations of the loop; returns their floating-point operations.
struct MultiplyAdd;

impl WithSimd for MultiplyAdd {
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let factor = simd.splat_f32s(black_box(-1e-3));
        let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
        for _ in 0..ROUNDS {
            // The accumulator is the addend, the only form that NEON has: another one would copy registers.
            // The neighbour as a factor keeps the compiler from hoisting the product out of the loop.
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

impl WithBf16x2 for MultiplyAdd {
    type Output = usize;

    #[inline(always)]
    fn with_bf16x2<B: Bf16x2>(self, ops: B) -> usize {
        // Twice as many accumulators: a bf16x2 multiply-add has a longer latency.
        const SUMS: usize = 24;
        let simd = ops.simd();
        let factor = simd.splat_u32s(black_box(0xba83_ba83));
        let mut sums = [simd.splat_f32s(black_box(1.0)); SUMS];
        for _ in 0..ROUNDS {
            for at in 0..SUMS {
                let other = simd.transmute_u32s_f32s(sums[(at + 1) % SUMS]);
                sums[at] = ops.multiply_add(factor, other, sums[at]);
            }
        }
        let mut sum = sums[0];
        for other in &sums[1..] {
            sum = simd.add_f32s(sum, *other);
        }
        black_box(simd.reduce_sum_f32s(sum));
        ROUNDS * SUMS * B::Simd::F32_LANES * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cpu_exceeds_a_hundred_million_operations_a_second() {
        for precision in [Precision::F32, Precision::Bf16] {
            assert!(peak_flops(precision, Duration::from_millis(20)) > 1e8, "{precision:?}");
        }
    }
}
