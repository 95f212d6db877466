//! Folders that are the parts of a data set. The rules know relative paths only, so that folders and archives
//! follow the same ones.

use crate::datasets::listing::Listing;
use crate::datasets::parts::{HOW_TO_NAME, Named, Split};
use crate::datasets::relative::{last, quoted};
use crate::datasets::tree::Tree;
use crate::error::DataError;

/// The folders of the parts of a data set.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Folders {
    /// The folder of each of [`Split::ALL`].
    parts: [Option<String>; 3],
    /// The folder that holds the classes of a data set without parts.
    pub(crate) whole: Option<String>,
}

impl Folders {
    /// The folder of a part.
    pub(crate) fn part(&self, split: Split) -> Option<&str> {
        self.parts[split as usize].as_deref()
    }

    fn set(&mut self, split: Split, folder: String) {
        self.parts[split as usize] = Some(folder);
    }
}

/// Content of a folder, as far as it decides that the folder is a part or a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// No image at any depth.
    Empty,
    /// Images, and no folders with images.
    Flat,
    /// Folders with images.
    Nested,
}

/// A folder beside others.
struct Candidate<'a> {
    path: &'a str,
    named: Named,
    shape: Shape,
}

impl<'a> Candidate<'a> {
    fn of(tree: &Tree<'_>, path: &'a str) -> Self {
        let shape = match (tree.images_below(path), tree.full_folders(path).is_empty()) {
            (0, _) => Shape::Empty,
            (_, true) => Shape::Flat,
            (_, false) => Shape::Nested,
        };
        Self { path, named: Named::of(last(path)), shape }
    }

    fn split(&self) -> Option<Split> {
        self.named.split()
    }

    fn is_train_with_classes(&self) -> bool {
        self.split() == Some(Split::Train) && self.shape == Shape::Nested
    }
}

/// Finds the parts of a data set.
///
/// A folder that holds nothing but one folder is entered ([`root`]). What lies there are parts if their names say so
/// ([`Named`]) and they hold folders: a folder with images directly in it is a class like those beside it, even if
/// it is called `train`.
///
/// # Errors
/// [`DataError::Layout`] when the folders could be parts as well as classes.
pub(crate) fn find_folders(listing: &Listing, tree: &Tree<'_>) -> Result<Folders, DataError> {
    let root = root(tree);
    let candidates: Vec<Candidate> =
        tree.folders(root).iter().map(|path| Candidate::of(tree, path)).collect();
    let (named, others): (Vec<_>, Vec<_>) =
        candidates.into_iter().partition(|candidate| candidate.split().is_some());
    let others: Vec<_> = others.into_iter().filter(|other| other.shape != Shape::Empty).collect();
    if are_classes(&named, &others) {
        return Ok(Folders { whole: Some(root.to_owned()), ..Folders::default() });
    }
    // What lies beside two parts is neither.
    let two_parts = named.iter().any(Candidate::is_train_with_classes)
        && named.iter().any(|part| part.split() != Some(Split::Train));
    if !others.is_empty() && !two_parts {
        return Err(ambiguous(listing, root, &named, &others));
    }
    let mut folders = Folders::default();
    for split in Split::ALL {
        if let Some(part) = choose(listing, root, &named, split)? {
            folders.set(split, enter(tree, part, split).to_owned());
        }
    }
    say_what_is_left_out(listing, tree, root, &others);
    Ok(folders)
}

/// The folder that holds parts or classes: where there is nothing but one folder, which is no part itself, holds
/// folders of its own and no images directly, that one is entered, as often as this is so. Other files, such as a
/// README, do not count, nor folders without images beside one with parts.
fn root<'a>(tree: &Tree<'a>) -> &'a str {
    let mut root = "";
    loop {
        let full = tree.full_folders(root);
        let [only] = full[..] else { return root };
        let alone = tree.folders(root).len() == 1;
        let own = match Named::of(last(only)) {
            Named::Wholly(split) => Some(split),
            _ => None,
        };
        let wraps = alone && own.is_none() && tree.images_in(only) == 0;
        if tree.images_in(root) > 0 || !(wraps || leads_to_parts(tree, only, own)) {
            return root;
        }
        root = only;
    }
}

