//! The layers of one or more networks on the same images (paper Figures 3, 4 and 7).

use std::path::Path;

use burn::prelude::*;
use convnext_analysis::CentredKernel;
use convnext_core::{ImageSize, Preprocessing};
use convnext_data::{Dataset, Image};
use convnext_io::{NamedArray, write_arrays};
use convnext_nn::{ConvNext, LayerPlace, tensor_values};
use convnext_train::{
    BackboneAnalysis, EvalLoaderConfig, LayerMeasures, TrainError, activation_maps, alignments, load_backbone,
};
use serde::Serialize;

use crate::classifier::images_to_tensors;

/// A network of any kind whose layers are looked at.
#[derive(Debug)]
pub struct Analyzer {
    model: ConvNext,
    preprocessing: Preprocessing,
    device: Device,
}

/// Measures of one network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AnalyzedModel {
    /// Weights, as they were named.
    pub weights: String,
    /// Name of the model.
    pub model: String,
    /// Size of the images as it sees them; `None`, in JSON `null`, where each has a size of its own.
    pub image_size: Option<ImageSize>,
    /// Images that were looked at: those that could be read.
    pub images: usize,
    /// Classes of the images; 0 without labels.
    pub classes: usize,
    /// Measures of each layer, in their order.
    pub layers: Vec<LayerMeasures>,
    /// Kernels of the outputs of the blocks, with their names.
    #[serde(skip)]
    pub kernels: Vec<(String, CentredKernel)>,
}

impl AnalyzedModel {
    /// Size of the images as it sees them, such as `224 px`.
    pub fn size_in_words(&self) -> String {
        self.image_size.map_or_else(|| "their own size".to_owned(), ImageSize::with_unit)
    }
}

/// Linear CKA between the outputs of the blocks of two networks.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelAlignment {
    /// The network of the rows, as an index into the models.
    pub left: usize,
    /// That of the columns.
    pub right: usize,
    /// Layers of the rows.
    pub rows: Vec<String>,
    /// Layers of the columns.
    pub columns: Vec<String>,
    /// The alignment of each pair; `None` where a layer tells no images apart.
    pub values: Vec<Vec<Option<f64>>>,
}

/// The whole of an analysis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Analysis {
    /// Kind of these results.
    pub kind: &'static str,
    /// The networks.
    pub models: Vec<AnalyzedModel>,
    /// Alignments of each pair of networks; of one network alone with itself.
    pub alignments: Vec<ModelAlignment>,
}

impl Analysis {
    /// Puts together the measures of networks on the same images.
    pub fn new(models: Vec<AnalyzedModel>) -> Self {
        let count = models.len();
        let pairs = (0..count).flat_map(|left| (left + 1..count).map(move |right| (left, right)));
        let pairs: Vec<_> = if count == 1 { vec![(0, 0)] } else { pairs.collect() };
        let names = |model: usize| models[model].kernels.iter().map(|(name, _)| name.clone()).collect();
        let aligned = pairs.into_iter().map(|(left, right)| ModelAlignment {
            left,
            right,
            rows: names(left),
            columns: names(right),
            values: alignments(&models[left].kernels, &models[right].kernels),
        });
        let alignments = aligned.collect();
        Self { kind: "analysis", models, alignments }
    }

    /// `true` if all networks see the images at one size; else a difference between them may come from that.
    pub fn is_of_one_size(&self) -> bool {
        self.models.windows(2).all(|pair| pair[0].image_size == pair[1].image_size)
    }
}

/// The activations of a layer on one image, to look at.
#[derive(Debug, Clone)]
pub struct LayerMaps {
    /// The layer.
    pub place: LayerPlace,
    /// Number of its activations.
    pub activations: usize,
    /// Maps of 64 of its channels, side by side.
    pub sheet: Image,
}

impl Analyzer {
    /// Reads the backbone of a weight file of any kind.
    ///
    /// # Errors
    /// [`TrainError`] when the file cannot be read or does not fit itself.
    pub fn load_on(path: &Path, device: &Device) -> Result<Self, TrainError> {
        let (model, metadata) = load_backbone(path, device)?;
        Ok(Self { model, preprocessing: metadata.preprocessing, device: device.clone() })
    }

    /// Sets the size of the images, in place of that of the weights.
    #[must_use]
    pub fn at_size(self, image_size: impl Into<ImageSize>) -> Self {
        Self { preprocessing: self.preprocessing.at_size(image_size), ..self }
    }

    /// Preprocessing of the images.
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Measures every layer on all images of a data set. The network is called `weights`; `progress` is told how many images
    /// are done.
    ///
    /// # Errors
    /// Those of [`BackboneAnalysis::of`].
    pub fn measure(
        &self,
        weights: &str,
        images: &Dataset,
        reading: &EvalLoaderConfig,
        progress: impl FnMut(usize),
    ) -> Result<AnalyzedModel, TrainError> {
        let backbone = (&self.model.backbone, self.model.config());
        let found = BackboneAnalysis::of(backbone, images, &self.preprocessing, reading, progress)?;
        Ok(AnalyzedModel {
            weights: weights.to_owned(),
            model: self.model.config().name.clone(),
            image_size: self.preprocessing.image_size(),
            images: found.images(),
            classes: found.classes(),
            layers: found.measures(),
            kernels: found.kernels(),
        })
    }

