//! Files that the output of a command must not replace: those that it reads, and those of runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use convnext::data::Dataset;
use convnext::io::{CHECKPOINTS_FOLDER, CONFIG_FILE, METRICS_FILE, files_of};

/// Refuses an output that is one of the files of the weights or an image, under whatever name, or an archive of images, or a
/// file that is there already in the folder of a run.
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
    } else if let Some(run) = run_of(&place) {
        bail!(
            "{} is there already, in the folder of the run {}, whose files are kept; give another name, or delete it first",
            out.display(),
            run.display()
        );
    } else {
        return Ok(());
    };
    bail!("{} would be written over {what} that are read; give another name", out.display())
}

/// The folder of the run that a file belongs to, itself or as a checkpoint.
fn run_of(file: &Path) -> Option<&Path> {
    let folder = file.parent()?;
    let run = if folder.ends_with(CHECKPOINTS_FOLDER) { folder.parent()? } else { folder };
    [CONFIG_FILE, METRICS_FILE].iter().all(|name| run.join(name).is_file()).then_some(run)
}
