//! Files that the output of a command must not replace: those that it reads, and those of runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use convnext::data::Dataset;
use convnext::io::{CHECKPOINTS_FOLDER, CONFIG_FILE, METRICS_FILE, files_of};

/// Files that a command reads.
pub(super) struct ReadFiles<'a> {
    /// Weights: a file or a folder.
    pub(super) weights: &'a Path,
    /// Images, or folders and archives of images, as they were named.
    pub(super) sources: &'a [PathBuf],
    /// The images that were found there.
    pub(super) images: &'a Dataset,
    /// Files of words about images, as they were named: names of classes, labels, annotations.
    pub(super) texts: Vec<&'a Path>,
}

impl ReadFiles<'_> {
    /// Refuses an output that is one of these files, under whatever name, or a file that is there already in the folder of
    /// a run.
    pub(super) fn check(&self, out: &Path) -> anyhow::Result<()> {
        // What is not there yet cannot be replaced.
        let Ok(place) = fs::canonicalize(out) else { return Ok(()) };
        let is_place = |path: &Path| fs::canonicalize(path).is_ok_and(|found| found == place);
        let Self { weights, sources, images, texts } = self;
        let what = if files_of(weights)?.iter().any(|file| is_place(file)) {
            "the weights"
        } else if texts.iter().any(|text| is_place(text)) {
            "names, labels or annotations"
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
}

/// Refuses an output that is there already as a file of the data, or as the archive of it: annotations are found under many
/// names.
pub(super) fn check_data(out: &Path, data: &Path) -> anyhow::Result<()> {
    let is_below = |out: &Path, data: &Path| out.is_file() && out.starts_with(data);
    // By its name as well, since folders of the data may be links.
    let by_name = is_below(&std::path::absolute(out)?, &std::path::absolute(data)?);
    let place = fs::canonicalize(out).ok().zip(fs::canonicalize(data).ok());
    if by_name || place.is_some_and(|(out, data)| is_below(&out, &data)) {
        bail!(
            "{} is there already, in the data {}, whose files are kept; give another name",
            out.display(),
            data.display()
        );
    }
    Ok(())
}

/// The folder of the run that a file belongs to, itself or as a checkpoint.
fn run_of(file: &Path) -> Option<&Path> {
    let folder = file.parent()?;
    let run = if folder.ends_with(CHECKPOINTS_FOLDER) { folder.parent()? } else { folder };
    [CONFIG_FILE, METRICS_FILE].iter().all(|name| run.join(name).is_file()).then_some(run)
}
