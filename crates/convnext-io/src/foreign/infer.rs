//! The configuration of a model from the names and shapes of its tensors (docs/facts.md, "Macro structure",
//! "Block", "Official dense `.pt`").

use std::collections::BTreeMap;
use std::path::Path;

use convnext_core::{
    BlockParameter, ClassNames, DecoderConfig, DecoderKind, DetectionTask, DetectorRules, ENCODER_PREFIX,
    EncoderKind, FcmaeConfig, FcmaeObjective, Fit, Geometry, Interpolation, LAYER_SCALE_INIT, MaskRcnnConfig,
    ModelConfig, Preprocessing, ResponseNorm, STAGES, SegmentationTask, TensorShape, UperNetConfig,
    WeightMetadata, backbone_tensors, decoder_tensors, final_norm_tensors, head_tensors,
};

use super::untold_autoencoder;
use crate::error::{IoError, bad_tensor};
use crate::strict::check_shapes;
use crate::upernet_names::HEADS;

/// Prefix of the names of a detector's heads on regions.
const REGION_HEADS: &str = "roi_head.";

/// Metadata of tensors of these official names and dense shapes.
///
/// What no shape can tell is as in the paper: mask ratio 0.6, normalised targets, sparse encoder; 224 pixels, or for smaller stems sides of the same 7 x 7 or of 4 x 4 patches.
/// Images to be segmented have at most 512 pixels at the short and 2048 at the long side, those of detectors 800 and 1333.
/// `rules` are those of a detector.
///
/// # Errors
/// [`IoError::BadTensor`], [`IoError::ForeignMismatch`] and [`IoError::ImpossibleModel`].
pub(crate) fn infer(
    path: &Path,
    shapes: &BTreeMap<String, Vec<usize>>,
    rules: DetectorRules,
) -> Result<WeightMetadata, IoError> {
    let found = Found { path, shapes };
    let (model, expected) = if shapes.keys().any(|name| name.starts_with(ENCODER_PREFIX)) {
        found.autoencoder()?
    } else if shapes.keys().any(|name| name.starts_with(HEADS[0])) {
        found.segmentation()?
    } else if shapes.keys().any(|name| name.starts_with(REGION_HEADS)) {
        found.detection(rules)?
    } else {
        found.classifier()?
    };
    let by_name = shapes.iter().map(|(name, shape)| (name.as_str(), shape.as_slice())).collect();
    check_shapes(&expected, &by_name, &[])
        .map_err(|source| IoError::ForeignMismatch { path: path.to_owned(), source: Box::new(source) })?;
    let image_size = match model.backbone().stem_stride {
        1 => 32,
        2 => 112,
        _ => 224,
    };
    let preprocessing = Preprocessing::for_size(image_size, model.backbone().input_channels);
    let metadata = match &model {
        Model::Classifier(model) => {
            WeightMetadata::of_classifier(model, ClassNames::default(), preprocessing)
        }
        Model::Fcmae(config) => WeightMetadata::of_fcmae(config, FcmaeObjective::default(), preprocessing),
        Model::Segmentation(model, head) => segmentation_metadata(model, *head),
        Model::Detection(model, head) => detection_metadata(model, *head),
    };
    match metadata.validate() {
        Ok(()) => Ok(metadata),
        Err(source) => Err(IoError::ImpossibleModel { path: path.to_owned(), source }),
    }
}

/// Metadata of a segmentation network of which nothing but the tensors is known: images are resized as for ADE20K in the
/// paper (docs/facts.md, "F. Segmentation").
fn segmentation_metadata(model: &ModelConfig, head: UperNetConfig) -> WeightMetadata {
    let (classes, numbers, palette) = (ClassNames::default(), Vec::new(), Vec::new());
    let task = SegmentationTask { classes, numbers, palette, head };
    let preprocessing = Preprocessing {
        geometry: Geometry::Fit(Fit { long: 2048, short: 512, pad: 1 }),
        interpolation: Interpolation::Bilinear,
        ..Preprocessing::for_size(512, model.input_channels)
    };
    WeightMetadata::new(model, &task, preprocessing)
}

