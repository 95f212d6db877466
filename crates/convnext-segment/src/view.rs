//! One look of a network at an image, at one scale and perhaps mirrored: its logits, a few rows at a time.
//!
//! What is kept are the network's own logits of the windows that the next rows lie in, at a quarter of the side. Logits at
//! the size of the image are made row by row, so that an image may be as large as memory holds its pixels.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::Range;

use burn::prelude::*;
use convnext_core::{ImageSize, Preprocessing};
use convnext_data::{Image, mirror, mirror_row, normalize};
use convnext_nn::tensor_values;
use convnext_train::TrainError;
use rayon::prelude::*;

use crate::interpolation::{Between, add_stretched, axis, between, blend};
use crate::sliding_window::WindowGrid;
use crate::upernet::UperNet;

/// A network on a device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Engine<'a> {
    pub(crate) model: &'a UperNet,
    pub(crate) device: &'a Device,
    /// Windows that go through the network together.
    pub(crate) batch_size: usize,
}

/// One look at an image.
pub(crate) struct View<'a> {
    engine: Engine<'a>,
    /// The image at the size of the network's input, before padding.
    image: Cow<'a, Image>,
    preprocessing: &'a Preprocessing,
    grid: WindowGrid,
    mirrored: bool,
    /// Places of the pixels of a window's row among the logits; empty before the first window.
    columns: Vec<Between>,
    /// The rows of windows that have been computed and are still needed, with their numbers.
    computed: VecDeque<(usize, Vec<WindowLogits>)>,
    /// Number of the next row of windows.
    next: usize,
}

/// The logits of one window as the network puts them out, `[height * width, classes]`.
struct WindowLogits {
    values: Vec<f32>,
    height: usize,
    width: usize,
}

impl<'a> View<'a> {
    /// A look at an image of the size of the network's input, by windows over its padded size.
    pub(crate) fn new(
        engine: Engine<'a>,
        image: Cow<'a, Image>,
        preprocessing: &'a Preprocessing,
        grid: WindowGrid,
        mirrored: bool,
    ) -> Self {
        let image = if mirrored { Cow::Owned(mirror(image.into_owned())) } else { image };
        let (columns, computed) = (Vec::new(), VecDeque::new());
        Self { engine, image, preprocessing, grid, mirrored, columns, computed, next: 0 }
    }

    /// Size of the network's input without padding.
    pub(crate) fn input_size(&self) -> ImageSize {
        self.image.size()
    }

    fn classes(&self) -> usize {
        self.engine.model.config().classes
    }

    /// Logits `[rows, width, classes]` of rows of an image of another size, which is as the image was before it was
    /// resized and mirrored. Rows are asked for from top to bottom.
    ///
    /// # Errors
    /// [`TrainError::Model`] when the image does not fit the network, [`TrainError::NotFinite`] when its weights are
    /// damaged.
    pub(crate) fn rows_of(&mut self, size: ImageSize, rows: Range<usize>) -> Result<Vec<f32>, TrainError> {
        let (input, values) = (self.input_size(), self.classes());
        if size == input {
            return self.input_rows(rows);
        }
        let places: Vec<Between> = rows.map(|row| between(input.height, size.height, row)).collect();
        let (Some(first), Some(last)) = (places.first(), places.last()) else { return Ok(Vec::new()) };
        let (start, line) = (first.first, input.width * values);
        let source = self.input_rows(start..last.second + 1)?;
        let columns = axis(input.width, size.width);
        let mut out = vec![0.0; places.len() * size.width * values];
        out.par_chunks_mut(size.width * values).zip(&places).for_each(|(out, place)| {
            let row = |row: usize| &source[(row - start) * line..][..line];
            let mut blended = vec![0.0; line];
            blend(row(place.first), row(place.second), place.share, &mut blended);
            add_stretched(&blended, &columns, values, out);
        });
        Ok(out)
    }

    /// Logits `[rows, width, classes]` of rows of the network's input, averaged over the windows.
    ///
    /// # Errors
    /// As [`Self::rows_of`].
    pub(crate) fn input_rows(&mut self, rows: Range<usize>) -> Result<Vec<f32>, TrainError> {
        self.compute(&rows)?;
        let (width, values) = (self.input_size().width, self.classes());
        let mut out = vec![0.0; rows.len() * width * values];
        let this = &*self;
        let lines = out.par_chunks_mut(width * values).zip(rows.into_par_iter());
        lines.for_each(|(out, row)| this.input_row(row, out));
        Ok(out)
    }

    /// One row, added to zeros.
    fn input_row(&self, row: usize, out: &mut [f32]) {
        let (values, window) = (self.classes(), self.grid.window);
        let width = self.input_size().width;
        let mut counts = vec![0_u32; width];
        for (number, windows) in &self.computed {
            let top = self.grid.tops[*number];
            if !(top..top + window.height).contains(&row) {
                continue;
            }
            for (logits, &left) in windows.iter().zip(&self.grid.lefts) {
                // What lies in the padding is cut off.
                let right = (left + window.width).min(width);
                if left < right {
                    logits.add_row(
                        (row - top, window.height),
                        &self.columns,
                        &mut out[left * values..right * values],
                    );
                    counts[left..right].iter_mut().for_each(|count| *count += 1);
                }
            }
        }
        for (out, &count) in out.chunks_exact_mut(values).zip(&counts) {
            if count > 1 {
                out.iter_mut().for_each(|value| *value /= count as f32);
            }
        }
        if self.mirrored {
            mirror_row(out, values);
        }
    }

