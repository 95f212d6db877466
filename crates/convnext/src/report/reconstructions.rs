//! Page sections of a masked autoencoder: images that it reconstructs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use maud::{Markup, html};

use super::ReportError;
use super::page::image;
use super::run_data::RunData;

/// Images of reconstructions, if there are any yet.
pub(super) fn section(run: &RunData) -> Result<Markup, ReportError> {
    let mut images = Vec::new();
    // Runs of before 0.1 called their folder `pictures`.
    let folders = ["images", "pictures"].map(|name| run.folder.join(name));
    for path in [found(&folders[0])?, found(&folders[1])?].concat() {
        images.push(fs::read(&path).map_err(|source| ReportError::Read { path, source })?);
    }
    if images.is_empty() {
        return Ok(html! {});
    }
    Ok(html! {
        h2 { "Reconstructions" }
        p.quiet { "Each image as it is, as the encoder saw it, and as the autoencoder restores it." }
        div.grid {
            @for bytes in images {
                figure {
                    (image(&bytes, "original, masked and reconstructed image"))
                    figcaption.three { span { "original" } span { "masked" } span { "reconstructed" } }
                }
            }
        }
    })
}

/// The images of reconstructions, in their order.
fn found(folder: &Path) -> Result<Vec<PathBuf>, ReportError> {
    let fail = |source| ReportError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fail(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(fail)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("reconstruction-") && name.ends_with(".png") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
