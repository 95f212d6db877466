//! The weight of a 3x3 convolution, `[O, C, 3, 3]`, as the right sides of its GEMMs, and back.
//!
//! Notation: O output and C input channels, 9 taps.

use pulp::Arch;

use crate::buffer::Buffer;
use crate::convolution::taps::TAPS;
use crate::packed::Packed;
use crate::parallel;
use crate::profile::{Kernel, timed};

/// Output channels of a task.
pub(crate) const TASK_OUTPUTS: usize = 16;

/// Input channels of a forward's right side that are packed at a time, and output channels: what stays in the L1 cache.
const PACKED_INPUTS: usize = 32;
const PACKED_OUTPUTS: usize = 16;

/// The packed right side of the forward, `[9 C, O]`.
pub(crate) fn pack_forward(arch: Arch, weight: &[f32], outputs: usize) -> Packed {
    let inputs = weight.len() / outputs / TAPS;
    Packed::by_panel(arch, TAPS * inputs, outputs, |panel, packed| {
        for (place, columns) in panel.columns.clone().step_by(PACKED_OUTPUTS).enumerate() {
            let columns = columns..panel.columns.end.min(columns + PACKED_OUTPUTS);
            for first in (0..inputs).step_by(PACKED_INPUTS) {
                let count = PACKED_INPUTS.min(inputs - first);
                // By channels, then by taps.
                let mut part = [[0.0; PACKED_OUTPUTS]; PACKED_INPUTS * TAPS];
                for (column, output) in columns.clone().enumerate() {
                    let values = &weight[(output * inputs + first) * TAPS..][..count * TAPS];
                    part.iter_mut().zip(values).for_each(|(part, value)| part[column] = *value);
                }
                for (at, part) in part[..count * TAPS].iter().enumerate() {
                    let row = packed.row(at % TAPS * inputs + first + at / TAPS);
                    row[place * PACKED_OUTPUTS..][..PACKED_OUTPUTS].copy_from_slice(part);
                }
            }
        }
    })
}

/// The packed right side of the input gradient, which convolves with the kernel rotated by 180 degrees: `[9 O, C]`, from
/// the last tap to the first.
pub(crate) fn pack_rotated(arch: Arch, weight: &[f32], outputs: usize) -> Packed {
    let inputs = weight.len() / outputs / TAPS;
    Packed::by_panel(arch, TAPS * outputs, inputs, |panel, packed| {
        for (output, weight) in weight.chunks_exact(TAPS * inputs).enumerate() {
            let values = weight.as_chunks::<TAPS>().0;
            for tap in 0..TAPS {
                let (row, padding) =
                    packed.row((TAPS - 1 - tap) * outputs + output).split_at_mut(panel.columns.len());
                row.iter_mut().zip(&values[panel.columns.clone()]).for_each(|(to, taps)| *to = taps[tap]);
                padding.fill(0.0);
            }
        }
    })
}

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

/// Sums `[9, channels, O]` as a part of the weight's gradient: rows `[channels, 9]` of neighbouring output channels.
pub(crate) fn taps_last(sums: &[f32], first_output: usize, outputs: usize, rows: &mut [&mut [f32]]) {
    let channels = sums.len() / TAPS / outputs;
    for (first, rows) in (first_output..).step_by(TASK_OUTPUTS).zip(rows.chunks_mut(TASK_OUTPUTS)) {
        for channel in 0..channels {
            let row = |tap: usize| &sums[(tap * channels + channel) * outputs + first..][..rows.len()];
            let taps: [&[f32]; TAPS] = std::array::from_fn(row);
            for (output, to) in rows.iter_mut().enumerate() {
                let to = &mut to[channel * TAPS..][..TAPS];
                to.iter_mut().zip(&taps).for_each(|(to, of_tap)| *to = of_tap[output]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::isa_levels;
    use crate::packed::Matrix;
    use crate::testing::noise;

    #[test]
    fn matrices_hold_every_weight_in_its_place() {
        for [outputs, inputs] in [[1, 1], [5, 3], [40, 17]] {
            let weight = noise(outputs * inputs * TAPS, 1);
            let value = |output: usize, input: usize, tap: usize| match (output < outputs, input < inputs) {
                (true, true) => weight[(output * inputs + input) * TAPS + tap],
                _ => 0.0,
            };
            let matrix = by_output(&weight, outputs, inputs);
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
            let forward = Matrix::new(&matrix, outputs, TAPS * inputs).transposed();
            let rotated = by_rotated_tap(&weight, outputs, outputs);
            let backward = Matrix::new(&rotated, TAPS * outputs, inputs);
            for (name, arch) in isa_levels() {
                assert_eq!(pack_forward(arch, &weight, outputs), Packed::new(arch, forward), "{name}");
                assert_eq!(pack_rotated(arch, &weight, outputs), Packed::new(arch, backward), "{name}");
            }
            let (first, count) = (outputs / 3, outputs - outputs / 3);
            let sums: Vec<f32> = (0..weight.len())
                .map(|place| (place % outputs, place / outputs))
                .map(|(output, row)| value(output, row % inputs, row / inputs))
                .collect();
            let mut found = vec![0.0; count * inputs * TAPS];
            let mut rows: Vec<&mut [f32]> = found.chunks_exact_mut(inputs * TAPS).collect();
            taps_last(&sums, first, outputs, &mut rows);
            assert_eq!(found, weight[first * inputs * TAPS..]);
        }
    }
}
