//! The names of the classes of a foreign model: what the files beside it did not tell may stand in its own.

use convnext_core::{
    ClassNames, ClassificationTask, IMAGENET_1K_CLASSES, SegmentationTask, Tagged, WeightMetadata,
    imagenet_1k_classes, is_imagenet_1k,
};

use crate::torch_file::ClassTable;

/// The metadata with the names and colours of a table, where none are known yet. A thousand classes without names are those of
/// ImageNet; but not where names were stated, `unused` because they do not fit, that mean others. Remarks say what does not
/// fit.
pub(super) fn named(
    mut metadata: WeightMetadata,
    unused: Option<ClassNames>,
    table: Option<&ClassTable>,
    remarks: &mut Vec<String>,
) -> WeightMetadata {
    let table = table.cloned().unwrap_or_default();
    let names = Some(ClassNames(table.names)).filter(|names| !stand_for_none(names));
    let outputs = metadata.class_count();
    let mut stated = unused;
    if let Some(names) = names.filter(|_| outputs > 0 && metadata.class_names().is_empty()) {
        // Those of another number of classes are of another head.
        match names.check(outputs) {
            Ok(()) => metadata = metadata.with_class_names(names),
            Err(why) => {
                remarks.push(format!("the names of classes in the file are not used: {why}"));
                stated = Some(names);
            }
        }
    }
    metadata = with_palette(metadata, table.palette, remarks);
    let is_of_imagenet = metadata.task.is::<ClassificationTask>() && outputs == IMAGENET_1K_CLASSES;
    if is_of_imagenet
        && metadata.class_names().is_empty()
        && stated.is_none_or(|names| is_imagenet_1k(&names))
    {
        metadata = metadata.with_class_names(imagenet_1k_classes());
    }
    metadata
}

/// `true` for no names, and for those that programs write where nobody gave any.
pub(super) fn stand_for_none(names: &ClassNames) -> bool {
    let is_placeholder = |(index, name): (usize, &String)| {
        *name == format!("LABEL_{index}") || *name == ClassNames::default().name(index)
    };
    names.0.iter().enumerate().all(is_placeholder)
}

/// A segmentation network with these colours, which may be of another origin than names.
fn with_palette(
    metadata: WeightMetadata,
    palette: Vec<[u8; 3]>,
    remarks: &mut Vec<String>,
) -> WeightMetadata {
    let Ok(task) = metadata.task.read::<SegmentationTask>() else { return metadata };
    let (colours, outputs) = (palette.len(), metadata.class_count());
    if colours == outputs {
        return WeightMetadata { task: Tagged::new(&SegmentationTask { palette, ..task }), ..metadata };
    }
    if colours > 0 {
        remarks.push(format!("the palette in the file is not used: {colours} colours, {outputs} classes"));
    }
    metadata
}

#[cfg(test)]
mod tests {
    use convnext_core::{ModelConfig, Preprocessing};

    use super::*;
    use crate::test_files::speck;

    fn classifier(classes: usize) -> WeightMetadata {
        let model = ModelConfig { classes, ..speck() };
        WeightMetadata::of_classifier(&model, ClassNames::default(), Preprocessing::for_size(32, 1))
    }

    fn table(names: &[String]) -> ClassTable {
        ClassTable { names: names.to_vec(), palette: Vec::new() }
    }

    fn numbered(count: usize) -> Vec<String> {
        (0..count).map(|index| format!("bird {index}")).collect()
    }

    #[test]
    fn a_thousand_classes_that_nobody_names_are_those_of_imagenet() {
        let of_none = |classes| named(classifier(classes), None, None, &mut Vec::new()).class_names();
        assert_eq!(of_none(1000).name(0), "tench");
        assert!(of_none(999).is_empty());
    }

    #[test]
    fn a_thousand_other_classes_are_not_called_after_imagenet() {
        let mut remarks = Vec::new();
        let mut twice = numbered(1000);
        twice[7] = "bird 6".into();
        for (unused, table) in [
            (Some(ClassNames(twice.clone())), None),
            (Some(ClassNames(numbered(999))), None),
            (None, Some(table(&twice))),
            (None, Some(table(&numbered(999)))),
        ] {
            let found = named(classifier(1000), unused, table.as_ref(), &mut remarks);
            assert!(found.class_names().is_empty());
        }
        assert!(remarks.len() == 2 && remarks[0].contains("'bird 6' is duplicated"), "{remarks:?}");
        // Names of ImageNet of which two are the same mean its classes.
        let mut imagenet = imagenet_1k_classes();
        imagenet.0[134] = "crane".into();
        let found = named(classifier(1000), Some(imagenet), None, &mut remarks);
        assert_eq!(found.class_names().name(134), "crane bird");
    }

    #[test]
    fn a_classifier_has_the_names_that_its_file_states() {
        let found = named(classifier(1000), None, Some(&table(&numbered(1000))), &mut Vec::new());
        assert_eq!(found.class_names().name(3), "bird 3");
        let mut remarks = Vec::new();
        let known = classifier(2).with_class_names(ClassNames(vec!["ant".into(), "bee".into()]));
        for metadata in [known, classifier(0)] {
            let found = named(metadata.clone(), None, Some(&table(&numbered(2))), &mut remarks);
            assert_eq!(found, metadata);
        }
        assert!(remarks.is_empty(), "{remarks:?}");
    }
}
