//! Batch norm, with ReLU or without, over rows of dense maps: parameters, running statistics, and the statistics of a batch.
//!
//! Notation: R rows, C channels.

use burn::backend::Dispatch;
use burn::module::Param;
use burn::prelude::*;

use crate::counter::Counter;
use crate::error::ModelError;
use crate::feature_maps::FeatureMaps;
use crate::ops::batch_norm::batch_norm;
use crate::ops::convolution_plan::Epilogue;
use crate::ops::reference::BATCH_NORM_EPSILON;
use crate::ops::shared_sum::shared_sum;
use crate::parameters::Scope;
use crate::shared_batch::SharedBatch;
use crate::state::ModelState;

/// Batch norm (epsilon 1e-5) under PyTorch's names, with ReLU behind it but for that in a block.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[C]`, starts at 1.
    pub weight: Param<Tensor<1>>,
    /// Shift, `[C]`, starts at 0.
    pub bias: Param<Tensor<1>>,
    /// Running mean, `[C]`, starts at 0.
    pub running_mean: ModelState<Param<Tensor<1>>>,
    /// Running unbiased variance, `[C]`, starts at 1.
    pub running_var: ModelState<Param<Tensor<1>>>,
    /// Batches that the running statistics have seen.
    pub num_batches_tracked: Counter,
    #[module(skip)]
    name: String,
}

/// The statistics of one batch, to be folded into a layer's running ones.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// Official name of the layer, such as `decode_head.bottleneck.bn`.
    pub name: String,
    /// Mean of each channel, `[C]`.
    pub mean: Tensor<1>,
    /// Unbiased variance of each channel, `[C]`.
    pub variance: Tensor<1>,
}

/// The statistics that batch norms normalise by.
#[derive(Debug)]
pub enum NormStatistics {
    /// The running ones: inference.
    Running,
    /// Those of the batch, which are gathered here in the order of the layers: training.
    Batch(Vec<BatchStatistics>),
    /// The same, of a batch that processes have parts of.
    Shared(Vec<BatchStatistics>, SharedBatch),
}

impl NormStatistics {
    /// Those of a batch, of which processes have parts if it is `shared`.
    pub fn of_batch(shared: Option<SharedBatch>) -> Self {
        shared.map_or(Self::Batch(Vec::new()), |batch| Self::Shared(Vec::new(), batch))
    }

    /// Gathers those of a layer.
    pub(crate) fn add(&mut self, found: BatchStatistics) {
        if let Self::Batch(gathered) | Self::Shared(gathered, _) = self {
            gathered.push(found);
        }
    }

    /// What was gathered, in the order of the layers.
    pub fn gathered(self) -> Vec<BatchStatistics> {
        match self {
            Self::Running => Vec::new(),
            Self::Batch(gathered) | Self::Shared(gathered, _) => gathered,
        }
    }
}

impl BatchNorm {
    /// Weight of a batch in the running statistics.
    pub const MOMENTUM: f64 = 0.1;

    /// A freshly initialised layer for so many channels; the scope's path is its official name.
    pub fn new(channels: usize, scope: &Scope) -> Self {
        let constant = |value| scope.constant([channels], value);
        Self {
            weight: constant(1.0),
            bias: constant(0.0),
            running_mean: ModelState::new(constant(0.0)),
            running_var: ModelState::new(constant(1.0)),
            num_batches_tracked: Counter::new(0),
            name: scope.path().to_owned(),
        }
    }

    /// Its official name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The layer by its running statistics, as the epilogue of a convolution.
    pub(crate) fn epilogue(&self) -> Epilogue<Dispatch> {
        Epilogue::BatchNormRelu {
            weight: self.weight.val().into_dispatch(),
            bias: self.bias.val().into_dispatch(),
            mean: self.running_mean.get().val().into_dispatch(),
            variance: self.running_var.get().val().into_dispatch(),
        }
    }

