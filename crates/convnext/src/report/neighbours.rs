//! The page of a picture and those that are most alike to it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_data::Image;
use maud::{Markup, html};

use super::page::whole;

/// The long side of a picture on the page, in pixels.
const SIDE: usize = 224;

/// A picture that was found.
#[derive(Debug, Clone)]
pub struct Neighbour {
    /// Name of the image.
    pub name: String,
    /// The cosine of the angle between its vector and that of the picture that was asked about.
    pub similarity: f32,
    /// The picture, if it can still be read.
    pub picture: Option<Image>,
}

/// The page about a picture called `name`.
pub(super) fn render(name: &str, picture: &Image, found: &[Neighbour]) -> String {
    let head = html! { p.claim { "The pictures that the network sees as most alike to " (name) } };
    let body = html! {
        (shown(Some(picture)))
        h2 { "Most alike first" }
        div.grid.small {
            @for neighbour in found {
                figure {
                    (shown(neighbour.picture.as_ref()))
                    figcaption { (format!("{:.4}", neighbour.similarity)) " " (neighbour.name) }
                }
            }
        }
    };
    whole("Nearest pictures", &head, &body)
}

fn shown(picture: Option<&Image>) -> Markup {
    html! {
        @match picture.map(|picture| picture.shrunk(SIDE)) {
            Some(small) => {
                img src=(format!("data:image/png;base64,{}", STANDARD.encode(small.png())))
                    width=(small.width()) height=(small.height()) alt="";
            }
            None => { p.quiet { "no longer there" } }
        }
    }
}
