//! What a user of an ONNX file must know beyond its operators.

use convnext_core::{COLOURS, Interpolation, ModelConfig, Preprocessing, ValueRange, WeightMetadata};

use crate::OnnxOptions;
use crate::messages::Entry;
use crate::part::OnnxPart;

/// The rule for the images of the file: that of the weights, at another size as [`Preprocessing::at_size`] has it.
pub(crate) fn preprocessing(metadata: &WeightMetadata, options: &OnnxOptions) -> Preprocessing {
    metadata.preprocessing.clone().at_size(options.image_size)
}

/// Names and values, in a fixed order.
pub(crate) fn properties(
    model: &ModelConfig,
    preprocessing: &Preprocessing,
    part: &dyn OnnxPart,
) -> serde_json::Result<Vec<Entry>> {
    let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
    let mut properties = vec![
        entry("model", model.name.clone()),
        entry("image_size", preprocessing.image_size.to_string()),
        entry("crop", serde_json::to_string(&preprocessing.crop)?),
        entry("mean", serde_json::to_string(&preprocessing.mean)?),
        entry("std", serde_json::to_string(&preprocessing.std)?),
        entry("interpolation", preprocessing.interpolation.name().to_owned()),
        entry("preprocessing", in_words(preprocessing)),
    ];
    if !preprocessing.range.is_unstated() {
        properties.push(entry("range", serde_json::to_string(&preprocessing.range)?));
    }
    properties
        .extend(part.properties().into_iter().map(|(key, value)| Entry { key, value: value.to_string() }));
    Ok(properties)
}

/// What evaluation does to a picture (facts B7).
fn in_words(preprocessing: &Preprocessing) -> String {
    let size = preprocessing.image_size;
    let pixels = match preprocessing.channels() {
        1 => "greyscale".to_owned(),
        COLOURS => "red, green and blue".to_owned(),
        channels => format!("{channels} channels"),
    };
    let square = match preprocessing.crop {
        Some(crop) => {
            let side = (size as f64 / crop) as usize;
            format!("resize the short side to {side} pixels, cut out the central {size}x{size}")
        }
        None => format!("resize to {size}x{size}, whatever the proportions"),
    };
    let filter = match preprocessing.interpolation {
        Interpolation::Nearest => "the nearest pixel".to_owned(),
        other => format!("{} with antialiasing", other.name()),
    };
    let scaled = match &preprocessing.range {
        ValueRange::Unstated => "divide by 255".to_owned(),
        range => format!("scale values of {} to 0 to 1, cutting off what lies outside", range.in_words()),
    };
    format!(
        "decode to {pixels}; {square} ({filter}); {scaled}; subtract mean and divide by std, channel by \
         channel; order [batch, channels, height, width]"
    )
}
