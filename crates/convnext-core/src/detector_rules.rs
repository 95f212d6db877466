//! What a detector does beside its weights.

use serde::{Deserialize, Serialize};

/// The program whose detectors a network is one of: what follows from no weight differs between them, and weights are only
/// good for the rules that they were trained by.
///
/// | | MMDetection | torchvision |
/// |---|---|---|
/// | edges of anchors around their place | as they come | rounded to whole pixels |
/// | pixels from anchor to anchor | the stride of the level | sides of the padded input / sides of the map, rounded down |
/// | RoIAlign | counts cells between their centres; as many samples as cells | from their edges; 2 x 2 samples; a cell wide at least |
/// | smallest side of regions and of found boxes | above 0 | 0.001 and 0.01 pixels |
/// | a mask's place in the image | bilinear at the middle of each pixel | the same with a box of whole pixels |
///
/// Sources: mmdet 3.3 and mmcv (Apache-2.0), torchvision 0.29 (BSD-3-Clause), `models/detection`. torchvision does not limit by how
/// much a box becomes smaller than its region, which is at most 62.5 times here, and guesses the scale of each level from
/// the first image that it sees, which for images of fewer than 68 pixels may be another than that of its stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DetectorRules {
    /// Those of MMDetection, and of every network that is trained here from the start.
    #[default]
    MmDetection,
    /// Those of torchvision's `MaskRCNN` and `FasterRCNN`.
    Torchvision,
}

impl DetectorRules {
    /// `true` for the usual ones, which need no mention in files.
    pub(crate) fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}
