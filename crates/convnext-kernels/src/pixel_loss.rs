//! Cross-entropy of pixels, for logits that are resized bilinearly to the size of the label map: the loss and the gradient
//! of the small logits in one pass, so that logits at the size of the labels are never in memory.
//!
//! Notation: N images, h x w sites of a map of logits, H x W pixels of a label map, K classes. Resizing is PyTorch's
//! `interpolate` with `align_corners=False`. A task is the pixels whose upper neighbour is one row of sites; its gradient
//! reaches that row and the next one, and the gradients of all tasks are added in order.

use pulp::{Arch, Simd, WithSimd};

use crate::buffer::Buffer;
use crate::gelu::exp_of_negative;
use crate::isa::isa;
use crate::lanes::{add, load, store};
use crate::parallel;
use crate::profile::{Kernel, timed};
use crate::split::add_to;

/// Label of a pixel that counts nowhere.
pub const IGNORED_LABEL: u16 = u16::MAX;

/// Lanes of the widest register: the classes of a site are padded to a multiple of it.
const PADDING: usize = 16;

/// Logit of a padded class, whose probability is 0.
const NEVER: f32 = -1e30;

/// Shape of maps of logits, `[images * height * width, classes]` with rows in the order (image, y, x).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogitMaps {
    /// N.
    pub images: usize,
    /// h.
    pub height: usize,
    /// w.
    pub width: usize,
    /// K.
    pub classes: usize,
}

/// Label maps, and how much their pixels count.
#[derive(Debug, Clone, Copy)]
pub struct PixelLabels<'a> {
    /// `[N, H, W]`: classes, or [`IGNORED_LABEL`].
    pub labels: &'a [u16],
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
    /// Weight of the pixels of each class, `[K]`.
    pub class_weights: &'a [f32],
}

/// The sum over all pixels of weight times cross-entropy, and its gradient, `[N * h * w, K]`. Both are NaN where a pixel's
/// interpolated logits hold NaN or positive infinity.
///
/// # Panics
/// When the sizes do not fit each other, or a label is no class.
pub fn pixel_cross_entropy(logits: &[f32], maps: LogitMaps, labels: PixelLabels<'_>) -> (f64, Buffer) {
    pixel_cross_entropy_on(isa(), logits, maps, labels)
}

fn pixel_cross_entropy_on(
    arch: Arch,
    logits: &[f32],
    maps: LogitMaps,
    labels: PixelLabels<'_>,
) -> (f64, Buffer) {
    check(logits, maps, labels);
    let LogitMaps { images, height, width, classes } = maps;
    let [line, pixels] = [width * classes, labels.height * labels.width];
    let (rows, columns) = (axis(height, labels.height), axis(width, labels.width));
    let places = (0..images).flat_map(|image| (0..height).map(move |row| (image, row)));
    let found = parallel::map(places, |(image, row)| {
        let upper = (image * height + row) * line;
        let last = row + 1 == height;
        let task = SiteRow {
            logits: [&logits[upper..][..line], &logits[if last { upper } else { upper + line }..][..line]],
            is_last: last,
            row,
            rows: &rows,
            columns: &columns,
            labels: &labels.labels[image * pixels..][..pixels],
            class_weights: labels.class_weights,
        };
        timed(Kernel::Loss, || arch.dispatch(task))
    });
    let mut gradient = Buffer::take(logits.len());
    gradient.fill(0.0);
    let mut loss = 0.0;
    for (start, task) in (0..).step_by(line).zip(&found) {
        loss += task.loss;
        add_to(&mut gradient[start..][..line], &task.upper);
        if !task.lower.is_empty() {
            add_to(&mut gradient[start + line..][..line], &task.lower);
        }
    }
    (loss, gradient)
}

