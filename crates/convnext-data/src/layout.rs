//! Which folders are the parts of a data set. The rules know relative paths only, so that folders and archives
//! follow the same ones.

use crate::{
    DataError,
    listing::Listing,
    parts::{HOW_TO_NAME, Named, Split},
    tree::Tree,
};

/// The folders of the parts of a data set.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Folders {
    /// That of each of [`Split::ALL`].
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

/// What a folder holds, as far as it decides whether the folder is a part or a class.
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
    let has_train = named.iter().any(Candidate::is_train_with_classes);
    let has_other = named.iter().any(|part| part.split() != Some(Split::Train));
    if !others.is_empty() && !(has_train && has_other) {
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

/// Whether a folder, or the only one with images below it, holds other parts than the one that it is itself.
fn leads_to_parts(tree: &Tree<'_>, folder: &str, own: Option<Split>) -> bool {
    let is_part = |path: &&str| Named::of(last(path)).split().is_some_and(|split| Some(split) != own);
    let full = tree.full_folders(folder);
    full.iter().any(is_part)
        || (own.is_none()
            && tree.images_in(folder) == 0
            && matches!(full[..], [only] if leads_to_parts(tree, only, None)))
}

/// Whether folders beside each other are classes, whatever they are called.
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
            "if it is a part, {HOW_TO_NAME}, and move the other folders elsewhere; if it is a class, rename it or put all \
             classes into a folder 'train'"
        ),
    }
}

/// Refuses classes that look like parts.
///
/// # Errors
/// [`DataError::Layout`] when most of several folders hold the same folders, or the folders of parts.
pub(crate) fn check_no_parts(listing: &Listing, tree: &Tree<'_>, folder: &str) -> Result<(), DataError> {
    let tops: Vec<(&str, Vec<&str>)> = (tree.full_folders(folder).into_iter())
        .map(|top| (top, tree.full_folders(top).into_iter().map(last).collect()))
        .collect();
    let wrong =
        |found: String, advice: String| Err(DataError::Layout { path: listing.name(folder), found, advice });
    if let Some((names, inner)) = divided_classes(&tops) {
        return wrong(
            format!("its folders {names} hold the parts {inner}, so that parts lie below classes"),
            format!("put parts above classes, as train/CLASS and val/CLASS; {HOW_TO_NAME}"),
        );
    }
    if let Some((names, inner)) = alike(&tops) {
        return wrong(
            format!("its folders {names} hold the same folders ({inner}), which look like the classes"),
            format!(
                "if they are parts, {HOW_TO_NAME}; if {names} are the classes, move their images out of the folders below \
                 them, or name the labels in a CSV file (--labels)"
            ),
        );
    }
    Ok(())
}

/// Folders most of which hold nothing but parts, and these.
fn divided_classes(tops: &[(&str, Vec<&str>)]) -> Option<(String, String)> {
    let split = |name: &&str| Named::of(name).split();
    let divided: Vec<_> = (tops.iter())
        .filter(|(_, inner)| !inner.is_empty() && inner.iter().all(|name| split(name).is_some()))
        .collect();
    let first = divided.iter().flat_map(|(_, inner)| inner.iter()).find_map(split)?;
    let several = divided.iter().flat_map(|(_, inner)| inner).any(|name| split(name) != Some(first));
    (several && 2 * divided.len() > tops.len())
        .then(|| (quoted(divided.iter().map(|(top, _)| *top)), quoted(divided[0].1.iter().copied())))
}

/// Folders most of which hold the same folders, at least two, and these.
fn alike(tops: &[(&str, Vec<&str>)]) -> Option<(String, String)> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for (_, inner) in tops {
        let names: std::collections::BTreeSet<String> = inner.iter().map(|name| folded(name)).collect();
        names.into_iter().for_each(|name| *counts.entry(name).or_default() += 1);
    }
    counts.retain(|_, count| *count > 1 && 2 * *count > tops.len());
    let holds_them = |inner: &[&str]| {
        let shared = inner.iter().filter(|name| counts.contains_key(&folded(name))).count();
        shared > 1 && 2 * shared > inner.len()
    };
    let alike: Vec<&str> = tops.iter().filter(|(_, inner)| holds_them(inner)).map(|(top, _)| *top).collect();
    (alike.len() > 1 && 2 * alike.len() > tops.len())
        .then(|| (quoted(alike), quoted(counts.keys().map(String::as_str))))
}