    /// Computes the windows that these rows lie in, and forgets those that end above them.
    fn compute(&mut self, rows: &Range<usize>) -> Result<(), TrainError> {
        let height = self.grid.window.height;
        let tops = &self.grid.tops;
        self.computed.retain(|(number, _)| tops[*number] + height > rows.start);
        while self.next < self.grid.tops.len() && self.grid.tops[self.next] < rows.end {
            let top = self.grid.tops[self.next];
            if top + height > rows.start {
                let windows = self.row_of_windows(top)?;
                if let Some(first) = windows.first().filter(|_| self.columns.is_empty()) {
                    self.columns = axis(first.width, self.grid.window.width);
                }
                self.computed.push_back((self.next, windows));
            }
            self.next += 1;
        }
        Ok(())
    }

    /// Runs the network on a row of windows.
    fn row_of_windows(&self, top: usize) -> Result<Vec<WindowLogits>, TrainError> {
        let Engine { model, device, batch_size } = self.engine;
        let (ImageSize { height, width }, channels) = (self.grid.window, self.image.channels());
        let mut found = Vec::with_capacity(self.grid.lefts.len());
        for lefts in self.grid.lefts.chunks(batch_size.max(1)) {
            let pixels: Vec<f32> = lefts.iter().flat_map(|&left| self.window(top, left)).collect();
            let shape = [lefts.len(), channels, height, width];
            let maps = model.forward(Tensor::from_data(TensorData::new(pixels, shape), device))?;
            let [height, width] = maps.size();
            let values = tensor_values(maps.rows);
            if !values.iter().all(|value| value.is_finite()) {
                return Err(TrainError::NotFinite { what: "the answer of the network".into() });
            }
            let of_window = |values: &[f32]| WindowLogits { values: values.to_vec(), height, width };
            found.extend(values.chunks(values.len() / lefts.len()).map(of_window));
        }
        Ok(found)
    }

    /// The normalised pixels of a window, `[channels, height, width]`; 0 where it lies beyond the image.
    fn window(&self, top: usize, left: usize) -> Vec<f32> {
        let Preprocessing { mean, std, .. } = self.preprocessing;
        let (window, image) = (self.grid.window, self.input_size());
        let mut padded = vec![0.0; self.image.channels() * window.pixels()];
        if top >= image.height || left >= image.width {
            return padded;
        }
        let inner = ImageSize {
            height: window.height.min(image.height - top),
            width: window.width.min(image.width - left),
        };
        let values = normalize(&cut(&self.image, top, left, inner), mean, std);
        if inner == window {
            return values;
        }
        let channels = values.chunks_exact(inner.pixels()).zip(padded.chunks_exact_mut(window.pixels()));
        for (old, new) in channels {
            for (old, new) in old.chunks_exact(inner.width).zip(new.chunks_exact_mut(window.width)) {
                new[..inner.width].copy_from_slice(old);
            }
        }
        padded
    }
}

impl WindowLogits {
    /// Adds a row of a window of so many rows, stretched to its width, to `out`, which may be shorter.
    fn add_row(&self, (row, rows): (usize, usize), columns: &[Between], out: &mut [f32]) {
        let Self { values, height, width } = self;
        let classes = values.len() / (height * width);
        let place = between(*height, rows, row);
        let line = |row: usize| &values[row * width * classes..][..width * classes];
        let mut blended = vec![0.0; width * classes];
        blend(line(place.first), line(place.second), place.share, &mut blended);
        add_stretched(&blended, columns, classes, out);
    }
}

/// A part of an image.
fn cut(image: &Image, top: usize, left: usize, size: ImageSize) -> Image {
    let channels = image.channels();
    let range = |row: usize| {
        let start = (row * image.width() + left) * channels;
        start..start + size.width * channels
    };
    let rows = top..top + size.height;
    let cut = match image.deep_levels() {
        Some(levels) => {
            let part = rows.flat_map(|row| &levels[range(row)]).copied().collect();
            Image::deep(size.width, size.height, channels, part)
        }
        None => {
            let part = rows.flat_map(|row| &image.bytes()[range(row)]).copied().collect();
            Image::new(size.width, size.height, channels, part)
        }
    };
    cut.unwrap_or_else(|error| unreachable!("the part has the size that it was cut to: {error}"))
}

#[cfg(test)]
mod tests {
    use convnext_core::{ModelConfig, Seed, UperNetConfig, find_model};

    use super::*;

    /// Bug: more than 65,535 windows over a pixel were counted anew from 0.
    #[test]
    fn a_pixel_may_lie_in_any_number_of_windows() {
        const SIDE: usize = 257;
        let device = Device::flex();
        let backbone = ModelConfig { classes: 2, ..find_model("micro").unwrap().config() };
        let head = UperNetConfig { head_width: 8, auxiliary_width: None };
        let model = UperNet::new(&backbone, &head, Seed(3), &device).unwrap();
        let engine = Engine { model: &model, device: &device, batch_size: 1 };
        let image = Image::new(1, 1, 3, vec![0; 3]).unwrap();
        let preprocessing = Preprocessing::for_size(64, 3);
        let starts = || vec![0; SIDE];
        let grid = WindowGrid { tops: starts(), lefts: starts(), window: ImageSize::square(1) };
        let mut view = View::new(engine, Cow::Borrowed(&image), &preprocessing, grid, false);
        view.columns = axis(1, 1);
        let window = |_| WindowLogits { values: vec![1.0, 2.0], height: 1, width: 1 };
        view.computed = (0..SIDE).map(|number| (number, (0..SIDE).map(window).collect())).collect();
        let mut found = [0.0; 2];
        view.input_row(0, &mut found);
        assert_eq!(found, [1.0, 2.0]);
    }
}
