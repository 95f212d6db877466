//! The page of an image and those that are most similar to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_data::Image;
use maud::{Markup, html};

use super::whole_page::whole;

/// The long side of an image on the page, in pixels.
const SIDE: usize = 224;

/// An image that was found.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Name of the image.
    pub name: String,
    /// The cosine of the angle between its vector and that of the image that was asked about.
    pub similarity: f32,
    /// The image, if it can still be read.
    pub image: Option<Image>,
}

/// The page about an image called `name`.
pub(super) fn render(name: &str, image: &Image, found: &[Neighbour]) -> String {
    let head = html! { p.claim { "The images that the network sees as most similar to " (name) } };
    let body = html! {
        (shown(Some(image)))
        h2 { "Most similar first" }
        div.grid.small {
            @for neighbour in found {
                figure {
                    (shown(neighbour.image.as_ref()))
                    figcaption { (format!("{:.4}", neighbour.similarity)) " " (neighbour.name) }
                }
            }
        }
    };
    whole("Nearest images", &head, &body)
}

fn shown(image: Option<&Image>) -> Markup {
    html! {
        @match image.map(|image| image.shrunk(SIDE)) {
            Some(small) => {
                img.asked src=(format!("data:image/png;base64,{}", STANDARD.encode(small.png())))
                    width=(small.width()) height=(small.height()) alt="";
            }
            None => { p.quiet { "no longer there" } }
        }
    }
}
