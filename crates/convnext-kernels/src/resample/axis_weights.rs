//! The weights by which the cells of an axis are made of others.

/// The weights of one axis of a resampling: for each output cell a few input cells, a sparse matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct AxisWeights {
    /// Cells of the input.
    pub(crate) input: usize,
    /// Begin of each output cell's weights, and the end of the last one's.
    begins: Vec<usize>,
    /// Input cell and weight.
    cells: Vec<(usize, f32)>,
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
        let mut found = Self { input, begins: vec![0], cells: Vec::new() };
        for output in outputs {
            found.cells.extend(output.into_iter().filter(|(_, weight)| *weight != 0.0));
            found.begins.push(found.cells.len());
        }
        assert!(found.cells.iter().all(|(cell, _)| *cell < input), "the weights are those of input cells");
        found
    }

    /// The weights of the gradient.
    #[must_use]
    pub fn transposed(&self) -> Self {
        let mut outputs = vec![Vec::new(); self.input];
        for output in 0..self.outputs() {
            for (cell, weight) in self.of(output) {
                outputs[*cell].push((output, *weight));
            }
        }
        Self::new(self.outputs(), outputs)
    }

    /// Cells of the output.
    pub fn outputs(&self) -> usize {
        self.begins.len() - 1
    }

    /// Input cells and weights of an output cell.
    pub fn of(&self, output: usize) -> &[(usize, f32)] {
        &self.cells[self.begins[output]..self.begins[output + 1]]
    }
}
