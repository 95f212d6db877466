//! The weight of a 3x3 convolution, `[O, C, 3, 3]`, as the matrices of its GEMMs, and back.
//!
//! Notation: O output and C input channels, 9 taps.

use crate::buffer::Buffer;
use crate::convolution::taps::TAPS;
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Output channels of a task.
const TASK_OUTPUTS: usize = 16;

/// `[O, 9, channels]`, the transposed right side of the forward: of each output channel, tap by tap, the input channels
/// and zeros.
pub(crate) fn by_output(weight: &[f32], outputs: usize, channels: usize) -> Buffer {
    let inputs = weight.len() / outputs / TAPS;
    let mut matrix = Buffer::take(outputs * TAPS * channels);
    let tasks = matrix.chunks_mut(TASK_OUTPUTS * TAPS * channels);
    parallel::for_each(tasks.zip(weight.chunks(TASK_OUTPUTS * TAPS * inputs)), |(matrix, weight)| {
        timed(Kernel::Packing, || {
            let outputs = matrix.chunks_exact_mut(TAPS * channels).zip(weight.chunks_exact(TAPS * inputs));
            for (matrix, weight) in outputs {
                let mut taps = matrix.chunks_exact_mut(channels);
                let taps = std::array::from_fn(|_| taps.next().unwrap_or_default());
                split_taps(weight, taps);
            }
        });
    });
    matrix
}

/// `[9, outputs, C]`, the right side of the input gradient, which convolves with the kernel rotated by 180 degrees: tap by
/// tap, from the last to the first, the output channels and zeros.
pub(crate) fn by_rotated_tap(weight: &[f32], outputs: usize, padded: usize) -> Buffer {
    let inputs = weight.len() / outputs / TAPS;
    let mut matrix = Buffer::take(TAPS * padded * inputs);
    let mut taps: Vec<_> = (matrix.chunks_mut((padded * inputs).max(1)).rev())
        .map(|tap| {
            let (tap, padding) = tap.split_at_mut(outputs * inputs);
            padding.fill(0.0);
            tap.chunks_mut(TASK_OUTPUTS * inputs)
        })
        .collect();
    let tasks: Vec<_> = weight
        .chunks(TASK_OUTPUTS * TAPS * inputs)
        .map(|weight| (weight, std::array::from_fn(|tap| taps[tap].next().unwrap_or_default())))
        .collect();
    parallel::for_each(tasks, |(weight, taps)| timed(Kernel::Packing, || split_taps(weight, taps)));
    matrix
}

/// `[values, 9]` to nine slices of the values and zeros.
fn split_taps(weight: &[f32], mut taps: [&mut [f32]; TAPS]) {
    // A part of the weight stays in the L1 cache for all taps.
    const PART: usize = 256;
    let weight = weight.as_chunks::<TAPS>().0;
    for (begin, part) in (0..).step_by(PART).zip(weight.chunks(PART)) {
        for (tap, to) in taps.iter_mut().enumerate() {
            to[begin..].iter_mut().zip(part).for_each(|(to, weight)| *to = weight[tap]);
        }
    }
    taps.into_iter().for_each(|to| to[weight.len()..].fill(0.0));
}

/// The weight's gradient `[O, C, 3, 3]` from sums `[9, C, O]` of blocks of neighbouring input channels.
pub(crate) fn from_blocks(blocks: &[Buffer], outputs: usize, inputs: usize) -> Vec<f32> {
    let mut weight = vec![0.0; outputs * inputs * TAPS];
    let tasks = weight.chunks_mut(TASK_OUTPUTS * inputs * TAPS).enumerate();
    parallel::for_each(tasks, |(task, weight)| {
        timed(Kernel::Packing, || {
            let of_task = task * TASK_OUTPUTS..outputs.min((task + 1) * TASK_OUTPUTS);
            let mut first = 0;
            for block in blocks {
                let channels = block.len() / TAPS / outputs;
                for channel in 0..channels {
                    let row = |tap: usize| &block[(tap * channels + channel) * outputs..][of_task.clone()];
                    let taps: [&[f32]; TAPS] = std::array::from_fn(row);
                    let to = weight[(first + channel) * TAPS..].chunks_mut(inputs * TAPS);
                    for (output, to) in to.enumerate() {
                        to.iter_mut().zip(&taps).for_each(|(to, of_tap)| *to = of_tap[output]);
                    }
                }
                first += channels;
            }
        });
    });
    weight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn matrices_hold_every_weight_in_its_place() {
        for [outputs, inputs] in [[1, 1], [5, 3], [40, 17]] {
            let weight = noise(outputs * inputs * TAPS, 1);
            let value = |output: usize, input: usize, tap: usize| match (output < outputs, input < inputs) {
                (true, true) => weight[(output * inputs + input) * TAPS + tap],
                _ => 0.0,
            };
            let channels = inputs + 2;
            for (place, found) in by_output(&weight, outputs, channels).iter().enumerate() {
                let (output, tap) = (place / channels / TAPS, place / channels % TAPS);
                assert_eq!(*found, value(output, place % channels, tap));
            }
            let padded = outputs + 3;
            for (place, found) in by_rotated_tap(&weight, outputs, padded).iter().enumerate() {
                let (output, tap) = (place / inputs % padded, TAPS - 1 - place / inputs / padded);
                assert_eq!(*found, value(output, place % inputs, tap));
            }
            let mut begin = 0;
            let blocks = [inputs / 2, inputs - inputs / 2].map(|channels| {
                let mut block = Buffer::take(TAPS * channels * outputs);
                for (place, sum) in block.iter_mut().enumerate() {
                    let (row, output) = (place / outputs, place % outputs);
                    *sum = value(output, begin + row % channels, row / channels);
                }
                begin += channels;
                block
            });
            assert_eq!(from_blocks(&blocks, outputs, inputs), weight);
        }
    }
}
