//! Small models and files for tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use convnext_core::{
    BATCH_COUNTER, CORE_TASKS, ClassNames, ModelConfig, Preprocessing, SegmentationTask, TensorShape,
    UperNetConfig, WeightMetadata, find_model,
};
use safetensors::tensor::TensorView;
use tempfile::TempDir;

use crate::{ElementType, NamedArray};

/// The smallest model there can be.
pub(crate) fn speck() -> ModelConfig {
    ModelConfig {
        name: "custom".into(),
        depths: [1; 4],
        widths: [1; 4],
        classes: 2,
        input_channels: 1,
        stem_stride: 1,
        ..find_model("micro").unwrap().config()
    }
}

/// A small segmentation network of three classes with names and colours.
pub(crate) fn segmentation(auxiliary_width: Option<usize>) -> WeightMetadata {
    let widths = [2, 4, 5, 7];
    let model = ModelConfig {
        depths: [1, 2, 1, 1],
        widths,
        classes: 3,
        input_channels: 3,
        stem_stride: 4,
        ..speck()
    };
    let task = SegmentationTask {
        classes: ClassNames(["sky", "road", "car"].map(str::to_owned).into()),
        numbers: Vec::new(),
        palette: vec![[0, 0, 255], [128, 64, 128], [255, 0, 0]],
        head: UperNetConfig { head_width: 6, auxiliary_width },
    };
    WeightMetadata::new(&model, &task, Preprocessing::for_size(512, 3))
}

/// All tensors of a model, in half precision; what counts, as integers.
pub(crate) fn arrays_of(metadata: &WeightMetadata) -> Vec<NamedArray> {
    arrays_of_shapes(metadata.tensors(&CORE_TASKS).unwrap())
}

/// Tensors of these names and shapes, in half precision; what counts, as integers.
pub(crate) fn arrays_of_shapes(tensors: Vec<TensorShape>) -> Vec<NamedArray> {
    let mut random = random_numbers(1);
    let array = |(name, shape): TensorShape| {
        if name.ends_with(BATCH_COUNTER) {
            return NamedArray::from_i64(name, random(1 << 20) as i64);
        }
        let bytes = (0..2 * shape.iter().product::<usize>()).map(|_| random(256) as u8).collect();
        NamedArray { name, element_type: ElementType::F16, shape, bytes }
    };
    tensors.into_iter().map(array).collect()
}

pub(crate) fn by_name(arrays: Vec<NamedArray>) -> BTreeMap<String, NamedArray> {
    arrays.into_iter().map(|array| (array.name.clone(), array)).collect()
}

/// A file in a fresh folder, with these bytes.
pub(crate) fn file_with(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

/// A safetensors file as other programs write it, without our metadata.
pub(crate) fn foreign_file(arrays: &[NamedArray]) -> (TempDir, PathBuf) {
    let views = arrays.iter().map(|array| {
        let view = TensorView::new(array.element_type.dtype(), array.shape.clone(), &array.bytes).unwrap();
        (array.name.as_str(), view)
    });
    file_with(&safetensors::serialize(views, None).unwrap())
}

/// Draws numbers below its argument, the same in every run.
pub(crate) fn random_numbers(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    }
}
