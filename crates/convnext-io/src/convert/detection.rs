//! Detectors for other programs: names of MMDetection with mmpretrain's in the blocks.

use convnext_core::{DetectionTask, DetectorRules};

use super::config_files::refuse;
use super::segmentation::in_openmmlab;
use crate::array::NamedArray;
use crate::detector_names::in_mmdetection;
use crate::error::IoError;
use crate::naming::Naming;
use crate::weight_file::WeightFile;

/// All tensors under their names and with their shapes in MMDetection.
///
/// # Errors
/// [`IoError::NotConvertible`] for timm and transformers, and for a detector by torchvision's rules or without norms on the
/// outputs of its stages, of which MMDetection would make something else.
pub(super) fn tensors(weights: &WeightFile, naming: Naming) -> Result<Vec<NamedArray>, IoError> {
    let task: DetectionTask = weights.metadata.task_as().map_err(|error| refuse(error.to_string()))?;
    if naming != Naming::Official {
        let why = "timm and transformers have no such detectors; convert them --to official for the names of MMDetection";
        return Err(refuse(why.to_owned()));
    }
    if task.head.rules != DetectorRules::MmDetection || !task.head.stage_norms {
        let why = "these weights are of a detector by torchvision's rules, whose anchors, regions and norms MMDetection does not have; \
                   such detectors stay here, or in torchvision's own file";
        return Err(refuse(why.to_owned()));
    }
    let named = |(name, array): (&String, &NamedArray)| in_openmmlab(in_mmdetection(name), name, array);
    Ok(weights.arrays.iter().map(named).collect())
}

#[cfg(test)]
mod tests {
    use convnext_core::{
        ClassNames, MaskRcnnConfig, ModelConfig, Preprocessing, TaskMetadata, WeightMetadata,
    };

    use super::*;
    use crate::test_files::{arrays_of, by_name, speck};
    use crate::{read_header, read_weights, write_converted};

    fn weights(head: MaskRcnnConfig) -> (WeightFile, DetectionTask) {
        let model = ModelConfig { input_channels: 3, stem_stride: 4, ..speck() };
        let task = DetectionTask { classes: ClassNames(vec!["cat".into(), "dog".into()]), head };
        let metadata = WeightMetadata::new(&model, &task, Preprocessing::for_size(224, 3));
        (WeightFile { arrays: by_name(arrays_of(&metadata)), metadata }, task)
    }

    const HEAD: MaskRcnnConfig = MaskRcnnConfig { head_width: 2, box_width: 3, ..MaskRcnnConfig::PAPER };

    #[test]
    fn what_is_written_for_mmdetection_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let (weights, task) = weights(HEAD);
        for name in ["detector.safetensors", "detector.pth"] {
            let path = folder.path().join(name);
            write_converted(&path, &weights, &task, Naming::Official).unwrap();
            let read = read_weights(&path).unwrap();
            assert_eq!(read.arrays, weights.arrays, "{name}");
            assert_eq!(read.metadata.task_as::<DetectionTask>().unwrap().head, task.head);
        }
        let origin = read_header(&folder.path().join("detector.pth")).unwrap().origin.unwrap();
        assert_eq!(origin.prefix, "state_dict.backbone.");
    }

    #[test]
    fn what_other_programs_lack_is_refused() {
        let rules = DetectorRules::Torchvision;
        for (head, naming, words) in [
            (HEAD, Naming::Timm, "--to official"),
            (HEAD, Naming::HuggingFace, "--to official"),
            (MaskRcnnConfig { rules, ..HEAD }, Naming::Official, "by torchvision's rules"),
            (MaskRcnnConfig { stage_norms: false, ..HEAD }, Naming::Official, "by torchvision's rules"),
        ] {
            let (weights, task) = weights(head);
            let task: &dyn TaskMetadata = &task;
            let path = std::path::Path::new("never.safetensors");
            let message = write_converted(path, &weights, task, naming).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
