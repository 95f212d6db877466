//! COCO's JSON of annotations, read as a stream: of a file there is never more in memory than what it says.

use std::fmt;
use std::io::Read;

use convnext_core::ImageSize;
use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::instances::coco_region::Region;
use crate::reading::size_limit::check_pixels;

/// A file of annotations.
#[derive(Debug)]
pub(crate) struct CocoJson {
    pub(crate) images: Vec<CocoImage>,
    pub(crate) annotations: Vec<CocoAnnotation>,
    pub(crate) categories: Vec<CocoCategory>,
}

/// What the file may have: files of other programs lie beside images as well.
#[derive(Deserialize)]
struct Stored {
    #[serde(default)]
    images: Option<Vec<CocoImage>>,
    #[serde(default)]
    annotations: Option<Vec<CocoAnnotation>>,
    #[serde(default)]
    categories: Option<Vec<CocoCategory>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CocoImage {
    pub(crate) id: i64,
    pub(crate) file_name: String,
    /// 0 where it is not told, as is the height.
    #[serde(default, deserialize_with = "side")]
    pub(crate) width: usize,
    #[serde(default, deserialize_with = "side")]
    pub(crate) height: usize,
}

#[derive(Debug, Deserialize)]
pub(crate) struct CocoAnnotation {
    #[serde(default)]
    pub(crate) id: Option<i64>,
    pub(crate) image_id: i64,
    #[serde(default)]
    pub(crate) category_id: Option<i64>,
    #[serde(default)]
    pub(crate) segmentation: Region,
    /// `[left, top, width, height]`, or an empty list as that of none.
    #[serde(default, deserialize_with = "four_numbers")]
    pub(crate) bbox: Option<[f64; 4]>,
    #[serde(default)]
    pub(crate) area: Option<f64>,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) iscrowd: bool,
    #[serde(default, deserialize_with = "flag")]
    pub(crate) ignore: bool,
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
        check_pixels(file_name, size).map_err(|error| format!("of its images {error}"))?;
        Ok(size)
    }
}

impl CocoJson {
    /// Reads a file; `None` for JSON of another kind, with neither images nor annotations.
    ///
    /// # Errors
    /// In words, when it is damaged, or its annotations are of another kind.
    pub(crate) fn read(file: impl Read) -> Result<Option<Self>, String> {
        let wrong = |why: &dyn fmt::Display| {
            format!("it is no JSON with COCO's images, annotations and categories: {why}")
        };
        let stored: Stored = serde_json::from_reader(file).map_err(|error| wrong(&error))?;
        let (images, mut annotations) = match (stored.images, stored.annotations) {
            (Some(images), Some(annotations)) => (images, annotations),
            (Some(_), None) => return Err(wrong(&"missing field `annotations`")),
            (None, Some(_)) => return Err(wrong(&"missing field `images`")),
            (None, None) => return Ok(None),
        };
        let categories = stored.categories.ok_or_else(|| match annotations.first() {
            Some(first) if first.caption.is_some() => "its annotations are captions".to_owned(),
            _ => wrong(&"missing field `categories`"),
        })?;
        match annotations.first() {
            Some(first) if first.segments_info.is_some() => {
                return Err("it is a panoptic file, whose regions are in PNG files".into());
            }
            Some(first) if first.caption.is_some() => return Err("its annotations are captions".into()),
            _ => {}
        }
        annotations.shrink_to_fit();
        Ok(Some(Self { images, annotations, categories }))
    }

    /// `true` if the annotations have points of bodies.
    pub(crate) fn has_keypoints(&self) -> bool {
        self.annotations.iter().any(|annotation| annotation.keypoints.is_some())
    }

    /// Checks that there are regions, which label maps are made of.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn check_regions(&self) -> Result<(), String> {
        let has_region = self.annotations.iter().any(|annotation| annotation.segmentation != Region::None);
        match (has_region || self.annotations.is_empty(), self.has_keypoints()) {
            (true, _) => Ok(()),
            (false, true) => Err("its annotations are keypoints without regions".into()),
            (false, false) => Err("its annotations are boxes without regions (segmentation)".into()),
        }
    }

    /// The ids of categories without annotations that are groups of others, as Roboflow writes one first.
    pub(crate) fn groups(&self) -> Vec<i64> {
        let is_group = |category: &&CocoCategory| {
            // Many programs write a category's own name as its group.
            let names = |other: &CocoCategory| {
                other.id != category.id && other.supercategory.as_deref() == Some(&category.name)
            };
            category.id == 0 && self.categories.iter().any(names)
        };
        let is_used = |id: i64| self.annotations.iter().any(|annotation| annotation.category_id == Some(id));
        let groups = self.categories.iter().filter(is_group).map(|category| category.id);
        groups.filter(|&id| !is_used(id)).collect()
    }
}

/// A whole number, be it written as `64.0`; 0 for `null`.
fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let side = Option::<f64>::deserialize(deserializer)?.unwrap_or_default();
    match side >= 0.0 && side.fract() == 0.0 {
        true => Ok(side as usize),
        false => Err(de::Error::custom(format!("{side} is no side of an image"))),
    }
}

