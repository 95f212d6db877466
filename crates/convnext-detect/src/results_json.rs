//! Detections as a file of COCO results, which pycocotools reads (`COCO.loadRes`).

use std::io::{self, Write};

use convnext_data::RunLengths;
use serde::{Deserialize, Serialize};

use crate::detection::Detection;

/// One detection, as it stands in a file of COCO results.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CocoResult {
    /// Number of the image in the file of annotations.
    pub image_id: i64,
    /// Number of the class there.
    pub category_id: i64,
    /// Left, top, width and height in pixels.
    pub bbox: [f64; 4],
    /// Confidence in 0 to 1.
    pub score: f64,
    /// Pixels; `None` for detectors of boxes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<CocoMask>,
}

/// Pixels as COCO's compressed run lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CocoMask {
    /// Height and width of the image.
    pub size: [usize; 2],
    /// The string.
    pub counts: String,
}

impl CocoResult {
    /// A detection in an image, with the numbers that image and class have in the file of annotations.
    pub fn new(detection: &Detection, image_id: i64, category_id: i64) -> Self {
        let mask = |mask: &RunLengths| CocoMask {
            size: [mask.size().height, mask.size().width],
            counts: mask.text(),
        };
        Self {
            image_id,
            category_id,
            bbox: detection.bounds.corner_and_size(),
            score: detection.score,
            segmentation: detection.mask.as_ref().map(mask),
        }
    }

    /// The detection as it stands in the file.
    pub fn text(&self) -> String {
        serde_json::to_string(self)
            .unwrap_or_else(|error| unreachable!("numbers and texts have a text: {error}"))
    }
}

/// Writer of a file of COCO results, one detection after the other.
#[derive(Debug)]
pub struct ResultsWriter<W> {
    output: W,
    is_empty: bool,
}

impl<W: Write> ResultsWriter<W> {
    /// The beginning of the file. The output should be buffered.
    ///
    /// # Errors
    /// Those of the output.
    pub fn new(mut output: W) -> io::Result<Self> {
        output.write_all(b"[")?;
        Ok(Self { output, is_empty: true })
    }

    /// One more detection, on a line of its own.
    ///
    /// # Errors
    /// Those of the output.
    pub fn write(&mut self, result: &CocoResult) -> io::Result<()> {
        self.write_text(&result.text())
    }

    /// [`Self::write`] of a detection that another process found, by its [`CocoResult::text`].
    ///
    /// # Errors
    /// Those of the output.
    pub fn write_text(&mut self, result: &str) -> io::Result<()> {
        self.output.write_all(if self.is_empty { b"\n" } else { b",\n" })?;
        self.is_empty = false;
        self.output.write_all(result.as_bytes())
    }

    /// The end of the file.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<()> {
        self.output.write_all(b"\n]\n")?;
        self.output.flush()
    }
}

#[cfg(test)]
mod tests {
    use convnext_core::{BoundingBox, ImageSize};

    use super::*;

    fn written(results: &[CocoResult]) -> String {
        let mut bytes = Vec::new();
        let mut writer = ResultsWriter::new(&mut bytes).unwrap();
        results.iter().for_each(|result| writer.write(result).unwrap());
        writer.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn read(text: &str) -> Vec<CocoResult> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn detections_come_back_from_their_file() {
        let size = ImageSize { height: 2, width: 3 };
        let bounds = BoundingBox { left: 0.5, top: 0.0, right: 2.75, bottom: 1.5 };
        let mask = Some(RunLengths::of_counts(&[1, 2], size).unwrap());
        let with_mask = Detection { class: 1, score: 0.1, bounds, mask };
        let alone = Detection { mask: None, ..with_mask.clone() };
        let results = [CocoResult::new(&with_mask, 139, 62), CocoResult::new(&alone, 7, 90)];
        let text = written(&results);
        assert_eq!(
            text,
            "[\n{\"image_id\":139,\"category_id\":62,\"bbox\":[0.5,0.0,2.25,1.5],\"score\":0.1,\
             \"segmentation\":{\"size\":[2,3],\"counts\":\"123\"}},\n\
             {\"image_id\":7,\"category_id\":90,\"bbox\":[0.5,0.0,2.25,1.5],\"score\":0.1}\n]\n"
        );
        assert_eq!(read(&text), results);
        assert_eq!(read(&written(&[])), []);
    }
}
