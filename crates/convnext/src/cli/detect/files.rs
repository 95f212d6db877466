//! Files that `convnext detect` writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::bail;
use convnext::data::{FreeNames, Image};
use convnext::detect::{CocoResult, Detection};
use convnext::io::replace_file;

use super::answer::{Answer, FoundObject};
use crate::cli::out_folder::{absolute, stem};
use crate::cli::part_file::cannot_write;
use crate::cli::results_file::ResultsFile;
use crate::cli::table_file::TableFile;

/// Name of the file of COCO's results.
const RESULTS: &str = "results.json";

/// The results of all images, and overlays, each of another name.
pub(super) struct OutFiles {
    folder: PathBuf,
    names: FreeNames,
    results: ResultsFile,
    table: Option<TableFile>,
}

impl OutFiles {
    /// Begins the files in a folder, and a table of all objects.
    ///
    /// # Errors
    /// When the table would take the place of another of the files, or one of them cannot be written.
    pub(super) fn new(folder: &Path, table: Option<&Path>, with_overlays: bool) -> anyhow::Result<Self> {
        table.map_or(Ok(()), |table| check_table(table, folder, with_overlays))?;
        let head = ["image", "class", "score", "left", "top", "width", "height", "pixels"];
        Ok(Self {
            folder: folder.to_owned(),
            names: FreeNames::default(),
            results: ResultsFile::new(&folder.join(RESULTS))?,
            table: table.map(|path| TableFile::new(path, &head)).transpose()?,
        })
    }

    /// Writes the image with its objects, beside which this file name stands.
    pub(super) fn write_overlay(&mut self, file_name: &str, overlay: &Image) -> anyhow::Result<()> {
        let place = self.names.path(&self.folder, &format!("{}.png", stem(file_name)));
        // Never through a link into another file.
        replace_file(&place, |mut file| file.write_all(&overlay.png()))
            .map_err(|error| cannot_write(&place, error))
    }

    /// Adds the objects of an image.
    pub(super) fn write(&mut self, index: usize, answer: &Answer, found: &[Detection]) -> anyhow::Result<()> {
        for found in found {
            let result = CocoResult::new(found, index as i64 + 1, found.class as i64 + 1);
            self.results.write(&result)?;
        }
        if let Some(table) = &mut self.table {
            for FoundObject { class, score, bounds, pixels } in &answer.objects {
                let numbers = [*score].into_iter().chain(*bounds).map(|number| number.to_string());
                let row = [answer.image.clone(), class.clone()].into_iter().chain(numbers);
                let pixels = pixels.map(|pixels| pixels.to_string()).unwrap_or_default();
                table.write(row.chain([pixels]))?;
            }
        }
        Ok(())
    }

    /// Ends the files.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.results.finish()?;
        self.table.map_or(Ok(()), TableFile::finish)
    }
}

/// Refuses a table in the place of the results, or of what may be an overlay.
fn check_table(table: &Path, folder: &Path, with_overlays: bool) -> anyhow::Result<()> {
    let (place, folder) = (absolute(table)?, absolute(folder)?);
    let is_png = place.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    let is_overlay = with_overlays && is_png && place.parent() == Some(&*folder);
    if is_overlay || place == absolute(&folder.join(RESULTS))? {
        bail!(
            "--csv {} is the place of another file that is written; give the table another name",
            table.display()
        );
    }
    Ok(())
}
