//! Fused AdamW: one sweep over the values (Loshchilov and Hutter; PyTorch's semantics).

use pulp::{Simd, WithSimd};

use crate::isa::isa;
use crate::lanes::{load, store};
use crate::parallel::{self, TASK_VALUES};
use crate::profile::{Kernel, timed};

/// The settings of one step of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Steps of the parameter, this one included; from 1.
    pub step: usize,
    /// The learning rate.
    pub learning_rate: f64,
    /// Decay rates of the two moments.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decoupled weight decay: multiplied by the learning rate.
    pub weight_decay: f64,
}

/// One step: decoupled decay, bias-corrected moments, epsilon outside of the root.
///
/// # Panics
/// When the four do not have as many values as each other.
pub fn adamw(values: &mut [f32], gradient: &[f32], moments: [&mut [f32]; 2], step: AdamWStep) {
    let [first, second] = moments;
    let count = values.len();
    assert!([gradient.len(), first.len(), second.len()].iter().all(|&len| len == count), "sizes are equal");
    let factors = Factors::of(step);
    let tasks = (values.chunks_mut(TASK_VALUES).zip(gradient.chunks(TASK_VALUES)))
        .zip(first.chunks_mut(TASK_VALUES).zip(second.chunks_mut(TASK_VALUES)));
    parallel::for_each(tasks, |((values, gradient), (first, second))| {
        timed(Kernel::Optimizer, || {
            isa().dispatch(Update { values, gradient, first, second, factors });
        });
    });
}

/// The factors of a step.
#[derive(Debug, Clone, Copy)]
struct Factors {
    /// 1 less the decay of a step.
    keep: f32,
    /// beta and 1 - beta of each moment.
    betas: [[f32; 2]; 2],
    /// The learning rate over the first moment's bias correction.
    rate: f32,
    /// One over the root of the second moment's bias correction.
    root: f32,
    epsilon: f32,
}

impl Factors {
    fn of(step: AdamWStep) -> Self {
        let time = i32::try_from(step.step).unwrap_or(i32::MAX);
        let [first, second] = step.betas.map(|beta| 1.0 - beta.powi(time));
        Self {
            keep: (1.0 - step.learning_rate * step.weight_decay) as f32,
            betas: step.betas.map(|beta| [beta as f32, (1.0 - beta) as f32]),
            rate: (step.learning_rate / first) as f32,
            root: second.sqrt().recip() as f32,
            epsilon: step.epsilon as f32,
        }
    }
}

struct Update<'a> {
    values: &'a mut [f32],
    gradient: &'a [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    factors: Factors,
}

impl WithSimd for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { values, gradient, first, second, factors } = self;
        let [keep, rate, root, epsilon] =
            [factors.keep, factors.rate, factors.root, factors.epsilon].map(|factor| simd.splat_f32s(factor));
        let [[old_first, new_first], [old_second, new_second]] =
            factors.betas.map(|beta| beta.map(|factor| simd.splat_f32s(factor)));
        for at in (0..values.len()).step_by(S::F32_LANES) {
            let gradient = load(simd, gradient, at);
            let mean = simd.mul_f32s(gradient, new_first);
            let mean = simd.mul_add_e_f32s(load(simd, first, at), old_first, mean);
            let square = simd.mul_f32s(simd.mul_f32s(gradient, gradient), new_second);
            let square = simd.mul_add_e_f32s(load(simd, second, at), old_second, square);
            store(simd, first, at, mean);
            store(simd, second, at, square);
            let deviation = simd.mul_add_e_f32s(simd.sqrt_f32s(square), root, epsilon);
            let change = simd.div_f32s(simd.mul_f32s(mean, rate), deviation);
            let value = simd.mul_f32s(load(simd, values, at), keep);
            store(simd, values, at, simd.sub_f32s(value, change));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::testing::noise;

    #[test]
    fn three_steps_match_the_reference() {
        let count = 37;
        for (name, arch) in isa_levels() {
            let mut values = noise(count, 1);
            let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
            let mut expected: Vec<[f64; 3]> =
                values.iter().map(|&value| [f64::from(value), 0.0, 0.0]).collect();
            for time in 1..=3 {
                let gradient = noise(count, 1 + time as u64);
                let step = AdamWStep {
                    step: time,
                    learning_rate: 0.01,
                    betas: [0.9, 0.95],
                    epsilon: 1e-8,
                    weight_decay: 0.3,
                };
                let factors = Factors::of(step);
                arch.dispatch(Update {
                    values: &mut values,
                    gradient: &gradient,
                    first: &mut first,
                    second: &mut second,
                    factors,
                });
                for ([value, first, second], &gradient) in expected.iter_mut().zip(&gradient) {
                    let gradient = f64::from(gradient);
                    *value *= 1.0 - 0.01 * 0.3;
                    *first = 0.9 * *first + 0.1 * gradient;
                    *second = 0.95 * *second + 0.05 * gradient * gradient;
                    let corrected = *first / (1.0 - 0.9_f64.powi(time as i32));
                    let root = (*second / (1.0 - 0.95_f64.powi(time as i32))).sqrt();
                    *value -= 0.01 * corrected / (root + 1e-8);
                }
            }
            for (found, [expected, ..]) in values.iter().zip(&expected) {
                assert!((f64::from(*found) - expected).abs() < 1e-6, "{name}: {found} {expected}");
            }
        }
    }

    #[test]
    fn several_tasks_update_every_value() {
        let count = 2 * TASK_VALUES + 5;
        let step =
            AdamWStep { step: 1, learning_rate: 0.1, betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 };
        let mut values = vec![1.0; count];
        adamw(&mut values, &vec![-2.0; count], [&mut vec![0.0; count], &mut vec![0.0; count]], step);
        assert!(values.iter().all(|value| (value - 1.1).abs() < 1e-6));
    }
}
