//! Files that a command reads, which its output must not replace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use convnext::data::Dataset;
use convnext::io::files_of;

/// Refuses an output that is one of the files of the weights or an image, under whatever name, or an archive of images.
pub(super) fn check_output(
    out: &Path,
    weights: &Path,
    sources: &[PathBuf],
    images: &Dataset,
) -> anyhow::Result<()> {
    // What is not there yet cannot be replaced.
    let Ok(place) = fs::canonicalize(out) else { return Ok(()) };
    let is_place = |path: &Path| fs::canonicalize(path).is_ok_and(|found| found == place);
    let what = if files_of(weights)?.iter().any(|file| is_place(file)) {
        "the weights"
    } else if sources.iter().any(|source| is_place(source))
        || (0..images.len()).any(|image| images.path(image).is_some_and(|path| is_place(&path)))
    {
        "images"
    } else {
        return Ok(());
    };
    bail!("{} would be written over {what} that are read; give another name", out.display())
}