fn folded(name: &str) -> String {
    crate::canonical_name(name).to_lowercase()
}

/// The last parts of some paths, the first few of many.
fn quoted<'a>(paths: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = paths.into_iter().map(|path| format!("'{}'", last(path))).collect();
    match names.len() {
        count if count > SHOWN => format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN),
        _ => names.join(", "),
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::{
        endings::OtherFiles,
        listing::{add_folders, parent},
        storage::Storage,
    };

    /// Paths that end in `/` are folders, others images.
    fn listing(paths: &[&str]) -> Listing {
        let mut folders = BTreeSet::new();
        for path in paths {
            add_folders(&mut folders, parent(path));
        }
        let mut images: Vec<&str> = paths.iter().copied().filter(|path| !path.ends_with('/')).collect();
        images.sort_unstable();
        Listing {
            root: "data".into(),
            is_archive: false,
            images: images.into_iter().collect(),
            folders,
            archives: BTreeMap::new(),
            others: OtherFiles::default(),
            metadata: None,
            storage: Storage::Folder("data".into()),
        }
    }

    /// The parts `train|validation|test`, or the folder that holds the classes, or the refusal.
    fn found(paths: &[&str]) -> String {
        let listing = listing(paths);
        match find_folders(&listing, &Tree::of(&listing)) {
            Ok(Folders { whole: Some(folder), .. }) => format!("classes in '{folder}'"),
            Ok(folders) => Split::ALL.map(|split| folders.part(split).unwrap_or("-").to_owned()).join("|"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn parts_are_found_by_the_words_of_their_names() {
        for (paths, expected) in [
            (&["train/a/1.png", "val/a/1.png", "test/a/1.png"][..], "train|val|test"),
            (&["Train/a/1.png", "Test/a/1.png"], "Train|-|Test"),
            (&["TRAINING/a/1.png", "Testing/a/1.png"], "TRAINING|-|Testing"),
            (&["training_set/a/1.png", "dev-set/a/1.png"], "training_set|dev-set|-"),
            (&["data-train/a/1.png", "data-eval/a/1.png"], "data-train|-|data-eval"),
            (&["train2017/a/1.png", "val2017/a/1.png"], "train2017|val2017|-"),
            (
                &["seg_train/seg_train/a/1.png", "seg_test/seg_test/a/1.png"],
                "seg_train/seg_train|-|seg_test/seg_test",
            ),
            (&["train/a/1.png"], "train|-|-"),
            (&["valid/a/1.png"], "-|valid|-"),
            (&["val/1.png"], "-|val|-"),
            // Empty folders with plain names are mistakes that are told later.
            (&["train/a/1.png", "val/"], "train|val|-"),
            // The plain name goes before others, and full folders before empty ones.
            (&["Training/a/1.png", "Test/a/1.png", "test-multiple_fruits/1.png"], "Training|-|Test"),
            (&["train/a/1.png", "val/", "validation/a/1.png"], "train|validation|-"),
            // What lies beside parts is left out.
            (&["train/a/1.png", "test/a/1.png", "pred/1.png", "loose.png"], "train|-|test"),
        ] {
            assert_eq!(found(paths), expected, "{paths:?}");
        }
    }

    #[test]
    fn single_folders_are_entered() {
        for (paths, expected) in [
            (&["top/train/a/1.png", "top/val/a/1.png"][..], "top/train|top/val|-"),
            (&["x/y/train/a/1.png", "x/y/extra/"], "x/y/train|-|-"),
            (
                &["ILSVRC/Data/CLS/train/a/1.png", "ILSVRC/Data/CLS/val/1.png", "ILSVRC/Annotations/"],
                "ILSVRC/Data/CLS/train|ILSVRC/Data/CLS/val|-",
            ),
            (&["images/train/a/1.png", "images/val/a/1.png", "labels/train/"], "images/train|images/val|-"),
            (&["Test/train/a/1.png", "Test/val/a/1.png"], "Test/train|Test/val|-"),
            (&["my-test-data/a/1.png", "my-test-data/b/1.png"], "classes in 'my-test-data'"),
            (&["top/a/1.png", "top/b/1.png"], "classes in 'top'"),
            (&["top/a/x/1.png", "top/b/1.png"], "classes in 'top'"),
            // A single folder with images is a class, whatever it holds beside them.
            (&["a/1.png"], "classes in ''"),
            (&["a/1.png", "a/more/2.png"], "classes in ''"),
            (&["1.png", "top/a/1.png", "top/b/1.png"], "classes in ''"),
        ] {
            assert_eq!(found(paths), expected, "{paths:?}");
        }
    }

    #[test]
    fn folders_with_images_directly_in_them_are_classes() {
        for paths in [
            &["a/1.png", "b/1.png"][..],
            &["train/1.png", "car/1.png", "bus/1.png"],
            &["test/1.png", "beaker/1.png"],
            &["blood_test/1.png", "urine_test/1.png"],
            &["train_val/1.png", "b/1.png"],
        ] {
            assert_eq!(found(paths), "classes in ''", "{paths:?}");
        }
    }

    #[test]
    fn what_could_be_either_is_refused() {
        for (paths, words) in [
            (
                &["train/a/1.png", "car/1.png"][..],
                "'train' may be a part of the data or a class beside 'car'",
            ),
            (&["train/1.png", "car/x/1.png"], "may be a part"),
            (&["train/1.png", "test/1.png", "car/1.png"], "'test', 'train' may be a part"),
            (&["trainval/a/1.png", "test/a/1.png"], "'test' may be a part"),
            (
                &["train/a/1.png", "val/a/1.png", "valid/a/1.png"],
                "'val', 'valid' could each be the validation part",
            ),
            (&["train/a/1.png", "Train/a/1.png"], "could each be the train part"),
            (&["a_train/a/1.png", "b_train/a/1.png"], "could each be the train part"),
        ] {
            let found = found(paths);
            assert!(
                found.contains(words) && found.contains("name the folder of the training part"),
                "{paths:?}: {found}"
            );
        }
    }

    #[test]
    fn classes_that_look_like_parts_are_refused() {
        let message = |paths: &[&str]| {
            let listing = listing(paths);
            check_no_parts(&listing, &Tree::of(&listing), "").map_err(|error| error.to_string())
        };
        for (paths, words) in [
            (
                &["p/cat/1.png", "p/dog/1.png", "q/Cat/1.png", "q/dog/1.png"][..],
                "'p', 'q' hold the same folders ('cat', 'dog')",
            ),
            (&["p/a/1.png", "p/b/1.png", "p/c/1.png", "q/a/1.png", "q/b/1.png"], "hold the same folders"),
            (
                &["cat/train/1.png", "cat/test/1.png", "dog/train/1.png"],
                "'cat', 'dog' hold the parts 'test', 'train'",
            ),
            (
                &["cat/Train/1.png", "cat/Val/1.png", "dog/Train/1.png", "dog/Val/1.png"],
                "parts lie below classes",
            ),
        ] {
            let found = message(paths).unwrap_err();
            assert!(found.contains(words) && found.contains("'train'"), "{paths:?}: {found}");
        }
        for paths in [
            &["cat/images/1.png", "dog/images/1.png"][..],
            &["cat/a/1.png", "cat/b/1.png", "dog/c/1.png"],
            &["cat/1.png", "dog/1.png"],
            &["cat/a/1.png", "cat/b/1.png", "dog/a/1.png", "dog/b/1.png", "x/1.png", "y/1.png"],
        ] {
            message(paths).unwrap();
        }
    }
}
