//! Dense maps of a batch as rows: what a stage of the backbone puts out for whole images, and a decode head takes in.

use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::error::ModelError;
use crate::ops::gather::gather;
use crate::site_map::index_tensor;

/// The maps of a batch as rows, one for each place, in the order (image, y, x).
#[derive(Debug, Clone)]
pub struct FeatureMaps {
    /// `[images * height * width, channels]`.
    pub rows: Tensor<2>,
    /// Images of the batch.
    pub images: usize,
    /// Height of every map.
    pub height: usize,
    /// Width of every map.
    pub width: usize,
}

impl FeatureMaps {
    /// Channels of the maps.
    pub fn channels(&self) -> usize {
        self.rows.dims()[1]
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Other rows at the same places, with any number of channels.
    pub fn with_rows(&self, rows: Tensor<2>) -> Self {
        Self { rows, ..*self }
    }

    /// Each channel of each image multiplied by a factor, as dropout of whole channels does.
    ///
    /// # Shapes
    /// - factors: `[images * channels]`, in the order (image, channel)
    ///
    /// # Errors
    /// [`ModelError::ChannelFactors`] when these are not so many.
    pub fn scale_channels(&self, factors: Vec<f32>) -> Result<Self, ModelError> {
        let ([rows, channels], images) = (self.rows.dims(), self.images);
        if factors.len() != images * channels {
            return Err(ModelError::ChannelFactors { factors: factors.len(), images, channels });
        }
        let data = TensorData::new(factors, [self.images, 1, channels]);
        let factors = Tensor::<3>::from_data(data.convert_dtype(self.rows.dtype()), &self.rows.device());
        let scaled = self.rows.clone().reshape([self.images, self.height * self.width, channels]) * factors;
        Ok(self.with_rows(scaled.reshape([rows, channels])))
    }

    /// The maps with the ReLU of every value.
    pub fn relu(&self) -> Self {
        self.with_rows(relu(self.rows.clone()))
    }

    /// Maps of one size and one number of channels behind each other, as of one batch; `None` without any.
    pub fn concatenate(parts: Vec<Self>) -> Option<Self> {
        let Self { height, width, .. } = *parts.first()?;
        let images = parts.iter().map(|part| part.images).sum();
        let mut rows: Vec<Tensor<2>> = parts.into_iter().map(|part| part.rows).collect();
        let rows = if rows.len() == 1 { rows.remove(0) } else { Tensor::cat(rows, 0) };
        Some(Self { rows, images, height, width })
    }

    /// The maps of these images of the batch, in this order.
    ///
    /// # Shapes
    /// - output: `[indices * height * width, channels]`
    pub fn select_images(&self, indices: &[usize]) -> Self {
        let Self { images, height, width, .. } = *self;
        let values = height * width * self.channels();
        let indices_on_device = index_tensor(indices, &self.rows.device());
        let maps = gather(self.rows.clone().reshape([images, values]), indices_on_device);
        let rows = maps.reshape([indices.len() * height * width, self.channels()]);
        Self { rows, images: indices.len(), height, width }
    }

    /// The maps in PyTorch's layout, `[images, channels, height, width]`.
    pub fn into_tensor(self) -> Tensor<4> {
        rows_to_map(self.rows, self.images, self.height, self.width)
    }
}

/// Dense rows as a map.
///
/// # Shapes
/// - rows: `[N * height * width, C]`
/// - output: `[N, C, height, width]`
pub(crate) fn rows_to_map(rows: Tensor<2>, images: usize, height: usize, width: usize) -> Tensor<4> {
    let [_, channels] = rows.dims();
    rows.reshape([images, height, width, channels]).permute([0, 3, 1, 2])
}

/// A map as dense rows: the inverse of [`rows_to_map`].
pub(crate) fn map_to_rows(map: Tensor<4>) -> Tensor<2> {
    let [images, channels, height, width] = map.dims();
    map.permute([0, 2, 3, 1]).reshape([images * height * width, channels])
}

impl From<Tensor<4>> for FeatureMaps {
    /// Maps `[images, channels, height, width]` as rows.
    fn from(maps: Tensor<4>) -> Self {
        let [images, _, height, width] = maps.dims();
        Self { rows: map_to_rows(maps), images, height, width }
    }
}