fn check(logits: &[f32], maps: LogitMaps, labels: PixelLabels<'_>) {
    let LogitMaps { images, height, width, classes } = maps;
    assert!(height > 0 && width > 0 && classes > 0, "a map has sites and classes");
    assert_eq!(logits.len(), images * height * width * classes, "the logits are [N * h * w, K]");
    assert_eq!(labels.labels.len(), images * labels.height * labels.width, "the labels are [N, H, W]");
    assert_eq!(labels.class_weights.len(), classes, "there is a weight for each class");
    let is_class = |&label: &u16| label == IGNORED_LABEL || usize::from(label) < classes;
    assert!(labels.labels.iter().all(is_class), "every label is a class or ignored");
}

/// The two sites that a pixel lies between along one axis, and the share of the second.
#[derive(Debug, Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

/// The places of `target` pixels among `source` sites.
fn axis(source: usize, target: usize) -> Vec<Between> {
    let scale = source as f32 / target as f32;
    let place = |pixel: usize| {
        let at = ((pixel as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (at as usize).min(source - 1);
        Between { first, second: (first + 1).min(source - 1), share: at - first as f32 }
    };
    (0..target).map(place).collect()
}

/// The pixels of an image whose upper neighbour is one row of sites.
struct SiteRow<'a> {
    /// Of this row of sites and of the next one, `[w, K]` each; the same twice at the last row.
    logits: [&'a [f32]; 2],
    is_last: bool,
    row: usize,
    /// `[H]`.
    rows: &'a [Between],
    /// `[W]`.
    columns: &'a [Between],
    /// Of the image, `[H, W]`.
    labels: &'a [u16],
    /// `[K]`.
    class_weights: &'a [f32],
}

/// Loss and gradient of a task.
struct SiteRowLoss {
    loss: f64,
    /// Gradient of its row of sites, `[w, K]`.
    upper: Vec<f32>,
    /// Gradient of the next row; empty at the last one.
    lower: Vec<f32>,
}

/// Memory for a row of pixels, all of padded classes.
struct Buffers {
    /// The logits of both rows of sites, blended, `[w, K]`.
    blended: Vec<f32>,
    /// Their gradient, `[w, K]`.
    gradient: Vec<f32>,
    /// Of one pixel, `[K]`.
    pixel: Vec<f32>,
}

impl WithSimd for SiteRow<'_> {
    type Output = SiteRowLoss;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> SiteRowLoss {
        let classes = self.class_weights.len();
        let padded = classes.next_multiple_of(PADDING);
        let (line, width) = (self.logits[0].len(), self.logits[0].len() / classes);
        let lower = if self.is_last { Vec::new() } else { vec![0.0; line] };
        let mut found = SiteRowLoss { loss: 0.0, upper: vec![0.0; line], lower };
        let mut buffers = Buffers {
            blended: vec![NEVER; width * padded],
            gradient: vec![0.0; width * padded],
            pixel: vec![0.0; padded],
        };
        for (y, between) in self.rows.iter().enumerate() {
            if between.first != self.row {
                continue;
            }
            let labels = &self.labels[y * self.columns.len()..][..self.columns.len()];
            self.blend(between.share, &mut buffers.blended);
            buffers.gradient.fill(0.0);
            found.loss += self.row_of_pixels(simd, labels, &mut buffers);
            self.add_gradient(between.share, &buffers.gradient, &mut found);
        }
        found
    }
}

impl SiteRow<'_> {
    /// Interpolates between the rows of sites.
    #[inline(always)]
    fn blend(&self, share: f32, blended: &mut [f32]) {
        let classes = self.class_weights.len();
        let sites = self.logits[0].chunks_exact(classes).zip(self.logits[1].chunks_exact(classes));
        for (out, (upper, lower)) in blended.chunks_exact_mut(classes.next_multiple_of(PADDING)).zip(sites) {
            for ((out, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
                *out = (1.0 - share) * upper + share * lower;
            }
        }
    }

    /// The gradient of the blended logits as that of both rows of sites.
    #[inline(always)]
    fn add_gradient(&self, share: f32, gradient: &[f32], found: &mut SiteRowLoss) {
        let classes = self.class_weights.len();
        let of_upper = if self.is_last { 1.0 } else { 1.0 - share };
        let sites = || gradient.chunks_exact(classes.next_multiple_of(PADDING));
        for (sum, site) in found.upper.chunks_exact_mut(classes).zip(sites()) {
            sum.iter_mut().zip(site).for_each(|(sum, value)| *sum += of_upper * value);
        }
        for (sum, site) in found.lower.chunks_exact_mut(classes).zip(sites()) {
            sum.iter_mut().zip(site).for_each(|(sum, value)| *sum += share * value);
        }
    }

    /// The loss of a row of pixels; its gradient is added to that of the blended logits.
    #[inline(always)]
    fn row_of_pixels<S: Simd>(&self, simd: S, labels: &[u16], buffers: &mut Buffers) -> f64 {
        let Buffers { blended, gradient, pixel } = buffers;
        let padded = pixel.len();
        let mut loss = 0.0;
        for (&label, between) in labels.iter().zip(self.columns) {
            if label == IGNORED_LABEL {
                continue;
            }
            let (label, weight) = (usize::from(label), self.class_weights[usize::from(label)]);
            let sites = [between.first * padded, between.second * padded];
            let highest = interpolate(simd, blended, sites, between.share, pixel);
            let of_label = pixel[label];
            // As PyTorch's; the exponentials of NaN need not be NaN.
            let sum = if highest.is_finite() { exponentials(simd, highest, pixel) } else { f32::NAN };
            loss += f64::from(weight) * (f64::from(sum).ln() + f64::from(highest) - f64::from(of_label));
            pixel[label] -= sum;
            let factor = weight / sum;
            add_scaled(simd, pixel, (1.0 - between.share) * factor, &mut gradient[sites[0]..][..padded]);
            add_scaled(simd, pixel, between.share * factor, &mut gradient[sites[1]..][..padded]);
        }
        loss
    }
}

/// Interpolates between two sites. Returns the highest value, or NaN if there is one.
#[inline(always)]
fn interpolate<S: Simd>(simd: S, blended: &[f32], sites: [usize; 2], share: f32, out: &mut [f32]) -> f32 {
    let [of_first, of_second] = [simd.splat_f32s(1.0 - share), simd.splat_f32s(share)];
    let mut highest = simd.splat_f32s(NEVER);
    // A maximum drops NaN on some instruction sets; these lanes keep it.
    let mut not_a_number = simd.splat_f32s(0.0);
    for at in (0..out.len()).step_by(S::F32_LANES) {
        let first = simd.mul_f32s(of_first, load(simd, blended, sites[0] + at));
        let value = simd.mul_add_e_f32s(of_second, load(simd, blended, sites[1] + at), first);
        highest = simd.max_f32s(highest, value);
        not_a_number = simd.select_f32s(simd.equal_f32s(value, value), not_a_number, value);
        store(simd, out, at, value);
    }
    // NaN, or a zero that is added.
    simd.reduce_max_f32s(highest) + simd.reduce_sum_f32s(not_a_number)
}

/// Replaces logits by `exp(logit - highest)`. Returns their sum.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, highest: f32, pixel: &mut [f32]) -> f32 {
    let (highest, mut sum) = (simd.splat_f32s(highest), simd.splat_f32s(0.0));
    for at in (0..pixel.len()).step_by(S::F32_LANES) {
        let value = exp_of_negative(simd, simd.sub_f32s(load(simd, pixel, at), highest));
        sum = simd.add_f32s(sum, value);
        store(simd, pixel, at, value);
    }
    simd.reduce_sum_f32s(sum)
}

#[inline(always)]
fn add_scaled<S: Simd>(simd: S, values: &[f32], factor: f32, out: &mut [f32]) {
    let factor = simd.splat_f32s(factor);
    for at in (0..out.len()).step_by(S::F32_LANES) {
        add(simd, out, at, simd.mul_f32s(factor, load(simd, values, at)));
    }
}

#[cfg(test)]
mod tests;
