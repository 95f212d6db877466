//! Files that `convnext detect` writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use convnext::data::{FreeNames, Image};
use convnext::detect::{CocoResult, Detection};
use convnext::io::replace_file;

use super::answer::{Answer, FoundObject};
use crate::cli::out_folder::stem;
use crate::cli::part_file::cannot_write;
use crate::cli::results_file::ResultsFile;

/// The results of all images, and overlays, each of another name.
pub(super) struct OutFiles {
    folder: PathBuf,
    names: FreeNames,
    results: ResultsFile,
    table: Option<(PathBuf, csv::Writer<Vec<u8>>)>,
}

impl OutFiles {
    /// Begins the files in a folder, and a table of all objects.
    pub(super) fn new(folder: &Path, table: Option<&Path>) -> anyhow::Result<Self> {
        let results = ResultsFile::new(&folder.join("results.json"))?;
        let table = table.map(|path| {
            let mut table = csv::Writer::from_writer(Vec::new());
            let head = ["image", "class", "score", "left", "top", "width", "height", "pixels"];
            table.write_record(head)?;
            // Now, and not after all images, it shows whether the table can be written.
            replace_file(path, |mut file| file.write_all(b"")).map_err(|error| cannot_write(path, error))?;
            anyhow::Ok((path.to_owned(), table))
        });
        Ok(Self {
            folder: folder.to_owned(),
            names: FreeNames::default(),
            results,
            table: table.transpose()?,
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
        if let Some((_, table)) = &mut self.table {
            for FoundObject { class, score, bounds, pixels } in &answer.objects {
                let numbers = [*score].into_iter().chain(*bounds).map(|number| number.to_string());
                let row = [answer.image.clone(), class.clone()].into_iter().chain(numbers);
                let pixels = pixels.map(|pixels| pixels.to_string()).unwrap_or_default();
                table.write_record(row.chain([pixels]))?;
            }
        }
        Ok(())
    }

    /// Ends the files.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.results.finish()?;
        if let Some((path, table)) = self.table {
            let bytes = table.into_inner()?;
            replace_file(&path, |mut file| file.write_all(&bytes))
                .map_err(|error| cannot_write(&path, error))?;
        }
        Ok(())
    }
}
