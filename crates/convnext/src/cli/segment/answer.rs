//! Answer of a segmentation network about one image.

use convnext::data::{Ring, outlines};
use convnext::{ClassArea, Segmentation};
use serde::Serialize;

/// The answer about one image.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    pub(super) image: String,
    /// Height and width in pixels.
    pub(super) size: [usize; 2],
    /// The classes that are in the image, the one with the most pixels first.
    pub(super) classes: Vec<ClassAnswer>,
}

/// Answer about a class.
#[derive(Debug, Serialize)]
pub(super) struct ClassAnswer {
    pub(super) name: String,
    pub(super) pixels: usize,
    /// Outlines of its areas; `None` unless they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) polygons: Option<Vec<Ring>>,
}

impl Answer {
    pub(super) fn new(image: &str, segmentation: Segmentation, with_polygons: bool) -> Self {
        let Segmentation { labels, areas } = segmentation;
        let of_area = |ClassArea { label, index, pixels, .. }| ClassAnswer {
            name: label,
            pixels,
            polygons: with_polygons.then(|| outlines(&labels, index as u16)),
        };
        let classes = areas.into_iter().map(of_area).collect();
        Self { image: image.to_owned(), size: [labels.height, labels.width], classes }
    }

    pub(super) fn in_words(&self) -> String {
        let [height, width] = self.size;
        let line = |class: &ClassAnswer| {
            let share = 100.0 * class.pixels as f64 / (height * width) as f64;
            format!("\n  {share:6.2} %  {}", class.name)
        };
        let lines: String = self.classes.iter().map(line).collect();
        format!("{}{lines}", self.image)
    }
}

#[cfg(test)]
mod tests {
    use convnext::data::LabelMap;

    use super::*;

    #[test]
    fn classes_stand_in_the_order_of_their_areas() {
        let labels = LabelMap { width: 3, height: 2, labels: vec![0, 2, 2, 2, 2, 2] };
        let area =
            |label: &str, index, pixels| ClassArea { label: label.into(), index, colour: [0; 3], pixels };
        let areas = vec![area("car", 2, 5), area("sky", 0, 1)];
        let segmentation = Segmentation { labels, areas };
        let answer = Answer::new("a.png", segmentation.clone(), false);
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"image":"a.png","size":[2,3],"classes":[{"name":"car","pixels":5},{"name":"sky","pixels":1}]}"#
        );
        assert_eq!(answer.in_words(), "a.png\n   83.33 %  car\n   16.67 %  sky");
        let with = Answer::new("a.png", segmentation, true);
        assert_eq!(with.classes[1].polygons.as_ref().unwrap()[0], [[0, 0], [1, 0], [1, 1], [0, 1]]);
    }
}