/// `true` if a folder, or the only one with images below it, holds other parts than the one that it is
/// itself.
fn leads_to_parts(tree: &Tree<'_>, folder: &str, own: Option<Split>) -> bool {
    let is_part = |path: &&str| Named::of(last(path)).split().is_some_and(|split| Some(split) != own);
    let full = tree.full_folders(folder);
    full.iter().any(is_part)
        || (own.is_none()
            && tree.images_in(folder) == 0
            && matches!(full[..], [only] if leads_to_parts(tree, only, None)))
}

/// `true` if folders beside each other are classes, whatever they are called.
fn are_classes(named: &[Candidate], others: &[Candidate]) -> bool {
    if named.is_empty() {
        return true;
    }
    let one_split = named.iter().all(|part| part.split() == named[0].split());
    let all_flat = named.iter().all(|part| part.shape == Shape::Flat);
    let beside_flat_classes = !others.is_empty() && others.iter().all(|other| other.shape == Shape::Flat);
    // `blood_test` and `urine_test` are no two test parts.
    let speak_of_one = named.len() > 1 && named.iter().all(|part| matches!(part.named, Named::Partly(_)));
    one_split && all_flat && (beside_flat_classes || (others.is_empty() && speak_of_one))
}

/// The folder for a part: the only one whose name says so, or the only one that has its plain name.
fn choose<'a>(
    listing: &Listing,
    root: &str,
    named: &[Candidate<'a>],
    split: Split,
) -> Result<Option<&'a str>, DataError> {
    let own: Vec<_> = named.iter().filter(|part| part.split() == Some(split)).collect();
    let full: Vec<_> = own.iter().copied().filter(|part| part.shape != Shape::Empty).collect();
    let own = if full.is_empty() { own } else { full };
    let plain: Vec<_> = own.iter().copied().filter(|part| part.named == Named::Wholly(split)).collect();
    let chosen = if plain.is_empty() { &own } else { &plain };
    match chosen[..] {
        [] => Ok(None),
        [chosen] => {
            let rest: Vec<&str> =
                own.iter().filter(|part| part.path != chosen.path).map(|part| part.path).collect();
            if !rest.is_empty() {
                log::warn!(
                    "{}: the {split} part is {}; left out: {}",
                    listing.name(root),
                    last(chosen.path),
                    quoted(rest)
                );
            }
            Ok(Some(chosen.path))
        }
        _ => Err(DataError::Layout {
            path: listing.name(root),
            found: format!("{} could each be the {split} part", quoted(chosen.iter().map(|part| part.path))),
            advice: format!("keep one of them there; {HOW_TO_NAME}"),
        }),
    }
}

/// The folder with the classes of a part, which many archives hold twice: `seg_train/seg_train/CLASS`.
fn enter<'a>(tree: &Tree<'a>, mut part: &'a str, split: Split) -> &'a str {
    while let [only] = tree.folders(part)[..]
        && tree.images_in(part) == 0
        && Named::of(last(only)).split() == Some(split)
    {
        part = only;
    }
    part
}

fn say_what_is_left_out(listing: &Listing, tree: &Tree<'_>, root: &str, others: &[Candidate]) {
    let mut left_out: Vec<String> = (others.iter())
        .map(|other| format!("{} ({} images)", last(other.path), tree.images_below(other.path)))
        .collect();
    if tree.images_in(root) > 0 {
        left_out.push(format!("{} images beside the folders", tree.images_in(root)));
    }
    if !left_out.is_empty() {
        log::warn!("{}: left out beside the parts: {}", listing.name(root), left_out.join(", "));
    }
}

fn ambiguous(listing: &Listing, root: &str, named: &[Candidate], others: &[Candidate]) -> DataError {
    let parts = quoted(named.iter().map(|part| part.path));
    let others = quoted(others.iter().map(|other| other.path));
    DataError::Layout {
        path: listing.name(root),
        found: format!("{parts} may be a part of the data or a class beside {others}"),
        advice: format!(
            "if it is a part, {HOW_TO_NAME}, and move the other folders elsewhere or give the path of the part; if it is a \
             class, rename it or put all classes into a folder 'train'"
        ),
    }
}

#[cfg(test)]
mod tests;
