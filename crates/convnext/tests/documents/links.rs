//! Links of all pages: they lead to files that are there, and to headings that those have.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{pages, root};

/// All pages that have links: [`pages`], results, facts, the changelog and those of the crates.
fn pages_with_links() -> Vec<PathBuf> {
    let in_folder = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name())).collect::<Vec<_>>()
    };
    let crates = in_folder("crates").into_iter().map(|folder| folder.join("README.md"));
    let others = [in_folder("docs"), in_folder("docs/results"), vec!["CHANGELOG.md".into()]].concat();
    let found = crates.chain(others).chain(pages());
    found
        .filter(|path| path.extension().is_some_and(|end| end == "md") && root().join(path).exists())
        .collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &Path) -> Vec<String> {
    let text = fs::read_to_string(page).unwrap();
    let is_kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_');
    let anchor = |heading: &str| {
        heading.trim().to_lowercase().chars().filter(is_kept).collect::<String>().replace(' ', "-")
    };
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_lead_to_files_and_headings() {
    let mut wrong = Vec::new();
    for page in pages_with_links() {
        let text = fs::read_to_string(root().join(&page)).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let path = match target {
                "" => root().join(&page),
                _ => root().join(&page).parent().unwrap().join(target),
            };
            let is_there = || anchor.is_empty() || anchors(&path).iter().any(|known| known == anchor);
            if !path.exists() || !is_there() {
                wrong.push(format!("{} links to {link}, which is not there", page.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
