//! Frame of every page, and the parts that pages share.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// A whole page. Everything that comes from users passes through `maud`, which escapes it.
pub(super) fn whole(title: &str, head: &Markup, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                header { h1 { (title) } (head) }
                main { (body) }
            }
        }
    };
    page.into_string()
}

/// Names and values, one below the other.
pub(super) fn facts(facts: &[(&str, String)]) -> Markup {
    html! { dl { @for (name, value) in facts { dt { (name) } dd { (value) } } } }
}

/// A plot under its title, if there is one.
pub(super) fn figure(title: &str, plot: Option<Markup>) -> Markup {
    html! {
        @if let Some(plot) = plot {
            figure.chart role="img" aria-label=(title) { figcaption { (title) } (plot) }
        }
    }
}

/// An image inside of the page.
pub(super) fn image(bytes: &[u8], description: &str) -> Markup {
    html! { img src=(format!("data:image/png;base64,{}", STANDARD.encode(bytes))) alt=(description); }
}

/// A share in percent.
pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// A share in percent, or a dash where there is none.
pub(super) fn percent_or_dash(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), percent)
}