/// Metadata of a detector of which nothing but the tensors is known: images are resized as for COCO in the paper
/// (docs/facts.md, "E. Detection"), and as torchvision does by default.
fn detection_metadata(model: &ModelConfig, head: MaskRcnnConfig) -> WeightMetadata {
    let task = DetectionTask { classes: ClassNames::default(), head };
    let preprocessing = Preprocessing {
        geometry: Geometry::Fit(Fit { long: 1333, short: 800, pad: 32 }),
        interpolation: Interpolation::Bilinear,
        ..Preprocessing::for_size(800, model.input_channels)
    };
    WeightMetadata::new(model, &task, preprocessing)
}

/// Model inferred from the tensors.
enum Model {
    Classifier(ModelConfig),
    Fcmae(FcmaeConfig),
    Segmentation(ModelConfig, UperNetConfig),
    Detection(ModelConfig, MaskRcnnConfig),
}

impl Model {
    fn backbone(&self) -> &ModelConfig {
        match self {
            Self::Classifier(model) | Self::Segmentation(model, _) | Self::Detection(model, _) => model,
            Self::Fcmae(config) => &config.encoder,
        }
    }
}

type ModelAndShapes = (Model, Vec<TensorShape>);

struct Found<'a> {
    path: &'a Path,
    shapes: &'a BTreeMap<String, Vec<usize>>,
}

