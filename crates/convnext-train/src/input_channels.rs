//! Weights for images of another number of channels.

use std::collections::BTreeMap;
use std::path::Path;

use convnext_core::COLOURS;
use convnext_io::{IoError, NamedArray};

/// The weight that sees the pixels, `[width, channels, side, side]`, without `encoder.`.
pub(crate) const STEM: &str = "downsample_layers.0.0.weight";

/// Prefix of the prediction layer of an autoencoder, which has as many outputs for each pixel as it has
/// channels.
const PREDICTION: &str = "pred.";

/// Gives the stem of weights for colours as many input channels as are asked for, by timm's rule (`adapt_input_conv`):
/// one channel sees the sum over the colours; more see red, green and blue over and over, times 3 / `asked`, so that
/// what comes out stays as large. The prediction of an autoencoder does not fit then, and is taken out. Other weights
/// stay as they are.
///
/// # Errors
/// When the stem cannot be read.
pub(crate) fn adapt(
    arrays: &mut BTreeMap<String, NamedArray>,
    asked: usize,
    path: &Path,
) -> Result<(), IoError> {
    let Some(stem) = arrays.values_mut().find(|array| array.name.ends_with(STEM)) else { return Ok(()) };
    let &[width, COLOURS, rows, columns] = &stem.shape[..] else { return Ok(()) };
    if asked == COLOURS {
        return Ok(());
    }
    let adapted = adapted(&stem.to_f32()?, rows * columns, asked);
    *stem = NamedArray::from_f32(stem.name.clone(), vec![width, asked, rows, columns], &adapted);
    arrays.retain(|name, _| !name.starts_with(PREDICTION));
    log::info!("{}: the stem is adapted from {COLOURS} to {asked} input channel(s)", path.display());
    Ok(())
}

/// Values `[width, 3, pixels]` as `[width, asked, pixels]`.
fn adapted(values: &[f32], pixels: usize, asked: usize) -> Vec<f32> {
    let scale = COLOURS as f32 / asked as f32;
    let of_output = |colours: &[f32]| -> Vec<f32> {
        let colour = |channel: usize| &colours[channel % COLOURS * pixels..][..pixels];
        if asked == 1 {
            return (0..pixels)
                .map(|pixel| (0..COLOURS).map(|channel| colour(channel)[pixel]).sum())
                .collect();
        }
        (0..asked).flat_map(|channel| colour(channel).iter().map(|value| value * scale)).collect()
    };
    values.chunks_exact(COLOURS * pixels).flat_map(of_output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// timm 1.0.31: adapt_input_conv(channels, torch.arange(12.).reshape(2, 3, 2, 1)).flatten().
    #[test]
    fn stems_are_adapted_as_in_timm() {
        let values: Vec<f32> = (0..12_u8).map(f32::from).collect();
        assert_eq!(adapted(&values, 2, 1), [6.0, 9.0, 24.0, 27.0]);
        assert_eq!(adapted(&values, 2, 2), [0.0, 1.5, 3.0, 4.5, 9.0, 10.5, 12.0, 13.5]);
        let six: Vec<f32> =
            [[0, 1, 2, 3, 4, 5]; 2].concat().into_iter().map(|v: u8| f32::from(v) * 0.5).collect();
        assert_eq!(adapted(&values, 2, 6)[..12], six);
    }
}
