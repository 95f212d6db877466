//! UperNet as ONNX, for other runtimes.

mod decoder;
mod folding;

use std::path::{Path, PathBuf};

use convnext_core::{
    ConfigError, Geometry, ImageSize, ModelConfig, STAGES, SegmentationTask, TaskMetadata, TensorShape,
};
use convnext_io::{WeightFile, check_names};
use convnext_onnx::{GraphBuilder, OnnxError, OnnxOptions, OnnxPart, PartOutput, StageMaps, write_part};
use serde_json::Value;

use decoder::{Decoder, LOGITS};
use folding::AUXILIARY;

/// Writes a segmentation network as ONNX and returns the files written, as [`convnext_onnx::write_onnx`] does; what the
/// options say of the output does not count.
///
/// Input: `images` `[batch, channels, height, width]` of one size, normalised as the file's properties say. Output:
/// `logits` `[batch, classes, height, width]`, resized to the size of the images. Batch norms are folded into the
/// convolutions before them, and the auxiliary head is left out. Names and colours of the classes are in the properties.
///
/// # Errors
/// [`OnnxError::CannotExport`] for weights of another task, for options that do not fit and where neither they nor the
/// weights state one size; [`OnnxError::Io`] for tensors that do not fit and for a file that cannot be written.
pub fn write_segmentation_onnx(
    path: &Path,
    weights: WeightFile,
    options: &OnnxOptions,
) -> Result<Vec<PathBuf>, OnnxError> {
    let cannot = |source: ConfigError| OnnxError::CannotExport { source };
    let WeightFile { arrays, mut metadata } = weights;
    let task: SegmentationTask = metadata.task_as().map_err(cannot)?;
    let model = metadata.convnext().map_err(cannot)?;
    check_names(&task.tensors(&model), &arrays, &[])?;
    // An image of another size is resized as a whole: a class is wanted for each of its pixels.
    if let Some(size) = options.image_size {
        metadata.preprocessing.geometry = Geometry::Warp { size };
    }
    let image = metadata.preprocessing.fixed_size().map_err(cannot)?;
    let folded = WeightFile { arrays: folding::fold(arrays)?, metadata };
    write_part(path, &folded, &UperNetPart { task, classes: model.classes, image }, options)
}

/// Norms and decode head behind the backbone, with batch norms folded.
struct UperNetPart {
    task: SegmentationTask,
    classes: usize,
    image: ImageSize,
}

impl OnnxPart for UperNetPart {
    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        folding::tensors(self.task.head.tensors(backbone))
    }

    fn ignores(&self, name: &str) -> bool {
        name.starts_with(AUXILIARY)
    }

    fn outputs(&self, _backbone: &ModelConfig, _maps: [[usize; 2]; STAGES]) -> Vec<PartOutput> {
        vec![PartOutput::of_images(LOGITS, &[self.classes, self.image.height, self.image.width])]
    }

    fn append(&self, graph: &mut GraphBuilder, stages: &StageMaps) {
        let ImageSize { height, width } = stages.image;
        Decoder::new(graph, stages, self.task.head.head_width).append(self.classes, [height, width]);
    }

    fn description(&self) -> String {
        "ConvNeXt with UperNet: from normalised images [batch, channels, height, width] to logits [batch, classes, height, \
         width]; the class of a pixel is that of the largest. metadata_props say how images are prepared and, if known, \
         what the classes are called (class_names) and how they are shown (palette)."
            .into()
    }

    fn properties(&self) -> Vec<(String, Value)> {
        let SegmentationTask { classes, palette, .. } = &self.task;
        let names = (!classes.is_empty()).then(|| ("class_names".to_owned(), classes.0.clone().into()));
        let colours = palette.iter().map(|colour| colour.to_vec()).collect::<Vec<_>>();
        let colours = (!colours.is_empty()).then(|| ("palette".to_owned(), colours.into()));
        names.into_iter().chain(colours).collect()
    }
}

#[cfg(test)]
mod tests;
