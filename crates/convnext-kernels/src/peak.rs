//! What this processor can do at most: a loop of multiply-adds that never leaves the registers.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::instructions::instructions;

/// Registers that are added to in turn: enough to hide that a sum takes four cycles. x86 starts two a
/// cycle and has as few as 16 registers; ARM starts up to four and has 32.
const SUMS: usize = if cfg!(target_arch = "aarch64") { 24 } else { 12 };

/// Rounds between two looks at the clock.
const ROUNDS: usize = 20_000;

/// Floating-point operations a second of all threads of the pool together, multiply and add counted as
/// two, measured for this long.
pub fn peak_flops(time: Duration) -> f64 {
    let threads = rayon::current_num_threads();
    let begin = Instant::now();
    let done: usize = (0..threads)
        .into_par_iter()
        .with_max_len(1)
        .map(|_| {
            let mut operations = 0;
            while begin.elapsed() < time {
                operations += instructions().dispatch(MultiplyAdd);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_processor_does_more_than_a_hundred_million_operations_a_second() {
        assert!(peak_flops(Duration::from_millis(20)) > 1e8);
    }
}
