//! Answer of a detector about one image.

use convnext::core::{ImageSize, counted};
use convnext::data::RunLengths;
use convnext::detect::Detection;
use serde::Serialize;

/// The answer about one image.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) image: String,
    /// Height and width in pixels.
    pub(super) size: [usize; 2],
    /// What was found, the highest score first.
    pub(super) objects: Vec<FoundObject>,
}

/// A found object.
#[derive(Debug, Serialize)]
pub(super) struct FoundObject {
    pub(super) class: String,
    /// In 0 to 1.
    pub(super) score: f64,
    /// Left, top, width and height in pixels.
    #[serde(rename = "box")]
    pub(super) bounds: [f64; 4],
    /// Pixels of its mask; `None` for detectors of boxes alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pixels: Option<u64>,
}

impl FoundObject {
    pub(super) fn new(found: &Detection, class: &str) -> Self {
        let rounded = |value: f64| (value * 100.0).round() / 100.0;
        Self {
            class: class.to_owned(),
            score: (found.score * 1e4).round() / 1e4,
            bounds: found.bounds.corner_and_size().map(rounded),
            pixels: found.mask.as_ref().map(RunLengths::area),
        }
    }
}

impl Answer {
    pub(super) fn new(image: &str, size: ImageSize, objects: Vec<FoundObject>) -> Self {
        Self { image: image.to_owned(), size: [size.height, size.width], objects }
    }

    /// Of each class its number of objects, in the order in which they come.
    pub(super) fn in_words(&self) -> String {
        let mut counts: Vec<(&str, usize, f64)> = Vec::new();
        for FoundObject { class, score, .. } in &self.objects {
            match counts.iter_mut().find(|(known, ..)| known == class) {
                Some((_, count, _)) => *count += 1,
                None => counts.push((class, 1, *score)),
            }
        }
        let line = |(class, count, best): &(&str, usize, f64)| {
            format!("\n  {count:6}  {class} (score up to {:.1} %)", 100.0 * best)
        };
        let lines: String = counts.iter().map(line).collect();
        format!("{}: {}{lines}", self.image, counted(self.objects.len(), "object", "objects"))
    }
}

#[cfg(test)]
mod tests {
    use convnext::core::BoundingBox;

    use super::*;

    #[test]
    fn objects_are_counted_by_class() {
        let bounds = BoundingBox { left: 1.0, top: 2.0, right: 4.0, bottom: 6.004 };
        let found =
            |class, score| FoundObject::new(&Detection { class: 0, score, bounds, mask: None }, class);
        let objects = vec![found("cat", 0.9), found("dog", 0.8), found("cat", 0.7)];
        let answer = Answer::new("a.png", ImageSize { height: 8, width: 9 }, objects);
        assert_eq!(
            answer.in_words(),
            "a.png: 3 objects\n       2  cat (score up to 90.0 %)\n       1  dog (score up to 80.0 %)"
        );
        assert_eq!(
            serde_json::to_string(&answer.objects[1]).unwrap(),
            r#"{"class":"dog","score":0.8,"box":[1.0,2.0,3.0,4.0]}"#
        );
    }
}