    /// The activations of every layer on one image, to look at.
    ///
    /// # Errors
    /// [`TrainError::Model`] when the image does not fit the network.
    pub fn maps(&self, image: &Image) -> Result<Vec<LayerMaps>, TrainError> {
        let mut maps = Vec::new();
        for images in images_to_tensors(std::slice::from_ref(image), &self.preprocessing, &self.device)? {
            let mut result = Ok(());
            self.model.backbone.forward_layers(self.model.config(), images, &mut |place, sites, rows| {
                let channels = rows.dims()[1];
                let values = tensor_values(rows);
                match activation_maps(&values, sites, channels) {
                    Ok(sheet) => maps.push(LayerMaps { place, activations: values.len(), sheet }),
                    Err(error) => result = Err(error),
                }
            })?;
            result?;
        }
        Ok(maps)
    }

    /// Writes the activations of every layer on some images to a `.safetensors` file: arrays `[images, height, width,
    /// channels]` under the names of the layers. `batch_size` images, at least 1, go through the network together, and no
    /// more are taken before these are done.
    ///
    /// # Errors
    /// [`TrainError::Config`] where each image has a size of its own, [`TrainError::Model`] when images do not fit the
    /// network, [`TrainError::Io`] with the path.
    pub fn write_activations(
        &self,
        path: &Path,
        images: impl IntoIterator<Item = Image>,
        batch_size: usize,
    ) -> Result<(), TrainError> {
        self.preprocessing.fixed_size()?;
        let mut images = images.into_iter();
        let mut arrays: Vec<NamedArray> = Vec::new();
        loop {
            let batch: Vec<Image> = images.by_ref().take(batch_size.max(1)).collect();
            if batch.is_empty() {
                return Ok(write_arrays(path, &arrays)?);
            }
            self.add_activations(&batch, &mut arrays)?;
        }
    }

    /// Adds the activations on a batch of images to the array of each layer.
    fn add_activations(&self, images: &[Image], arrays: &mut Vec<NamedArray>) -> Result<(), TrainError> {
        for batch in images_to_tensors(images, &self.preprocessing, &self.device)? {
            let (count, mut layer) = (batch.dims()[0], 0);
            self.model.backbone.forward_layers(
                self.model.config(),
                batch,
                &mut |place, [height, width], rows| {
                    let shape = [count, height, width, rows.dims()[1]];
                    let added = NamedArray::from_f32(place.to_string(), shape, &tensor_values(rows));
                    match arrays.get_mut(layer) {
                        Some(array) => {
                            array.shape[0] += count;
                            array.bytes.extend(added.bytes);
                        }
                        None => arrays.push(added),
                    }
                    layer += 1;
                },
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use convnext_core::{Seed, find_model};
    use safetensors::SafeTensors;

    use super::*;

    const SIDE: usize = 64;

    fn analyzer() -> Analyzer {
        let (config, device) = (find_model("micro").unwrap().config(), Device::flex());
        let model = ConvNext::new(&config, Seed(1), &device).unwrap();
        Analyzer { model, preprocessing: Preprocessing::for_size(SIDE, 3), device }
    }

    fn image(number: usize, channels: usize) -> Image {
        let level = |place: usize| (place * (number + 3) / 7 % 251) as u8;
        Image::new(SIDE, SIDE, channels, (0..SIDE * SIDE * channels).map(level).collect()).unwrap()
    }

    #[test]
    fn activations_do_not_depend_on_the_batch() {
        let (analyzer, folder) = (analyzer(), tempfile::tempdir().unwrap());
        let written = |batch_size: usize| {
            let path = folder.path().join(format!("{batch_size}.safetensors"));
            let images = (0..5).map(|number| image(number, 3));
            analyzer.write_activations(&path, images, batch_size).unwrap();
            fs::read(path).unwrap()
        };
        let (whole, parts) = (written(5), written(2));
        let [whole, parts] = [&whole, &parts].map(|bytes| SafeTensors::deserialize(bytes).unwrap());
        // Five blocks of five layers.
        assert_eq!((whole.len(), parts.len()), (25, 25));
        let values = |bytes: &[u8]| -> Vec<f32> {
            bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
        };
        for (name, expected) in whole.tensors() {
            let found = parts.tensor(&name).unwrap();
            assert_eq!((found.shape(), found.shape()[0]), (expected.shape(), 5), "{name}");
            for (found, expected) in values(found.data()).into_iter().zip(values(expected.data())) {
                // Rounding: a product of few rows may be summed up in another order.
                assert!((found - expected).abs() <= 1e-4 * expected.abs().max(1.0), "{name}");
            }
        }
    }

    /// Bug: all images were in memory, and in one batch, before the first activation was there.
    #[test]
    fn no_image_is_taken_before_its_batch() {
        let folder = tempfile::tempdir().unwrap();
        let taken = Cell::new(0);
        let images = (0..9).map(|number| {
            taken.set(number + 1);
            // The third one does not fit.
            image(number, if number == 2 { 1 } else { 3 })
        });
        let found = analyzer().write_activations(&folder.path().join("x.safetensors"), images, 2);
        assert!(matches!(found, Err(TrainError::Model(_))), "{found:?}");
        assert_eq!(taken.get(), 4);
    }
}