/// 0 or 1, as a number or a truth value.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Flag;
    impl Visitor<'_> for Flag {
        type Value = bool;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("0 or 1")
        }
        fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
            Ok(value)
        }
        fn visit_u64<E>(self, value: u64) -> Result<bool, E> {
            Ok(value != 0)
        }
        fn visit_i64<E>(self, value: i64) -> Result<bool, E> {
            Ok(value != 0)
        }
        fn visit_f64<E>(self, value: f64) -> Result<bool, E> {
            Ok(value != 0.0)
        }
        fn visit_unit<E>(self) -> Result<bool, E> {
            Ok(false)
        }
    }
    deserializer.deserialize_any(Flag)
}

/// Four numbers, or none of them.
fn four_numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[f64; 4]>, D::Error> {
    struct Four;
    impl<'de> Visitor<'de> for Four {
        type Value = Option<[f64; 4]>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a box [left, top, width, height]")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
            let mut found = Vec::with_capacity(4);
            while let Some(number) = numbers.next_element::<Option<f64>>()? {
                found.push(number.ok_or_else(|| de::Error::custom("a side of a box is null"))?);
            }
            match found[..] {
                [] => Ok(None),
                [left, top, width, height] => Ok(Some([left, top, width, height])),
                _ => Err(de::Error::invalid_length(found.len(), &self)),
            }
        }
    }
    deserializer.deserialize_any(Four)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_pixels_and_not_too_many() {
        let size = |width, height| CocoImage { id: 1, file_name: "a.png".into(), width, height }.size();
        assert_eq!(size(3, 2), Ok(ImageSize { height: 2, width: 3 }));
        for (width, height) in [(0, 8), (8, 0), (1_000_000, 1_000_000), (usize::MAX, usize::MAX)] {
            assert!(size(width, height).unwrap_err().contains("a.png"));
        }
    }

    fn file(annotation: &str) -> String {
        format!(r#"{{"images":[],"annotations":[{annotation}],"categories":[]}}"#)
    }

    #[test]
    fn other_kinds_of_files_are_told() {
        for (text, expected) in [
            (file(r#"{"image_id":1,"segments_info":[]}"#), "panoptic"),
            (file(r#"{"image_id":1,"caption":"a cat"}"#), "captions"),
            (r#"{"images":[],"annotations":[{"image_id":1,"caption":"a cat"}]}"#.into(), "captions"),
            (file(r#"{"image_id":1,"category_id":1,"keypoints":[1]}"#), "keypoints"),
            (file(r#"{"image_id":1,"category_id":1,"bbox":[1,1,1,1]}"#), "boxes"),
            (r#"{"images":[],"categories":[]}"#.into(), "missing field `annotations`"),
            (file(r#"{"image_id":1,"bbox":[1,1,1]}"#), "a box [left, top, width, height]"),
        ] {
            let read = CocoJson::read(text.as_bytes());
            let why = read.and_then(|read| read.unwrap().check_regions()).unwrap_err();
            assert!(why.contains(expected), "{why}");
        }
        assert!(CocoJson::read(&b"{\"shapes\":[]}"[..]).unwrap().is_none());
    }

    #[test]
    fn annotations_are_read_as_programs_write_them() {
        let text = file(
            r#"{"image_id":7,"id":0,"category_id":2,"bbox":[],"iscrowd":true,"ignore":null,"area":2.5,"score":1}"#,
        );
        let read = CocoJson::read(text.as_bytes()).unwrap().unwrap();
        let found = &read.annotations[0];
        assert_eq!((found.id, found.bbox, found.area), (Some(0), None, Some(2.5)));
        assert!(found.iscrowd && !found.ignore && found.segmentation == Region::None);
    }

    #[test]
    fn sides_are_whole_numbers() {
        let image = |width: &str| {
            let text = format!(r#"{{"id":1,"file_name":"a","width":{width},"height":8}}"#);
            serde_json::from_str::<CocoImage>(&text).map(|image| [image.width, image.height])
        };
        assert_eq!((image("64.0").unwrap(), image("null").unwrap()), ([64, 8], [0, 8]));
        assert!(image("6.5").is_err() && image("-1").is_err());
    }

    #[test]
    fn a_group_of_others_is_no_category() {
        let text = r#"{"images":[],"annotations":[{"image_id":1,"category_id":1}],"categories":[
            {"id":0,"name":"things","supercategory":"none"},{"id":1,"name":"cat","supercategory":"things"}]}"#;
        assert_eq!(CocoJson::read(text.as_bytes()).unwrap().unwrap().groups(), [0]);
        let used = text.replace(r#""category_id":1"#, r#""category_id":0"#);
        assert!(CocoJson::read(used.as_bytes()).unwrap().unwrap().groups().is_empty());
        let own = text.replace(r#""supercategory":"none""#, r#""supercategory":"things""#);
        let own =
            own.replace(r#""name":"cat","supercategory":"things""#, r#""name":"cat","supercategory":"cat""#);
        assert!(CocoJson::read(own.as_bytes()).unwrap().unwrap().groups().is_empty());
    }
}
