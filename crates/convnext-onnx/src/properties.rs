//! Metadata properties of an ONNX file.

use convnext_core::{
    COLOURS, DetectionTask, Geometry, ImageSize, Interpolation, ModelConfig, Preprocessing, SegmentationTask,
    ValueRange, WeightMetadata,
};

use crate::messages::Entry;
use crate::options::OnnxOptions;
use crate::part::OnnxPart;

/// The rule for the images of the file: that of the weights; at another size whole images are resized to it, and others as
/// [`Preprocessing::at_size`] has it.
pub(crate) fn preprocessing(metadata: &WeightMetadata, options: &OnnxOptions) -> Preprocessing {
    let of_weights = metadata.preprocessing.clone();
    match options.image_size {
        None => of_weights,
        Some(size) if looks_at_whole_images(metadata) => {
            Preprocessing { geometry: Geometry::Warp { size }, ..of_weights }
        }
        Some(size) => of_weights.at_size(size),
    }
}

/// `true` for weights that nobody uses with a centre crop: those of tasks that want something for every place of an image, and
/// those that give each image a size of its own.
fn looks_at_whole_images(metadata: &WeightMetadata) -> bool {
    let WeightMetadata { task, preprocessing, .. } = metadata;
    let is_dense = task.is::<SegmentationTask>() || task.is::<DetectionTask>();
    is_dense || preprocessing.image_size().is_none()
}

/// Names and values, in a fixed order.
pub(crate) fn properties(
    model: &ModelConfig,
    preprocessing: &Preprocessing,
    part: &dyn OnnxPart,
) -> serde_json::Result<Vec<Entry>> {
    let crop = match preprocessing.geometry {
        Geometry::CentreCrop { crop, .. } => Some(crop),
        Geometry::Warp { .. } | Geometry::Fit(_) | Geometry::None { .. } => None,
    };
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    let mut properties = vec![
        entry("model", model.name.clone()),
        entry("image_size", serde_json::to_string(&preprocessing.image_size())?),
        entry("crop", serde_json::to_string(&crop)?),
        entry("mean", serde_json::to_string(&preprocessing.mean)?),
        entry("std", serde_json::to_string(&preprocessing.std)?),
        entry("interpolation", preprocessing.interpolation.name().to_owned()),
        entry("preprocessing", describe(preprocessing)),
    ];
    if !preprocessing.range.is_unstated() {
        properties.push(entry("range", serde_json::to_string(&preprocessing.range)?));
    }
    properties
        .extend(part.properties().into_iter().map(|(key, value)| Entry { key, value: value.to_string() }));
    Ok(properties)
}

/// Description of the evaluation transform (docs/facts.md, "Preprocessing").
fn describe(preprocessing: &Preprocessing) -> String {
    let pixels = match preprocessing.channels() {
        1 => "greyscale".to_owned(),
        COLOURS => "red, green and blue".to_owned(),
        channels => format!("{channels} channels"),
    };
    let resized = describe_geometry(preprocessing.geometry);
    let filter = match preprocessing.interpolation {
        Interpolation::Nearest => "the nearest pixel".to_owned(),
        other => format!("{} with antialiasing", other.name()),
    };
    let scaled = match &preprocessing.range {
        ValueRange::Unstated => "divide by 255".to_owned(),
        range => format!("scale values of {range} to 0 to 1, cutting off what lies outside"),
    };
    format!(
        "decode to {pixels}; {resized} ({filter}); {scaled}; subtract mean and divide by std, channel by \
         channel; order [batch, channels, height, width]"
    )
}

/// Description of resizing and cropping.
fn describe_geometry(geometry: Geometry) -> String {
    match geometry {
        Geometry::CentreCrop { size: ImageSize { height, width }, crop } => {
            let [high, wide] = [height, width].map(|side| (side as f64 / crop) as usize);
            let resize = match high == wide {
                true => format!("resize the short side to {high} pixels"),
                false => format!("resize in proportion until {high}x{wide} pixels are covered"),
            };
            format!("{resize}, cut out the central {height}x{width}")
        }
        Geometry::Warp { size: ImageSize { height, width } } => {
            format!("resize to {height}x{width}, whatever the proportions")
        }
        // An exported network takes images of one size.
        Geometry::Fit(_) | Geometry::None { .. } => format!("images {geometry}"),
    }
}
