//! Segmentation networks for other programs: names of transformers' `UperNetForSemanticSegmentation` with the files that it
//! looks for, or those of mmsegmentation with mmpretrain's in the blocks.

use convnext_core::{
    BlockParameter, Fit, Geometry, ImageSize, MAX_IMAGE_SIDE, ModelConfig, POOL_SCALES, SegmentationTask,
    WeightMetadata,
};
use serde_json::{Value, json};

use super::config_files::{
    PackageFiles, SHORTEST_EDGE, label, merged, refuse, statistics, transformers_backbone,
};
use crate::array::NamedArray;
use crate::error::IoError;
use crate::naming::Naming;
use crate::upernet_names::{HEADS, in_transformers, openmmlab_name};
use crate::weight_file::WeightFile;

/// Share of the auxiliary loss in the paper, for who trains on (docs/facts.md, "F. Segmentation").
const AUXILIARY_LOSS_WEIGHT: f64 = 0.4;

/// Channels of the auxiliary head in transformers, where a network has none.
const USUAL_AUXILIARY_WIDTH: usize = 256;

/// All tensors under their names and with their shapes in another program.
///
/// # Errors
/// [`IoError::NotConvertible`] for timm, and for a tensor that no segmentation network has.
pub(super) fn tensors(weights: &WeightFile, naming: Naming) -> Result<Vec<NamedArray>, IoError> {
    let renamed = |(name, array): (&String, &NamedArray)| {
        let other = match naming {
            Naming::Official => Some(openmmlab_name(name, &HEADS)),
            Naming::HuggingFace => in_transformers(name),
            Naming::Timm => {
                return Err(refuse(
                    "timm has no segmentation networks; convert them --to hf, or --to official for the names of \
                     mmsegmentation"
                        .to_owned(),
                ));
            }
        };
        let unknown =
            || refuse(format!("no segmentation network of transformers has a tensor such as '{name}'"));
        let other = other.ok_or_else(unknown)?;
        Ok(match naming {
            Naming::Official => in_openmmlab(other, name, array),
            Naming::HuggingFace | Naming::Timm => NamedArray { name: other, ..array.clone() },
        })
    };
    weights.arrays.iter().map(renamed).collect()
}

/// The array that is called `name` here, under its name and with its shape in mmpretrain, which keeps no axes of length 1
/// for the parameters of GRN.
pub(super) fn in_openmmlab(other: String, name: &str, array: &NamedArray) -> NamedArray {
    let shape = match (BlockParameter::of_name(name), array.shape.as_slice()) {
        (Some(BlockParameter::GrnGamma | BlockParameter::GrnBeta), [1, 1, 1, count]) => vec![*count],
        (_, shape) => shape.to_vec(),
    };
    NamedArray { name: other, shape, ..array.clone() }
}

/// `config.json` and `preprocessor_config.json` of transformers.
///
/// # Errors
/// [`IoError::NotConvertible`] for metadata that contradict themselves, and where transformers has no words for what is
/// done to images.
pub(super) fn files(metadata: &WeightMetadata, model: &ModelConfig) -> Result<PackageFiles, IoError> {
    let task: SegmentationTask = metadata.task_as().map_err(|error| refuse(error.to_string()))?;
    Ok(vec![("config.json", config(&task, model)), ("preprocessor_config.json", image_processor(metadata)?)])
}

fn config(task: &SegmentationTask, model: &ModelConfig) -> Value {
    let stages = 1..=model.depths.len();
    let outputs = json!({
        "out_features": stages.clone().map(|stage| format!("stage{stage}")).collect::<Vec<_>>(),
        "out_indices": stages.collect::<Vec<_>>(),
    });
    let mut config = json!({
        "architectures": ["UperNetForSemanticSegmentation"],
        "model_type": "upernet",
        "backbone_config": merged(transformers_backbone(model), &outputs),
        "hidden_size": task.head.head_width,
        "pool_scales": POOL_SCALES,
        "use_auxiliary_head": task.head.auxiliary_width.is_some(),
        "auxiliary_loss_weight": AUXILIARY_LOSS_WEIGHT,
        "auxiliary_in_channels": model.widths[model.widths.len() - 2],
        "auxiliary_channels": task.head.auxiliary_width.unwrap_or(USUAL_AUXILIARY_WIDTH),
        "auxiliary_num_convs": 1,
        "auxiliary_concat_input": false,
        "loss_ignore_index": 255,
    });
    label(&mut config, &task.classes, model.classes);
    config
}

