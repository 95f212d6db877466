//! Data sets whose classes are known.
//!
//! Names and colours are those of mmsegmentation 1.2.2 (`mmseg/datasets/{ade,voc,cityscapes}.py`) and, for the ids of
//! Cityscapes, of cityscapesScripts (`helpers/labels.py`).

use crate::segmentation::class_table::ClassTable;

/// A data set with classes of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KnownData {
    /// ADE20K as the SceneParsing benchmark has it: 150 classes from 1 on, 0 is none of them.
    Ade20k,
    /// Pascal VOC: 20 classes after the background, 255 around each object.
    Voc,
    /// Cityscapes with the ids of its files, of which 19 are classes.
    CityscapesIds,
    /// Cityscapes with the 19 ids that are trained.
    CityscapesTrainIds,
}

impl KnownData {
    /// As people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ade20k => "ADE20K (SceneParsing)",
            Self::Voc => "Pascal VOC",
            Self::CityscapesIds => "Cityscapes (labelIds)",
            Self::CityscapesTrainIds => "Cityscapes (labelTrainIds)",
        }
    }

    /// Its table: lines `id[ id...],name,r,g,b` after a header, as in a file of classes.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Ade20k => include_str!("tables/ade20k.csv"),
            Self::Voc => include_str!("tables/voc.csv"),
            Self::CityscapesIds | Self::CityscapesTrainIds => include_str!("tables/cityscapes.csv"),
        }
    }

    /// Changes the table of the data set to the ids that its files have.
    pub(crate) fn with_ids_of_files(self, table: ClassTable) -> ClassTable {
        match self {
            Self::CityscapesTrainIds => table.numbered(0),
            Self::Ade20k | Self::Voc | Self::CityscapesIds => table,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segmentation::class_file::read_class_file;

    #[test]
    fn known_tables_have_their_classes() {
        for (known, classes, (name, id)) in [
            (KnownData::Ade20k, 150, ("flag", 150)),
            (KnownData::Voc, 21, ("tvmonitor", 20)),
            (KnownData::CityscapesIds, 19, ("bicycle", 33)),
            (KnownData::CityscapesTrainIds, 19, ("bicycle", 18)),
        ] {
            let table = read_class_file("known.csv", known.table().as_bytes()).unwrap();
            let table = known.with_ids_of_files(table);
            assert_eq!(table.classes.len(), classes);
            let last = table.classes.last().unwrap();
            assert_eq!((last.name.as_str(), last.ids[0]), (name, id));
            assert_eq!(table.palette().len(), classes);
        }
    }
}
