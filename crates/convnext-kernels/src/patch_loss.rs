//! FCMAE's loss: the mean squared error of predicted patches, each target normalised by its own mean and
//! variance.
//!
//! Notation: N images, P patches of an image, V = p * p * channels values of a patch in the order
//! (y, x, channel), R predicted patches of the batch.

use crate::buffer::Buffer;
use crate::parallel::{self, TASK_VALUES};
use crate::profile::{Kernel, timed};

/// Added to the variance of a patch.
const EPSILON: f64 = 1e-6;

/// Shape and patch size of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PatchedImages {
    /// Channels of an image.
    pub channels: usize,
    /// Height in pixels, a multiple of the patch.
    pub height: usize,
    /// Width in pixels, a multiple of the patch.
    pub width: usize,
    /// Side of a patch in pixels.
    pub patch: usize,
}

impl PatchedImages {
    /// V.
    fn values(&self) -> usize {
        self.patch * self.patch * self.channels
    }

    /// Copies a patch out of its image; `patch` counts over all images of the batch.
    fn copy(&self, images: &[f32], patch: usize, out: &mut [f32]) {
        let Self { channels, height, width, patch: side } = *self;
        let (rows, columns) = (height / side, width / side);
        let (image, place) = (patch / (rows * columns), patch % (rows * columns));
        let (top, left) = (place / columns * side, place % columns * side);
        for channel in 0..channels {
            for y in 0..side {
                let start = ((image * channels + channel) * height + top + y) * width + left;
                let pixels = &images[start..start + side];
                let out = out[y * side * channels + channel..].iter_mut().step_by(channels);
                out.zip(pixels).for_each(|(out, pixel)| *out = *pixel);
            }
        }
    }
}

/// The errors of `predictions`, `[R, V]`, and the mean of their squares.
///
/// `patches` are the indices of the predicted patches among all patches of the batch; with `normalize`
/// a target has mean 0 and standard deviation 1, by its unbiased variance + 1e-6.
///
/// # Panics
/// When the sizes do not fit each other.
pub fn patch_errors(
    predictions: &[f32],
    images: &[f32],
    shape: PatchedImages,
    patches: &[i32],
    normalize: bool,
) -> (Buffer, f32) {
    let values = shape.values();
    assert_eq!(predictions.len(), patches.len() * values, "there is a prediction for each patch");
    let mut errors = Buffer::take(predictions.len());
    let work = errors.chunks_mut(values).zip(predictions.chunks(values)).zip(patches);
    let squares = parallel::map(work, |((errors, predictions), &patch)| {
        timed(Kernel::Loss, || {
            shape.copy(images, patch as usize, errors);
            let (mean, deviation) = if normalize { statistics(errors) } else { (0.0, 1.0) };
            let scale = 1.0 / deviation;
            for (error, prediction) in errors.iter_mut().zip(predictions) {
                *error = prediction - (*error - mean) * scale;
            }
            sum(errors, |error| f64::from(error * error))
        })
    });
    let mean = squares.iter().sum::<f64>() / errors.len().max(1) as f64;
    (errors, mean as f32)
}

/// The gradient of the predictions, `[R, V]`, for the errors of [`patch_errors`], `[R, V]`, and the gradient
/// of the mean.
pub fn patch_errors_backward(errors: &[f32], gradient: f32) -> Buffer {
    let factor = gradient * (2.0 / errors.len() as f64) as f32;
    let mut out = Buffer::take(errors.len());
    parallel::for_each(out.chunks_mut(TASK_VALUES).zip(errors.chunks(TASK_VALUES)), |(out, errors)| {
        timed(Kernel::Loss, || out.iter_mut().zip(errors).for_each(|(out, error)| *out = error * factor));
    });
    out
}

/// Independent accumulators, which hide the latency of an addition.
const LANES: usize = 8;

/// The sum of `value` over the values.
fn sum(values: &[f32], value: impl Fn(f32) -> f64) -> f64 {
    let mut sums = [0.0; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for values in whole {
        sums.iter_mut().zip(values).for_each(|(sum, &v)| *sum += value(v));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|&v| value(v)).sum::<f64>()
}

/// Mean and standard deviation of a patch.
fn statistics(values: &[f32]) -> (f32, f32) {
    let count = values.len() as f64;
    let mean = sum(values, f64::from) / count;
    let squares = sum(values, |value| (f64::from(value) - mean).powi(2));
    (mean as f32, (squares / (count - 1.0) + EPSILON).sqrt() as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    #[test]
    fn errors_match_the_reference() {
        let shape = PatchedImages { channels: 3, height: 8, width: 12, patch: 4 };
        let images = noise(2 * 3 * 8 * 12, 1);
        let patches = [5, 0, 7];
        let predictions = noise(3 * 48, 2);
        let pixel = |image: usize, channel: usize, y: usize, x: usize| {
            f64::from(images[((image * 3 + channel) * 8 + y) * 12 + x])
        };
        for normalize in [false, true] {
            let (errors, loss) = patch_errors(&predictions, &images, shape, &patches, normalize);
            let mut squares = 0.0;
            for (row, &patch) in patches.iter().enumerate() {
                let (image, place) = (patch as usize / 6, patch as usize % 6);
                let (top, left) = (place / 3 * 4, place % 3 * 4);
                let mut target: Vec<f64> = (0..48)
                    .map(|value| pixel(image, value % 3, top + value / 12, left + value / 3 % 4))
                    .collect();
                if normalize {
                    let mean = target.iter().sum::<f64>() / 48.0;
                    let variance = target.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 47.0;
                    target.iter_mut().for_each(|value| *value = (*value - mean) / (variance + 1e-6).sqrt());
                }
                for (value, target) in target.iter().enumerate() {
                    let error = f64::from(predictions[row * 48 + value]) - target;
                    squares += error * error;
                    assert!((f64::from(errors[row * 48 + value]) - error).abs() < 1e-5, "{row} {value}");
                }
            }
            assert!((f64::from(loss) - squares / 144.0).abs() < 1e-6, "{loss}");
        }
    }

    #[test]
    fn gradients_of_any_number_of_errors_are_errors_times_one_factor() {
        for count in [0, 1, TASK_VALUES - 1, TASK_VALUES, TASK_VALUES + 1, 3 * TASK_VALUES] {
            let errors = noise(count, 3);
            let found = patch_errors_backward(&errors, -1.5);
            let factor = -1.5 * (2.0 / count as f64) as f32;
            assert!(
                found.len() == count && found.iter().zip(&errors).all(|(f, e)| *f == e * factor),
                "{count}"
            );
        }
    }

    #[test]
    fn a_constant_patch_has_a_finite_target() {
        let shape = PatchedImages { channels: 1, height: 2, width: 2, patch: 2 };
        let (errors, loss) = patch_errors(&[0.0; 4], &[0.25; 4], shape, &[0], true);
        assert_eq!((&errors[..], loss), (&[0.0; 4][..], 0.0));
    }
}
