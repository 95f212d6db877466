//! Page sections of a masked autoencoder: images that it reconstructs.

use maud::{Markup, html};

use super::error::ReportError;
use super::run_data::RunData;
use super::whole_page::image;

/// Images of reconstructions, if there are any yet.
pub(super) fn section(run: &RunData) -> Result<Markup, ReportError> {
    let images = run.numbered_images("reconstruction")?;
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