fn image_processor(metadata: &WeightMetadata) -> Result<Value, IoError> {
    let preprocessing = &metadata.preprocessing;
    let pad = match preprocessing.geometry {
        Geometry::Fit(Fit { pad, .. }) | Geometry::None { pad } => pad,
        Geometry::CentreCrop { .. } | Geometry::Warp { .. } => 1,
    };
    if pad > 1 {
        log::warn!("transformers does not pad images to multiples of {pad} px, as these weights expect");
    }
    if let Geometry::Fit(_) = preprocessing.geometry {
        log::warn!("images are {}: {SHORTEST_EDGE}", preprocessing.geometry);
    }
    let others = match preprocessing.geometry {
        Geometry::Warp { size: ImageSize { height, width } } => {
            json!({ "size": { "height": height, "width": width } })
        }
        Geometry::Fit(Fit { long: MAX_IMAGE_SIDE, short, .. }) => {
            json!({ "size": { "shortest_edge": short } })
        }
        Geometry::Fit(Fit { long, short, .. }) => {
            json!({ "size": { "shortest_edge": short, "longest_edge": long } })
        }
        Geometry::None { .. } => json!({ "do_resize": false }),
        geometry @ Geometry::CentreCrop { .. } => {
            return Err(refuse(format!(
                "images are {geometry}, but transformers segments whole images; end the name with .safetensors, whose \
                 metadata keeps it"
            )));
        }
    };
    let processor = merged(statistics(preprocessing), &others);
    let kind = json!({ "image_processor_type": "SegformerImageProcessor", "do_reduce_labels": false });
    Ok(merged(processor, &kind))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use convnext_core::{Interpolation, Preprocessing};
    use tempfile::TempDir;

    use super::*;
    use crate::open_file::OpenFile;
    use crate::test_files::{arrays_of, by_name, foreign_file, segmentation};
    use crate::{PackageConfig, read_header, read_weights, write_converted};

    fn weights() -> WeightFile {
        let metadata = segmentation(Some(5));
        WeightFile { arrays: by_name(arrays_of(&metadata)), metadata }
    }

    fn convert(out: &Path, weights: &WeightFile, naming: Naming) -> Result<(), IoError> {
        let task: SegmentationTask = weights.metadata.task_as().unwrap();
        write_converted(out, weights, &task, naming).map(drop)
    }

    #[test]
    fn every_tensor_comes_back_with_the_counters() {
        let folder = TempDir::new().unwrap();
        for naming in [Naming::Official, Naming::HuggingFace] {
            for auxiliary_width in [Some(5), None] {
                let metadata = segmentation(auxiliary_width);
                let original = WeightFile { arrays: by_name(arrays_of(&metadata)), metadata };
                for extension in ["safetensors", "pth"] {
                    let out = folder.path().join(format!("weights.{extension}"));
                    convert(&out, &original, naming).unwrap();
                    let read = read_weights(&out).unwrap();
                    assert_eq!(read.arrays, original.arrays, "{naming:?} {extension}");
                    if extension == "safetensors" {
                        assert_eq!(read.metadata, original.metadata);
                    }
                    let origin = read_header(&out).unwrap().origin.unwrap();
                    let wrapped = extension == "pth" && naming == Naming::Official;
                    assert_eq!(origin.prefix, if wrapped { "state_dict.backbone." } else { "backbone." });
                    assert_eq!(origin.left_out, Vec::<String>::new());
                }
            }
        }
    }

    /// `fixtures/make_upernet.py` made it with mmpretrain's blocks.
    #[test]
    fn names_and_shapes_are_those_of_mmsegmentation() {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/upernet/mmsegmentation.pth");
        let folder = TempDir::new().unwrap();
        let out = folder.path().join("weights.pth");
        convert(&out, &read_weights(&fixture).unwrap(), Naming::Official).unwrap();
        let [ours, theirs] = [out, fixture].map(|path| OpenFile::new(&path).unwrap().tensors());
        assert_eq!(ours, theirs);
    }

    /// Of the folder alone, without our metadata: the palette and the name of the size stay here.
    #[test]
    fn the_folder_of_transformers_tells_all_that_it_can() {
        let folder = TempDir::new().unwrap();
        let size = ImageSize::from([96, 128]);
        let fit = |long| Geometry::Fit(Fit { long, short: 64, pad: 1 });
        for (number, geometry) in
            [Geometry::Warp { size }, fit(256), fit(MAX_IMAGE_SIDE), Geometry::None { pad: 1 }]
                .into_iter()
                .enumerate()
        {
            let mut original = weights();
            original.metadata.preprocessing = Preprocessing {
                geometry,
                mean: vec![0.25, 0.5, 0.75],
                std: vec![0.5, 0.25, 0.125],
                interpolation: Interpolation::Bilinear,
                ..Preprocessing::for_size(512, 3)
            };
            let out = folder.path().join(number.to_string());
            convert(&out, &original, Naming::HuggingFace).unwrap();
            let (foreign, path) = foreign_file(&tensors(&original, Naming::HuggingFace).unwrap());
            for name in ["config.json", "preprocessor_config.json"] {
                fs::copy(out.join(name), foreign.path().join(name)).unwrap();
            }
            let read = read_weights(&path).unwrap();
            let task = SegmentationTask { palette: Vec::new(), ..original.metadata.task_as().unwrap() };
            assert_eq!(read.metadata.task_as(), Ok(task));
            assert_eq!(read.metadata.preprocessing, original.metadata.preprocessing);
            assert_eq!(read.arrays, original.arrays);
            let processor = out.join("preprocessor_config.json");
            let config = PackageConfig::read(&out.join("config.json"), Some(&processor)).unwrap();
            let remarked = matches!(geometry, Geometry::Fit(_));
            assert_eq!((config.classes, !config.remarks.is_empty()), (Some(3), remarked));
        }
    }

    #[test]
    fn what_the_other_program_does_not_have_is_refused() {
        let folder = TempDir::new().unwrap();
        let refused = |weights: &WeightFile, name: &str, naming| {
            convert(&folder.path().join(name), weights, naming).unwrap_err().to_string()
        };
        assert!(refused(&weights(), "x.safetensors", Naming::Timm).contains("--to hf"));
        assert!(refused(&weights(), "folder", Naming::Official).contains(".pt"));
        let mut cropped = weights();
        cropped.metadata.preprocessing.geometry = Geometry::CentreCrop { size: 64.into(), crop: 0.875 };
        let message = refused(&cropped, "folder", Naming::HuggingFace);
        assert!(message.contains("centre crop 0.875") && message.contains(".safetensors"), "{message}");
        let mut counted = weights();
        let counter = "decode_head.bottleneck.bn.num_batches_tracked";
        let float = NamedArray::from_f32(counter, [], &[1.0]);
        counted.arrays.insert(counter.to_owned(), float);
        let message = refused(&counted, "x.pt", Naming::Official);
        assert!(message.contains(counter) && message.contains("I64"), "{message}");
    }
}