impl Found<'_> {
    fn classifier(&self) -> Result<ModelAndShapes, IoError> {
        let mut model = self.backbone("")?;
        let mut expected = backbone_tensors("", &model);
        let has_head = self.has("head.weight");
        // An encoder alone (`pt_only`) has neither final norm nor head.
        if has_head || self.has("norm.weight") {
            expected.extend(final_norm_tensors(&model));
        }
        if has_head {
            [model.classes, _] = self.axes("head.weight")?;
            expected.extend(head_tensors(&model));
        }
        Ok((Model::Classifier(model), expected))
    }

    fn segmentation(&self) -> Result<ModelAndShapes, IoError> {
        let backbone = self.backbone("")?;
        let [classes, head_width, ..] = self.axes::<4>("decode_head.conv_seg.weight")?;
        let auxiliary_width = match self.shapes.keys().any(|name| name.starts_with(HEADS[1])) {
            true => Some(self.axes::<4>("auxiliary_head.conv_seg.weight")?[1]),
            false => None,
        };
        let (model, head) =
            (ModelConfig { classes, ..backbone }, UperNetConfig { head_width, auxiliary_width });
        let expected = backbone_tensors("", &model).into_iter().chain(head.tensors(&model)).collect();
        Ok((Model::Segmentation(model, head), expected))
    }

    fn detection(&self, rules: DetectorRules) -> Result<ModelAndShapes, IoError> {
        let backbone = self.backbone("")?;
        let [with_background, box_width] = self.axes("roi_head.bbox_head.fc_cls.weight")?;
        let [head_width, ..] = self.axes::<4>("rpn_head.rpn_conv.weight")?;
        let any = |prefix: &str| self.shapes.keys().any(|name| name.starts_with(prefix));
        let has_norms = (0..STAGES).any(|stage| any(&format!("norm{stage}.")));
        let head = MaskRcnnConfig {
            head_width,
            box_width,
            masks: any("roi_head.mask_head."),
            // MMDetection's backbones always have them.
            stage_norms: rules == DetectorRules::MmDetection || has_norms,
            rules,
        };
        let model = ModelConfig { classes: with_background - 1, ..backbone };
        let expected = backbone_tensors("", &model).into_iter().chain(head.tensors(&model)).collect();
        Ok((Model::Detection(model, head), expected))
    }

    fn autoencoder(&self) -> Result<ModelAndShapes, IoError> {
        let encoder = self.backbone(ENCODER_PREFIX)?;
        if let Some((name, why)) = untold_autoencoder::find(self.shapes.keys().map(String::as_str)) {
            return Err(bad_tensor(self.path, name, why));
        }
        let [width, ..] = self.axes::<4>("proj.weight")?;
        let decoder = DecoderConfig {
            kind: DecoderKind::ConvNext,
            depth: self.count_blocks("decoder")?,
            width,
            response_norm: self.response_norm("decoder.0"),
            layer_scale: self.layer_scale("decoder.0"),
        };
        let fcmae = FcmaeConfig { encoder, encoder_kind: EncoderKind::Sparse, decoder };
        let values = self.values_per_patch(&fcmae.encoder)?;
        let mut expected = backbone_tensors(ENCODER_PREFIX, &fcmae.encoder);
        expected.extend(decoder_tensors(&fcmae, values));
        Ok((Model::Fcmae(fcmae), expected))
    }

    /// The configuration of a backbone, of 0 classes.
    fn backbone(&self, prefix: &str) -> Result<ModelConfig, IoError> {
        let stem = format!("{prefix}downsample_layers.0.0.weight");
        let [first_width, input_channels, stem_stride, side] = self.axes(&stem)?;
        if side != stem_stride || ![1, 2, 4].contains(&side) {
            let why = format!(
                "is a stem of {stem_stride} x {side} pixels, but stems have 4 x 4, 2 x 2 or 1 x 1; this is \
                 another kind of model"
            );
            return Err(bad_tensor(self.path, &stem, why));
        }
        let mut widths = [first_width; STAGES];
        let mut depths = [0; STAGES];
        for stage in 0..STAGES {
            if stage > 0 {
                [widths[stage], ..] =
                    self.axes::<4>(&format!("{prefix}downsample_layers.{stage}.1.weight"))?;
            }
            depths[stage] = self.count_blocks(&format!("{prefix}stages.{stage}"))?;
        }
        let first = format!("{prefix}stages.0.0");
        let model = ModelConfig {
            name: String::new(),
            depths,
            widths,
            response_norm: self.response_norm(&first),
            layer_scale: self.layer_scale(&first),
            classes: 0,
            input_channels,
            stem_stride,
        };
        Ok(model.named())
    }

    /// GRN, if a block has its parameters: files of others have nothing else in its place.
    fn response_norm(&self, block: &str) -> Option<ResponseNorm> {
        self.block_has(block, BlockParameter::GrnGamma).then_some(ResponseNorm::Grn)
    }

    /// The usual initial value of LayerScale, if a block has it.
    fn layer_scale(&self, block: &str) -> Option<f64> {
        self.block_has(block, BlockParameter::LayerScale).then_some(LAYER_SCALE_INIT)
    }

    fn values_per_patch(&self, encoder: &ModelConfig) -> Result<usize, IoError> {
        let (channels, patch) = (encoder.input_channels, encoder.patch_size());
        let [found, ..] = self.axes::<4>("pred.weight")?;
        if channels.checked_mul(patch * patch) == Some(found) {
            return Ok(found);
        }
        let why = format!(
            "predicts {found} values for a patch, but the stem of {0} x {0} pixels and {channels} channel(s) \
             makes patches of {channels} x {patch} x {patch} values; stem and decoder are of two models",
            encoder.stem_stride
        );
        Err(bad_tensor(self.path, "pred.weight", why))
    }

    /// The number of blocks called `P.0`, `P.1` and so on: at least 1, never beyond the names of the file.
    fn count_blocks(&self, prefix: &str) -> Result<usize, IoError> {
        const EVERY_BLOCK: BlockParameter = BlockParameter::DepthwiseWeight;
        let is_there = |index: &usize| self.block_has(&format!("{prefix}.{index}"), EVERY_BLOCK);
        let count = (0..).take_while(is_there).count();
        if count == 0 {
            return Err(self.missing(&EVERY_BLOCK.in_block(&format!("{prefix}.0"))));
        }
        Ok(count)
    }

    fn block_has(&self, block: &str, parameter: BlockParameter) -> bool {
        self.has(&parameter.in_block(block))
    }

    fn has(&self, name: &str) -> bool {
        self.shapes.contains_key(name)
    }

    /// The axes of a tensor that tells a number of the configuration: none may be empty.
    fn axes<const N: usize>(&self, name: &str) -> Result<[usize; N], IoError> {
        let shape = self.shapes.get(name).ok_or_else(|| self.missing(name))?;
        match <[usize; N]>::try_from(shape.as_slice()) {
            Ok(axes) if !axes.contains(&0) => Ok(axes),
            _ => {
                let why = format!("has shape {shape:?}, but needs {N} axes and no empty one");
                Err(bad_tensor(self.path, name, why))
            }
        }
    }

    fn missing(&self, name: &str) -> IoError {
        let why = "is missing, although others have their official names; use the whole checkpoint";
        bad_tensor(self.path, name, why)
    }
}
