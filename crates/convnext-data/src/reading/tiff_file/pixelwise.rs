//! Rules for the values of one pixel.

use crate::reading::sample_type::SampleType;
use crate::reading::samples::Values;

/// Applies a rule to the values of each pixel as levels in [0, 1]; three come out.
pub(super) fn by_pixel(
    values: Values,
    samples: usize,
    kind: SampleType,
    rule: impl Fn(&[f64]) -> [f64; 3],
) -> Values {
    let [least, most] = kind.limits();
    let most = if kind.is_deep() { most } else { 255.0 };
    let span = most - least;
    let colours = |values: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
        let levels: Vec<f64> = values.map(|value| (value - least) / span).collect();
        levels.chunks_exact(samples).flat_map(&rule).map(|level| level * span + least).collect()
    };
    match values {
        Values::Eight(values) => {
            let colours = colours(&mut values.into_iter().map(f64::from));
            Values::Eight(colours.into_iter().map(|level| level.round() as u8).collect())
        }
        Values::Sixteen(values) => {
            let colours = colours(&mut values.into_iter().map(f64::from));
            Values::Sixteen(colours.into_iter().map(|level| level.round() as u16).collect())
        }
        Values::Real(values) => Values::Real(colours(&mut values.into_iter())),
    }
}