    /// The layer by its running statistics in the convolution before it: its weight with the scale, and a bias.
    ///
    /// # Shapes
    /// - weight: `[C, ...]`
    /// - output: the same, and `[C]`
    pub(crate) fn fold_into(&self, weight: Tensor<4>) -> (Tensor<4>, Tensor<1>) {
        let deviation = (self.running_var.get().val() + BATCH_NORM_EPSILON).sqrt();
        let scale = self.weight.val() / deviation;
        let shift = self.bias.val() - self.running_mean.get().val() * scale.clone();
        (weight * scale.reshape([-1, 1, 1, 1]), shift)
    }

    /// The layer and its ReLU by the statistics of this batch (biased variance), and these statistics.
    ///
    /// # Shapes
    /// - maps, output: rows `[R, C]`
    ///
    /// # Errors
    /// [`ModelError::OneValue`] when there is but one row, whose variance would be 0.
    pub fn forward_training(&self, maps: &FeatureMaps) -> Result<(FeatureMaps, BatchStatistics), ModelError> {
        self.by_batch(maps, true)
    }

    /// The same without ReLU.
    ///
    /// # Shapes
    /// - maps, output: rows `[R, C]`
    ///
    /// # Errors
    /// As [`Self::forward_training`].
    pub fn forward_training_plain(
        &self,
        maps: &FeatureMaps,
    ) -> Result<(FeatureMaps, BatchStatistics), ModelError> {
        self.by_batch(maps, false)
    }

    /// The layer by the statistics of a batch that processes have parts of (PyTorch's `SyncBatchNorm`), without ReLU behind it, and
    /// these statistics. In ordinary tensor operations.
    ///
    /// # Shapes
    /// - maps, output: rows `[R, C]`, of this process
    ///
    /// # Errors
    /// [`ModelError::OneValue`] when all processes together have but one row.
    pub fn forward_shared(
        &self,
        maps: &FeatureMaps,
        batch: &SharedBatch,
    ) -> Result<(FeatureMaps, BatchStatistics), ModelError> {
        let [own, channels] = maps.rows.dims();
        let of_channels = |rows: Tensor<2>| rows.sum_dim(0).reshape([channels]);
        let own = Tensor::from_floats([own as f32], &maps.rows.device());
        let sums = shared_sum(Tensor::cat(vec![of_channels(maps.rows.clone()), own], 0), batch);
        let count = f64::from(sums.clone().narrow(0, channels, 1).into_scalar::<f32>());
        if count < 2.0 {
            return Err(ModelError::OneValue { layer: self.name.clone() });
        }
        let mean = sums.narrow(0, 0, channels) / count;
        let centred = maps.rows.clone() - mean.clone().unsqueeze();
        let biased = shared_sum(of_channels(centred.clone().powi_scalar(2)), batch) / count;
        let scale = self.weight.val() / (biased.clone() + BATCH_NORM_EPSILON).sqrt();
        let rows = centred * scale.unsqueeze() + self.bias.val().unsqueeze();
        let statistics = self.statistics(count as usize, mean.detach(), biased.detach());
        Ok((maps.with_rows(rows), statistics))
    }

    /// The layer by the statistics of two rows at least, and these statistics.
    fn by_batch(
        &self,
        maps: &FeatureMaps,
        has_relu: bool,
    ) -> Result<(FeatureMaps, BatchStatistics), ModelError> {
        let [count, _] = maps.rows.dims();
        if count < 2 {
            return Err(ModelError::OneValue { layer: self.name.clone() });
        }
        let (weight, bias) = (self.weight.val(), self.bias.val());
        let (rows, mean, biased) = batch_norm(maps.rows.clone(), weight, bias, has_relu);
        Ok((maps.with_rows(rows), self.statistics(count, mean, biased)))
    }

    /// The statistics of a batch of so many rows, by their biased variance.
    fn statistics(&self, count: usize, mean: Tensor<1>, biased: Tensor<1>) -> BatchStatistics {
        let variance = biased * (count as f64 / (count - 1) as f64);
        BatchStatistics { name: self.name.clone(), mean, variance }
    }
}
