//! Files that `convnext segment` writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use convnext::Segmenter;
use convnext::data::{FreeNames, Image, LabelMap};
use convnext::io::replace_file;
use convnext::segment::{label_png, write_logits};

use crate::cli::out_folder::stem;
use crate::cli::part_file::cannot_write;

/// Places of the files in the folder, each of another name.
pub(super) struct OutFiles {
    folder: PathBuf,
    names: FreeNames,
}

impl OutFiles {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), names: FreeNames::default() }
    }

    /// The files of the next image, which has this file name; with an overlay, one of them is that.
    pub(super) fn next(&mut self, file_name: &str, with_overlay: bool) -> Place {
        let labels = self.names.path(&self.folder, &format!("{}.png", stem(file_name)));
        // The label map may have got another name than the image, because it was taken.
        let name = labels.file_stem().unwrap_or_default().to_string_lossy();
        let overlay = format!("{name}-overlay.png");
        let overlay = with_overlay.then(|| self.names.path(&self.folder, &overlay));
        Place { overlay: overlay.unwrap_or_default(), labels }
    }
}

/// The files of an image.
pub(super) struct Place {
    labels: PathBuf,
    overlay: PathBuf,
}

impl Place {
    pub(super) fn write_labels(&self, labels: &LabelMap, colours: &[[u8; 3]]) -> anyhow::Result<()> {
        write(&self.labels, &label_png(labels, colours))
    }

    pub(super) fn write_overlay(&self, overlay: &Image) -> anyhow::Result<()> {
        write(&self.overlay, &overlay.png())
    }

    /// Writes the logits beside the label map.
    pub(super) fn write_logits(&self, segmenter: &Segmenter, image: &Image) -> anyhow::Result<()> {
        let place = self.labels.with_extension("safetensors");
        let network = (segmenter.model(), segmenter.device());
        Ok(write_logits(&place, network, image, segmenter.preprocessing(), segmenter.options())?)
    }
}

fn write(place: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // Never through a link into another file.
    replace_file(place, |mut file| file.write_all(bytes)).map_err(|error| cannot_write(place, error))
}
