//! Mask R-CNN as ONNX, for other runtimes: the whole detector, from an image to its objects.

mod box_head;
mod boxes;
mod layers;
mod mask_head;
mod proposals;
mod pyramid;
mod region_maps;

use std::path::{Path, PathBuf};

use convnext_core::{
    BOX_MAP_SIDE, ConfigError, DetectionTask, DetectorRules, Geometry, ImageSize, MASK_MAP_SIDE,
    MaskRcnnConfig, ModelConfig, STAGES, TensorShape,
};
use convnext_io::WeightFile;
use convnext_onnx::{
    GraphBuilder, OnnxBatch, OnnxError, OnnxOptions, OnnxPart, PartOutput, StageMaps, write_part,
};
use serde_json::Value;

use crate::detect_options::DetectOptions;
use crate::onnx::box_head::{BOXES, HardRule, LABELS, SCORES};
use crate::onnx::mask_head::MASKS;
use crate::padding::padded;
use crate::regions::object_bitmap::MASK_SIDE;
use crate::regions::post_processing::SuppressionRule;
use crate::regions::proposals::ProposalRule;

/// What the first axis of the outputs is called.
const FOUND: &str = "detections";

/// Writes a detector as ONNX and returns the files written, as [`convnext_onnx::write_onnx`] does; what the options say of the
/// output does not count.
///
/// Input: `images` `[1, channels, height, width]`, one image of one size, normalised as the file's properties say. Outputs, for
/// n objects by descending score: `boxes` `[n, 4]` in pixels of the input (left, top, right, bottom), `scores` `[n]`, `labels`
/// `[n]` as indices into the classes, and of a detector with masks `masks` `[n, 28, 28]`, probabilities of the pixels of the
/// box. To put these into the image is the caller's, as [`crate::paste_mask`] does.
///
/// The objects are those of [`crate::detect`] by the same options for an image of this size; equal scores may stand in another
/// order.
///
/// # Errors
/// [`OnnxError::CannotExport`] for weights of another task, for options that do not fit, where neither they nor the weights
/// state one size, for torchvision's detectors, and for a suppression that is not hard, tiles, or a batch of several images, which the file cannot have;
/// [`OnnxError::Io`] for tensors that do not fit and for a file that cannot be written.
pub fn write_detection_onnx(
    path: &Path,
    mut weights: WeightFile,
    options: &OnnxOptions,
    detect: &DetectOptions,
) -> Result<Vec<PathBuf>, OnnxError> {
    let cannot = |source: ConfigError| OnnxError::CannotExport { source };
    let rule = check_options(options, detect).map_err(cannot)?;
    let task: DetectionTask = weights.metadata.task_as().map_err(cannot)?;
    check_rules(&task.head).map_err(cannot)?;
    let classes = weights.metadata.convnext().map_err(cannot)?.classes;
    // An image is resized as a whole: objects are looked for in all of it.
    let image = match options.image_size {
        Some(size) => size,
        None => weights.metadata.preprocessing.fixed_size().map_err(cannot)?,
    };
    weights.metadata.preprocessing.geometry = Geometry::Warp { size: image };
    let part = DetectorPart { task, classes, image, proposals: detect.proposals, rule };
    write_part(path, &weights, &part, &OnnxOptions { batch: OnnxBatch::Fixed(1), ..*options })
}

/// Refuses detectors by torchvision's rules, whose anchors, regions and masks the file does not have.
fn check_rules(head: &MaskRcnnConfig) -> Result<(), ConfigError> {
    if head.rules == DetectorRules::MmDetection && head.stage_norms {
        return Ok(());
    }
    let (what, found) = ("detector", "one by torchvision's rules".to_owned());
    let expected = "one by MMDetection's; what torchvision trained it can export itself";
    Err(ConfigError::OutOfRange { what, found, expected })
}

