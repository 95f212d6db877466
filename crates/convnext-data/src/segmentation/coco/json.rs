//! The parts of COCO's JSON that label maps need.

use convnext_core::ImageSize;
use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::reading::size_limit::check_size;

/// A file of annotations.
#[derive(Debug, Deserialize)]
pub(crate) struct CocoJson {
    pub(crate) images: Vec<CocoImage>,
    pub(crate) annotations: Vec<CocoAnnotation>,
    pub(crate) categories: Vec<CocoCategory>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CocoImage {
    pub(crate) id: i64,
    pub(crate) file_name: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CocoAnnotation {
    pub(crate) image_id: i64,
    #[serde(default)]
    pub(crate) category_id: Option<i64>,
    #[serde(default)]
    pub(crate) segmentation: Region,
    #[serde(default)]
    pub(crate) iscrowd: u8,
    /// Of panoptic files.
    #[serde(default)]
    segments_info: Option<de::IgnoredAny>,
    #[serde(default)]
    caption: Option<de::IgnoredAny>,
    #[serde(default)]
    keypoints: Option<de::IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CocoCategory {
    pub(crate) id: i64,
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) supercategory: Option<String>,
}

/// The region of an annotation.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Region {
    /// None, as of boxes.
    #[default]
    None,
    /// Rings `x, y, x, y, ...`, of which the region is the union.
    Rings(Vec<Vec<f64>>),
    /// Run lengths of an image of this height and width.
    Counts { size: [usize; 2], counts: Vec<u32> },
    /// The same as a compressed string.
    Text { size: [usize; 2], counts: String },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum StoredRegion {
    Rings(Vec<Vec<Number>>),
    /// One ring without the list around it, as some tools write it.
    Ring(Vec<Number>),
    Counts {
        size: [usize; 2],
        counts: Vec<u32>,
    },
    Text {
        size: [usize; 2],
        counts: String,
    },
    Nothing(()),
}

/// A coordinate, which may be in quotes.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Float(f64),
    Text(String),
}

impl Number {
    fn value(self) -> Result<f64, String> {
        match self {
            Self::Float(value) => Ok(value),
            Self::Text(text) => text.parse().map_err(|_| format!("'{text}' is no coordinate")),
        }
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = |ring: Vec<Number>| -> Result<Vec<f64>, D::Error> {
            ring.into_iter().map(|number| number.value().map_err(de::Error::custom)).collect()
        };
        Ok(match StoredRegion::deserialize(deserializer)? {
            StoredRegion::Nothing(()) => Self::None,
            StoredRegion::Rings(rings) => {
                Self::Rings(rings.into_iter().map(values).collect::<Result<_, _>>()?)
            }
            StoredRegion::Ring(ring) => Self::Rings(vec![values(ring)?]),
            StoredRegion::Counts { size, counts } => Self::Counts { size, counts },
            StoredRegion::Text { size, counts } => Self::Text { size, counts },
        })
    }
}

impl CocoImage {
    /// Height and width of the image, for which a label map can be drawn.
    ///
    /// # Errors
    /// In words, when a side is 0 or the map too large.
    pub(crate) fn size(&self) -> Result<ImageSize, String> {
        let Self { file_name, width, height, .. } = self;
        let size = ImageSize { height: *height, width: *width };
        if *width == 0 || *height == 0 {
            return Err(format!("its image {file_name} is of {}", size.with_unit()));
        }
        let [width, height] = [*width, *height].map(|side| u32::try_from(side).unwrap_or(u32::MAX));
        let bytes = (u64::from(width) * u64::from(height)).saturating_mul(size_of::<u16>() as u64);
        check_size(file_name, width, height, bytes).map_err(|error| format!("of its images {error}"))?;
        Ok(size)
    }
}

impl CocoJson {
    /// Reads a file.
    ///
    /// # Errors
    /// In words, when it is another kind of file.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let read: Self = serde_json::from_slice(bytes).map_err(|error| {
            format!("it is no JSON with COCO's images, annotations and categories: {error}")
        })?;
        match read.annotations.first() {
            Some(first) if first.segments_info.is_some() => {
                Err("it is a panoptic file, whose regions are in PNG files".into())
            }
            Some(first) if first.caption.is_some() => Err("its annotations are captions".into()),
            _ => read.with_regions(),
        }
    }

    fn with_regions(self) -> Result<Self, String> {
        let has_region = self.annotations.iter().any(|annotation| annotation.segmentation != Region::None);
        let is_keypoints = self.annotations.iter().any(|annotation| annotation.keypoints.is_some());
        match (has_region || self.annotations.is_empty(), is_keypoints) {
            (true, _) => Ok(self),
            (false, true) => Err("its annotations are keypoints without regions".into()),
            (false, false) => Err("its annotations are boxes without regions (segmentation)".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_of_every_form_are_read() {
        for (text, expected) in [
            ("[[0,0,4,0,4,4.5]]", Region::Rings(vec![vec![0.0, 0.0, 4.0, 0.0, 4.0, 4.5]])),
            ("[0,0,4,0,4,4]", Region::Rings(vec![vec![0.0, 0.0, 4.0, 0.0, 4.0, 4.0]])),
            (r#"[["0","0","4","0","4","4"]]"#, Region::Rings(vec![vec![0.0, 0.0, 4.0, 0.0, 4.0, 4.0]])),
            (r#"{"size":[2,3],"counts":[1,2]}"#, Region::Counts { size: [2, 3], counts: vec![1, 2] }),
            (r#"{"size":[2,3],"counts":"06"}"#, Region::Text { size: [2, 3], counts: "06".into() }),
            ("[]", Region::Rings(vec![])),
            ("null", Region::None),
        ] {
            assert_eq!(serde_json::from_str::<Region>(text).unwrap(), expected);
        }
    }

    #[test]
    fn images_have_pixels_and_not_too_many() {
        let size = |width, height| CocoImage { id: 1, file_name: "a.png".into(), width, height }.size();
        assert_eq!(size(3, 2), Ok(ImageSize { height: 2, width: 3 }));
        for (width, height) in [(0, 8), (8, 0), (1_000_000, 1_000_000), (usize::MAX, usize::MAX)] {
            assert!(size(width, height).unwrap_err().contains("a.png"));
        }
    }

    #[test]
    fn other_kinds_of_files_are_told() {
        let file =
            |annotation: &str| format!(r#"{{"images":[],"annotations":[{annotation}],"categories":[]}}"#);
        for (text, expected) in [
            (file(r#"{"image_id":1,"segments_info":[]}"#), "panoptic"),
            (file(r#"{"image_id":1,"caption":"a cat"}"#), "captions"),
            (file(r#"{"image_id":1,"category_id":1,"keypoints":[1]}"#), "keypoints"),
            (file(r#"{"image_id":1,"category_id":1,"bbox":[1,1,1,1]}"#), "boxes"),
            ("[]".into(), "no JSON with COCO's images"),
        ] {
            let why = CocoJson::read(text.as_bytes()).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
    }
}
