//! Files that `convnext segment` writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use burn::tensor::Device;
use convnext::core::Preprocessing;
use convnext::data::{FreeNames, Image, LabelMap};
use convnext::io::replace_file;
use convnext::segment::{InferenceOptions, UperNet, label_png, overlay};

/// Places of the files in the folder, each of another name.
pub(super) struct OutFiles {
    folder: PathBuf,
    names: FreeNames,
}

impl OutFiles {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), names: FreeNames::default() }
    }

    /// The label map of the next image, which has this file name.
    pub(super) fn next(&mut self, file_name: &str) -> PathBuf {
        let stem = match file_name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem,
            _ => file_name,
        };
        self.names.path(&self.folder, &format!("{stem}.png"))
    }
}

pub(super) fn write_labels(place: &Path, labels: &LabelMap, colours: &[[u8; 3]]) -> anyhow::Result<()> {
    write(place, &label_png(labels, colours))
}

/// Writes the overlay beside a label map.
pub(super) fn write_overlay(
    place: &Path,
    image: &Image,
    labels: &LabelMap,
    colours: &[[u8; 3]],
) -> anyhow::Result<()> {
    let stem = place.file_stem().unwrap_or_default().to_string_lossy();
    write(&place.with_file_name(format!("{stem}-overlay.png")), &overlay(image, labels, colours).png())
}

/// Writes the logits beside a label map.
pub(super) fn write_logits(
    place: &Path,
    network: (&UperNet, &Device),
    image: &Image,
    (preprocessing, options): (&Preprocessing, &InferenceOptions),
) -> anyhow::Result<()> {
    let place = place.with_extension("safetensors");
    Ok(convnext::segment::write_logits(&place, network, image, preprocessing, options)?)
}

fn write(place: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    // Never through a link into another file.
    replace_file(place, |mut file| file.write_all(bytes))
        .with_context(|| format!("cannot write {}; check the space on the disk", place.display()))
}