/// The rule for objects, if the options have one that the file can have.
fn check_options(options: &OnnxOptions, detect: &DetectOptions) -> Result<HardRule, ConfigError> {
    let refuse = |what, found, expected| Err(ConfigError::OutOfRange { what, found, expected });
    detect.validate()?;
    if let OnnxBatch::Fixed(images) = options.batch
        && images != 1
    {
        return refuse("batch", images.to_string(), "1: a detector takes one image at a time");
    }
    if let Some(tiles) = detect.tiles {
        return refuse("tile", tiles.side.to_string(), "left out: the file takes the whole image");
    }
    let rule = detect.rule();
    match rule.suppression {
        SuppressionRule::Hard { threshold } => {
            Ok(HardRule { score: rule.score, overlap: threshold, at_most: rule.at_most })
        }
        SuppressionRule::Soft { .. } => refuse(
            "suppression",
            detect.suppression.to_string(),
            "hard, the only one that ONNX has an operator for; give --nms hard",
        ),
    }
}

/// Norms, pyramid and heads behind the backbone, and what leads from their outputs to objects.
struct DetectorPart {
    task: DetectionTask,
    classes: usize,
    image: ImageSize,
    proposals: usize,
    rule: HardRule,
}

impl OnnxPart for DetectorPart {
    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        self.task.head.tensors(backbone)
    }

    fn ignores(&self, _name: &str) -> bool {
        false
    }

    fn padded(&self, image: ImageSize) -> ImageSize {
        padded(image)
    }

    fn outputs(&self, _backbone: &ModelConfig, _maps: [[usize; 2]; STAGES]) -> Vec<PartOutput> {
        let found = |name, sides: &[usize]| PartOutput::of_found(name, FOUND, sides);
        let masks = self.task.head.masks.then(|| found(MASKS, &[MASK_SIDE; 2]));
        let objects = [found(BOXES, &[4]), found(SCORES, &[]), found(LABELS, &[]).whole_numbers()];
        objects.into_iter().chain(masks).collect()
    }

    fn append(&self, graph: &mut GraphBuilder, stages: &StageMaps) {
        let head = &self.task.head;
        boxes::constants(graph, self.image);
        let levels = pyramid::append(graph, stages);
        let rule = ProposalRule { at_most: self.proposals, ..ProposalRule::INFERENCE };
        let candidates = proposals::candidates(graph, &levels, rule.best_of_level);
        let regions = proposals::choose(graph, &candidates, rule);
        let maps = region_maps::append(graph, "region_maps", &levels, &regions, BOX_MAP_SIDE);
        let found = box_head::class_boxes(graph, head, self.classes, &maps, &regions);
        box_head::choose(graph, &found, self.rule, self.classes);
        if head.masks {
            let maps = region_maps::append(graph, "object_maps", &levels, BOXES, MASK_MAP_SIDE);
            mask_head::append(graph, &maps, LABELS);
        }
    }

    fn description(&self) -> String {
        let masks = match self.task.head.masks {
            false => "",
            true => {
                " masks [n, 28, 28] are probabilities of the pixels of each box; to put them into the image is the \
                 caller's: sample them bilinearly at the middles of its pixels, with zeros around them, and take what \
                 is at least 0.5."
            }
        };
        format!(
            "ConvNeXt with {}: from one normalised image [1, channels, height, width] to n objects by descending score: \
             boxes [n, 4] (left, top, right, bottom in pixels of the input), scores [n], labels [n] (indices into the \
             classes).{masks} metadata_props say how images are prepared and, if known, what the classes are called \
             (class_names), which score objects must exceed (score_threshold) and how many there are at most \
             (max_detections).",
            if self.task.head.masks { "Mask R-CNN" } else { "Faster R-CNN" }
        )
    }

    fn properties(&self) -> Vec<(String, Value)> {
        let names = &self.task.classes.0;
        let names = (!names.is_empty()).then(|| ("class_names".to_owned(), names.clone().into()));
        let score = ("score_threshold".to_owned(), self.rule.score.into());
        let at_most = ("max_detections".to_owned(), self.rule.at_most.into());
        names.into_iter().chain([score, at_most]).collect()
    }
}

#[cfg(test)]
mod tests;
