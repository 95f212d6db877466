//! The share of images that is held out for validation.

use std::path::Path;

use anyhow::bail;

/// Refuses a share to hold out of data that has a part to measure on: it would be ignored. The sources are those of the images
/// to measure on and of those to train on.
pub(in crate::cli) fn check_share_is_used(
    share: Option<f64>,
    held_out: bool,
    [validation, train]: [&str; 2],
    data: &Path,
) -> anyhow::Result<()> {
    match share {
        Some(share) if !held_out => bail!(
            "--val-fraction {share} holds images out of data without a part to measure on, but {} has one, {validation}; \
             leave --val-fraction out, or give the training images, {train}, alone",
            data.display(),
        ),
        _ => Ok(()),
    }
}
