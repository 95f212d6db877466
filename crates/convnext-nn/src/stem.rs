//! The stem: the pixels of each site, multiplied, then LayerNorm.
//!
//! Notation: N images, S rows, C_0 channels of stage 0.

use std::sync::{Arc, Mutex, PoisonError};

use burn::prelude::*;
use convnext_kernels::{Precision, Sites};

use crate::error::ModelError;
use crate::layers::{Convolution, LayerNorm};
use crate::ops::gather::gather;
use crate::parameters::Scope;
use crate::site_map::{SiteMap, index_tensor};

/// A patchify convolution (stride = kernel size), then LayerNorm.
#[derive(Module, Debug)]
pub struct Stem {
    /// Weight `[C_0, input channels, stride, stride]`.
    pub conv: Convolution,
    /// Over C_0 channels.
    pub norm: LayerNorm,
    #[module(skip)]
    indices: IndexCache,
}

impl Stem {
    /// A freshly initialised stem whose weight has this shape, `[C_0, input channels, stride, stride]`.
    pub(crate) fn new(shape: [usize; 4], scope: &Scope) -> Self {
        Self {
            conv: Convolution::new(shape, &scope.at(0)),
            norm: LayerNorm::new(shape[0], &scope.at(1)),
            indices: IndexCache::default(),
        }
    }

    /// The same stem with this precision of its GEMM.
    pub(crate) fn with_precision(self, precision: Precision) -> Self {
        Self { conv: self.conv.with_precision(precision), ..self }
    }

    /// The rows of stage 0.
    ///
    /// # Shapes
    /// - images: `[N, input channels, height, width]`
    /// - output: `[S, C_0]`
    ///
    /// # Errors
    /// [`ModelError::SiteGrid`] when the sites are those of other images.
    pub(crate) fn forward(&self, images: Tensor<4>, sites: &SiteMap) -> Result<Tensor<2>, ModelError> {
        let stride = self.conv.weight.lazy_shape()[2];
        check_sites(images.dims(), stride, sites.sites())?;
        let patches = stem_patches(images, stride, sites, &self.indices);
        Ok(self.norm.forward(self.conv.forward_patches(patches)))
    }
}

/// Checks that the sites are those of images of this shape, `[N, channels, height, width]`. Other ones would select other
/// pixels, in later batches of the shape as well, because their index tensor is cached.
fn check_sites(
    [images, _, height, width]: [usize; 4],
    stride: usize,
    sites: &Sites,
) -> Result<(), ModelError> {
    let expected = [images, height / stride, width / stride];
    let found = [sites.images(), sites.height(), sites.width()];
    if expected == found { Ok(()) } else { Err(ModelError::SiteGrid { expected, found }) }
}

/// Cache of the stem's index tensor for the last batch of unmasked images, with its shape. Clones share it.
#[derive(Debug, Clone, Default)]
struct IndexCache(Arc<Mutex<Option<CachedIndices>>>);

/// The shape `[images, channels, height, columns, stride]`, and the index tensor.
type CachedIndices = ([usize; 5], Tensor<1, Int>);

impl IndexCache {
    /// The index tensor for this shape on this device, computed unless it is cached.
    fn get(
        &self,
        shape: [usize; 5],
        device: &Device,
        make: impl FnOnce() -> Tensor<1, Int>,
    ) -> Tensor<1, Int> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, indices)) = last.as_ref()
            && *known == shape
            && indices.device() == *device
            // Equality of devices does not compare gradient tracking.
            && indices.device().is_autodiff() == device.is_autodiff()
        {
            return indices.clone();
        }
        last.insert((shape, make())).1.clone()
    }
}

/// im2col of the stem: the pixels of each site of stage 0, in the order (channel, y, x). Pixels beyond the
/// last whole stride are dropped, as by a convolution without padding.
///
/// # Shapes
/// - images: `[N, channels, height, width]`
/// - output: `[S, channels * stride * stride]`
fn stem_patches(images: Tensor<4>, stride: usize, sites: &SiteMap, last: &IndexCache) -> Tensor<2> {
    let [count, channels, height, width] = images.dims();
    let (rows, columns) = (height / stride, width / stride);
    // A site's pixels are short contiguous rows, which a gather selects.
    let pixel_rows = match width == columns * stride {
        true => images,
        false => images.slice([0..count, 0..channels, 0..height, 0..columns * stride]),
    };
    let device = pixel_rows.device();
    let pixel_rows = pixel_rows.reshape([count * channels * height * columns, stride]);
    let indices = || {
        let places = sites.sites().positions();
        let mut indices = Vec::with_capacity(places.len() * channels * stride);
        for place in places {
            let (image, y, x) = (place / (rows * columns), place / columns % rows, place % columns);
            for channel in 0..channels {
                let start = (image * channels + channel) * height + y * stride;
                indices.extend((start..start + stride).map(|row| row * columns + x));
            }
        }
        index_tensor(&indices, &device)
    };
    // Without a mask the indices are the same for every batch of a shape; kept patches differ each time.
    let indices = match sites.positions() {
        None => last.get([count, channels, height, columns, stride], &device, indices),
        Some(_) => indices(),
    };
    let found = gather(pixel_rows, indices);
    found.reshape([-1, (channels * stride * stride) as i32])
}
