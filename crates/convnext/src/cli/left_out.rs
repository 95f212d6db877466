//! Images that a command leaves out.

use anyhow::anyhow;
use convnext::core::ConfigError;
use convnext::data::{DataError, Dataset, OnCorrupt};
use convnext::nn::ModelError;
use convnext::train::TrainError;

/// Warns of an image that is left out, because it cannot be read or is too small, or ends the command with its error, which says
/// what could not be done with it, such as `segmented`. An image that was named by itself is never left out.
pub(crate) fn leave_out(
    (images, sample): (&Dataset, usize),
    error: anyhow::Error,
    on_corrupt: OnCorrupt,
    done: &str,
) -> anyhow::Result<()> {
    let name = images.name(sample);
    let on_corrupt = if images.is_named(sample) { OnCorrupt::Fail } else { on_corrupt };
    let is_unreadable = error.is::<DataError>();
    let is_of_image = is_unreadable || error.downcast_ref().is_some_and(is_too_small);
    if is_of_image && on_corrupt == OnCorrupt::Skip {
        // The error of a file names it.
        match is_unreadable {
            true => log::warn!("{error}; it is left out"),
            false => log::warn!("{name} is left out: {error}"),
        }
        return Ok(());
    }
    Err(if is_unreadable { error } else { anyhow!("{name} cannot be {done}: {error}") })
}

fn is_too_small(error: &TrainError) -> bool {
    use ConfigError::ImageTooSmall;
    matches!(
        error,
        TrainError::Config(ImageTooSmall { .. })
            | TrainError::Model(ModelError::Config(ImageTooSmall { .. }))
    )
}
