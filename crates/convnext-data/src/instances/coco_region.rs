//! The region of one of COCO's annotations, in all forms that programs write.

use std::fmt;

use convnext_core::ImageSize;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::instances::run_lengths::RunLengths;

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

impl Region {
    /// The pixels of the region, the union of its rings; `None` for boxes.
    ///
    /// # Errors
    /// In words, when run lengths are damaged or of another size.
    pub(crate) fn pixels(&self, size: ImageSize) -> Result<Option<RunLengths>, String> {
        let fits = |[height, width]: [usize; 2]| match (ImageSize { height, width }) == size {
            true => Ok(()),
            false => {
                Err(format!("a region is of {height} x {width} px, but the image of {}", size.with_unit()))
            }
        };
        Ok(Some(match self {
            Self::None => return Ok(None),
            Self::Rings(rings) => RunLengths::of_rings(rings, size),
            Self::Counts { size: own, counts } => {
                fits(*own)?;
                RunLengths::of_counts(counts, size)?
            }
            Self::Text { size: own, counts } => {
                fits(*own)?;
                RunLengths::of_text(counts, size)?
            }
        }))
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyRegion)
    }
}

struct AnyRegion;

impl<'de> Visitor<'de> for AnyRegion {
    type Value = Region;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a region: rings of numbers, or run lengths with size and counts")
    }

    fn visit_unit<E>(self) -> Result<Region, E> {
        Ok(Region::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Region, A::Error> {
        let mut rings = Vec::new();
        // One ring without the list around it, as some tools write it.
        let mut bare = Vec::new();
        while let Some(element) = elements.next_element()? {
            match element {
                Element::Ring(ring) => rings.push(ring),
                Element::Number(number) => bare.push(number),
            }
        }
        match (rings.is_empty(), bare.is_empty()) {
            (_, true) => Ok(Region::Rings(rings)),
            (true, false) => Ok(Region::Rings(vec![bare])),
            (false, false) => Err(de::Error::custom("a region has numbers beside its rings")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Region, A::Error> {
        let (mut size, mut counts) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "size" => size = Some(map.next_value::<[usize; 2]>()?),
                "counts" => counts = Some(map.next_value::<Counts>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if size.is_none() && counts.is_none() {
            return Ok(Region::None);
        }
        let size = size.ok_or_else(|| de::Error::missing_field("size"))?;
        match counts.ok_or_else(|| de::Error::missing_field("counts"))? {
            Counts::List(counts) => Ok(Region::Counts { size, counts }),
            Counts::Text(counts) => Ok(Region::Text { size, counts }),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Counts {
    List(Vec<u32>),
    Text(String),
}

/// A ring, or a number of the only one.
enum Element {
    Ring(Vec<f64>),
    Number(f64),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Element;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a ring of numbers")
            }
            fn visit_f64<E>(self, value: f64) -> Result<Element, E> {
                Ok(Element::Number(value))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Element, E> {
                Ok(Element::Number(value as f64))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Element, E> {
                Ok(Element::Number(value as f64))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Element, E> {
                number(text).map(Element::Number)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Element, A::Error> {
                let mut ring = Vec::new();
                while let Some(Coordinate(number)) = numbers.next_element()? {
                    ring.push(number);
                }
                // Millions of rings are kept for long.
                ring.shrink_to_fit();
                Ok(Element::Ring(ring))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// A coordinate, which may be in quotes.
struct Coordinate(f64);

impl<'de> Deserialize<'de> for Coordinate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Element::deserialize(deserializer)? {
            Element::Number(number) => Ok(Self(number)),
            Element::Ring(_) => Err(de::Error::custom("a ring within a ring")),
        }
    }
}

fn number<E: de::Error>(text: &str) -> Result<f64, E> {
    let read = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    read.ok_or_else(|| E::custom(format!("'{text}' is no coordinate")))
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
            (r#"{"counts":"06","size":[2,3]}"#, Region::Text { size: [2, 3], counts: "06".into() }),
            ("[]", Region::Rings(vec![])),
            ("null", Region::None),
            ("{}", Region::None),
        ] {
            assert_eq!(serde_json::from_str::<Region>(text).unwrap(), expected);
        }
        for (text, expected) in [
            (r#"[["a","0"]]"#, "'a' is no coordinate"),
            ("[[[1]]]", "a ring within a ring"),
            ("[1,[2,3]]", "numbers beside its rings"),
            (r#"{"counts":"06"}"#, "missing field `size`"),
            ("3", "a region: rings of numbers"),
        ] {
            let why = serde_json::from_str::<Region>(text).unwrap_err().to_string();
            assert!(why.contains(expected), "{why}");
        }
    }

    #[test]
    fn run_lengths_are_of_the_size_of_the_image() {
        let size = ImageSize { height: 4, width: 5 };
        let region = Region::Counts { size: [5, 4], counts: vec![4, 1] };
        assert!(region.pixels(size).unwrap_err().contains("5 x 4 px"));
        let region = Region::Counts { size: [4, 5], counts: vec![4, 1] };
        assert_eq!(region.pixels(size).unwrap().unwrap().area(), 1);
        assert_eq!(Region::None.pixels(size), Ok(None));
    }
}
