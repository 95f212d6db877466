//! The weights by which the cells of an axis are made of others.

use std::ops::Range;

/// The weights of one axis of a resampling: for each output cell a few input cells, a sparse matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisWeights {
    /// Cells of the input.
    pub(crate) input: usize,
    /// Begin of each output cell's weights, and the end of the last one's.
    begins: Vec<usize>,
    /// Input cell and weight.
    cells: Vec<(usize, f32)>,
    /// From the first input cell with a weight to the last.
    used: Range<usize>,
}

impl AxisWeights {
    /// The weights of each output cell, with the indices of its input cells. Those of 0 are left out.
    ///
    /// # Panics
    /// When an index is out of range.
    pub fn new(
        input: usize,
        outputs: impl IntoIterator<Item = impl IntoIterator<Item = (usize, f32)>>,
    ) -> Self {
        let mut found = Self { input, begins: vec![0], cells: Vec::new(), used: 0..0 };
        for output in outputs {
            found.cells.extend(output.into_iter().filter(|(_, weight)| *weight != 0.0));
            found.begins.push(found.cells.len());
        }
        let cells = || found.cells.iter().map(|(cell, _)| *cell);
        let [first, end] = [cells().min(), cells().max().map(|last| last + 1)].map(Option::unwrap_or_default);
        assert!(end <= input, "the weights are those of input cells");
        Self { used: first..end, ..found }
    }

    /// The weights of the gradient.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut begins = vec![0; self.input + 1];
        self.cells.iter().for_each(|(cell, _)| begins[cell + 1] += 1);
        for cell in 0..self.input {
            begins[cell + 1] += begins[cell];
        }
        let (mut next, mut cells) = (begins.clone(), vec![(0, 0.0); self.cells.len()]);
        let mut used = self.outputs()..0;
        for output in 0..self.outputs() {
            for (cell, weight) in self.of(output) {
                cells[next[*cell]] = (output, *weight);
                next[*cell] += 1;
                used = used.start.min(output)..output + 1;
            }
        }
        Self { input: self.outputs(), begins, cells, used }
    }

    /// Cells of the output.
    pub fn outputs(&self) -> usize {
        self.begins.len() - 1
    }

    /// From the first input cell with a weight to the last.
    pub(crate) fn used(&self) -> Range<usize> {
        self.used.clone()
    }

    /// Input cells and weights of an output cell.
    pub fn of(&self, output: usize) -> &[(usize, f32)] {
        &self.cells[self.begins[output]..self.begins[output + 1]]
    }
}
