//! Images with what was predicted for them, in grids or one below the other.

use maud::{Markup, html};

use super::error::ReportError;
use super::whole_page::image;

/// Finds the image of a prediction by its name and by its path in the run folder, if it was written there.
pub(super) type Thumbnails<'a> = dyn Fn(&str, Option<&str>) -> Result<Option<Vec<u8>>, ReportError> + 'a;

/// An image to show.
pub(super) struct Shown<'a> {
    pub(super) image: &'a str,
    pub(super) thumbnail: Option<&'a str>,
    pub(super) caption: Markup,
    /// `true` if the prediction is right; `None` where all shown are wrong.
    pub(super) is_right: Option<bool>,
}

/// Images below a heading, or nothing where there are none.
pub(super) fn grid(
    heading: &str,
    remark: &str,
    shown: &[Shown],
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    let mut figures = Vec::new();
    for Shown { image: name, thumbnail, caption, is_right } in shown {
        let bytes = thumbnails(name, *thumbnail)?;
        let class = is_right.map(|is_right| if is_right { "right" } else { "wrong" });
        figures.push(html! {
            figure class=[class] {
                @if let Some(bytes) = bytes { (image(&bytes, name)) }
                figcaption { (caption) br; span.quiet { (name) } }
            }
        });
    }
    Ok(html! {
        @if !figures.is_empty() {
            h2 { (heading) }
            p.quiet { (remark) }
            div.grid.small { @for figure in figures { (figure) } }
        }
    })
}

/// Images that show several parts side by side, in the whole width, or nothing where none was kept. The words are a heading, a
/// remark, and what the parts are.
pub(super) fn comparisons(
    [heading, remark, parts]: [&str; 3],
    shown: &[Shown],
    thumbnails: &Thumbnails,
) -> Result<Markup, ReportError> {
    let mut figures = Vec::new();
    for Shown { image: name, thumbnail, caption, .. } in shown {
        if let Some(bytes) = thumbnails(name, *thumbnail)? {
            figures.push(html! {
                figure {
                    (image(&bytes, &format!("{name}: {parts}")))
                    figcaption { (caption) "; " span.quiet { (name) } }
                }
            });
        }
    }
    Ok(html! {
        @if !figures.is_empty() {
            h2 { (heading) }
            p.quiet { (remark) }
            div.wide { @for figure in figures { (figure) } }
        }
    })
}
