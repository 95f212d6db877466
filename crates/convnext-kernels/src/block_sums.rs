//! The parameter gradients of a block, sums over rows.
//!
//! Notation: C channels, E = 4C.

use crate::parallel::{self, TASK_VALUES};
use crate::split::add_to;

/// The parameter gradients of a partition.
pub(crate) struct Sums {
    pub(crate) norm_weight: Vec<f32>,
    pub(crate) norm_bias: Vec<f32>,
    pub(crate) expand_weight: Vec<f32>,
    pub(crate) expand_bias: Vec<f32>,
    pub(crate) project_weight: Vec<f32>,
    pub(crate) project_bias: Vec<f32>,
    pub(crate) grn_gamma: Vec<f32>,
}

impl Sums {
    pub(crate) fn new(channels: usize, width: usize) -> Self {
        let zeros = |count| vec![0.0; count];
        Self {
            norm_weight: zeros(channels),
            norm_bias: zeros(channels),
            expand_weight: zeros(width * channels),
            expand_bias: zeros(width),
            project_weight: zeros(width * channels),
            project_bias: zeros(channels),
            grn_gamma: zeros(width),
        }
    }

    /// Adds the sums of another partition.
    pub(crate) fn add(&mut self, other: &Self) {
        let values = [
            (&mut self.norm_weight, &other.norm_weight),
            (&mut self.norm_bias, &other.norm_bias),
            (&mut self.expand_weight, &other.expand_weight),
            (&mut self.expand_bias, &other.expand_bias),
            (&mut self.project_weight, &other.project_weight),
            (&mut self.project_bias, &other.project_bias),
            (&mut self.grn_gamma, &other.grn_gamma),
        ];
        let tasks = (values.into_iter())
            .flat_map(|(sums, values)| sums.chunks_mut(TASK_VALUES).zip(values.chunks(TASK_VALUES)));
        parallel::for_each(tasks, |(sums, values)| add_to(sums, values));
    }

    /// Adds the sums of a row block.
    pub(crate) fn add_row_block(&mut self, row_block: &RowBlockSums) {
        add_to(&mut self.expand_bias, &row_block.expand_bias);
        add_to(&mut self.norm_weight, &row_block.norm_weight);
        add_to(&mut self.norm_bias, &row_block.norm_bias);
    }
}

/// The second sweep's sums over a row block.
pub(crate) struct RowBlockSums {
    pub(crate) norm_weight: Vec<f32>,
    pub(crate) norm_bias: Vec<f32>,
    pub(crate) expand_bias: Vec<f32>,
}

impl RowBlockSums {
    pub(crate) fn new(channels: usize, width: usize) -> Self {
        Self {
            norm_weight: vec![0.0; channels],
            norm_bias: vec![0.0; channels],
            expand_bias: vec![0.0; width],
        }
    }
}
