//! Lists of files on a page about data.

use convnext_core::counted;
use convnext_data::CorruptFile;
use maud::{Markup, html};

/// Names that are listed of each kind.
pub(super) const LISTED: usize = 200;

/// A list of files and what is wrong with them; `kind` is one and several of them, and `what` says why they are listed.
pub(super) fn files(kind: [&str; 2], what: &str, files: &[CorruptFile]) -> Markup {
    let described: Vec<String> = files.iter().map(|file| format!("{}: {}", file.name, file.why)).collect();
    names(kind, what, &described)
}

/// A list of names.
pub(super) fn names([one, several]: [&str; 2], what: &str, names: &[String]) -> Markup {
    html! {
        @if !names.is_empty() {
            h2 { (counted(names.len(), one, several)) " " (what) }
            ul {
                @for name in names.iter().take(LISTED) { li { (name) } }
                @if names.len() > LISTED { li { "and " (names.len() - LISTED) " more" } }
            }
        }
    }
}
