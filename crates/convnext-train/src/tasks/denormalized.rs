//! From the values that a network sees back to pixels.

/// Normalised values `[channels, sites]` as bytes of an image, the channels of a pixel one after the other.
///
/// # Panics
/// When there are fewer values than that.
pub fn denormalized(values: &[f32], sites: usize, mean: &[f32], std: &[f32]) -> Vec<u8> {
    let level = |site: usize, channel: usize| {
        let value = values[channel * sites + site] * std[channel] + mean[channel];
        (value * 255.0).round().clamp(0.0, 255.0) as u8
    };
    (0..sites).flat_map(|site| (0..mean.len()).map(move |channel| level(site, channel))).collect()
}
