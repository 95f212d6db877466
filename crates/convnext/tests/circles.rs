//! A file imports only what lies below it, and has room for one idea.
//!
//! `mod` lines are no imports, and neither is a re-export one of the file that hands on: who imports what is
//! re-exported uses the file that defines it. Tests do not count.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

#[path = "circles/contents.rs"]
mod contents;
#[path = "circles/modules.rs"]
mod modules;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use modules::{Meaning, Modules};

/// Lines of a file at most.
const MAX_LINES: usize = 300;

/// Files with more lines, because they are tables: a list that would only be harder to read in two.
const TABLES: [(&str, &str); 2] = [
    ("convnext-data/src/error.rs", "every error of the crate with its sentence"),
    ("convnext-io/src/error.rs", "every error of the crate with its sentence"),
];

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Which file uses which, and by which of its items.
type Uses = BTreeMap<usize, BTreeMap<usize, BTreeSet<String>>>;

fn uses(modules: &Modules) -> Uses {
    let mut uses = Uses::new();
    for (place, module) in modules.modules.iter().enumerate() {
        let meanings = module.paths().iter().flat_map(|path| modules.meanings(place, path));
        for meaning in meanings {
            if let Meaning::Item(file, name) = meaning
                && file != module.file
            {
                uses.entry(module.file).or_default().entry(file).or_default().insert(name);
            }
        }
    }
    uses
}

/// All files that a file uses, through others too.
fn reachable(uses: &Uses, from: usize) -> BTreeSet<usize> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        next.extend(uses.get(&file).into_iter().flat_map(BTreeMap::keys).filter(|file| found.insert(**file)));
    }
    found
}

/// The sets of files of which each uses each, through others too.
fn circles(uses: &Uses) -> BTreeSet<BTreeSet<usize>> {
    let below: BTreeMap<usize, BTreeSet<usize>> =
        uses.keys().map(|&file| (file, reachable(uses, file))).collect();
    let circle = |(file, of_file): (&usize, &BTreeSet<usize>)| {
        of_file.iter().copied().filter(|other| below.get(other).is_some_and(|of| of.contains(file))).collect()
    };
    below.iter().filter(|(file, of_file)| of_file.contains(file)).map(circle).collect()
}

/// A circle as its imports, a line for each.
fn describe(modules: &Modules, uses: &Uses, circle: &BTreeSet<usize>) -> String {
    let folder = modules.files[0].ancestors().nth(3).unwrap();
    let name = |file: usize| modules.files[file].strip_prefix(folder).unwrap().display().to_string();
    let mut lines = format!("a circle of {} files\n", circle.len());
    for from in circle {
        for (to, items) in uses.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(to)) {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            lines += &format!("  {} -> {}: {}\n", name(*from), name(*to), items.join(", "));
        }
    }
    lines
}

/// All roots of crates: libraries and programs, each with the name of its folder.
fn roots() -> Vec<(String, PathBuf)> {
    let folders = entries(&crates()).into_iter().filter(|folder| folder.is_dir());
    folders
        .flat_map(|folder| {
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            ["src/lib.rs", "src/main.rs"].map(|root| (name.clone(), folder.join(root)))
        })
        .filter(|(_, root)| root.is_file())
        .collect()
}

#[test]
fn files_import_what_lies_below_them() {
    let mut failures = String::new();
    for (name, root) in roots() {
        let modules = Modules::read(&root);
        let uses = uses(&modules);
        for circle in circles(&uses) {
            failures += &format!("{name}: {}", describe(&modules, &uses, &circle));
        }
    }
    assert!(failures.is_empty(), "files that import each other:\n{failures}");
}

/// A crate whose files use each other in every way that is followed, and a test that does not count.
#[test]
fn re_exports_are_followed_to_the_file_that_defines() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("made-up/src/lib.rs");
    for (file, text) in [
        ("lib.rs", "mod a; mod b; mod c; mod d; mod e; pub use a::{A, a}; pub(crate) use b::*;"),
        ("a.rs", "use crate::B; pub struct A; pub fn a() { let _ = B; }"),
        ("b.rs", "mod inner; pub struct B; pub use inner::Inner;"),
        ("b/inner.rs", "pub struct Inner; fn f() { format!(\"{}\", crate::c::c(1)); }"),
        ("c.rs", "#[serde(from = \"crate::A\")] pub struct C; pub fn c(_: u8) { crate::Inner }"),
        ("d.rs", "use crate::e; pub fn d() { e::E::new() }"),
        ("e.rs", "pub struct E; #[cfg(test)] mod tests { use crate::d::d; }"),
    ] {
        let file = root.with_file_name("").join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let modules = Modules::read(&root);
    let uses = uses(&modules);
    let found: Vec<String> = circles(&uses).iter().map(|circle| describe(&modules, &uses, circle)).collect();
    let expected = "a circle of 2 files\n  \
        made-up/src/b/inner.rs -> made-up/src/c.rs: c\n  \
        made-up/src/c.rs -> made-up/src/b/inner.rs: Inner\n";
    assert_eq!(found, [expected]);
    let lines = describe(&modules, &uses, &(0..modules.files.len()).collect());
    for line in
        ["a.rs -> made-up/src/b.rs: B\n", "c.rs -> made-up/src/a.rs: A\n", "d.rs -> made-up/src/e.rs: E\n"]
    {
        assert!(lines.contains(line), "{line} is not in\n{lines}");
    }
}

/// All Rust files below a folder, apart from what a build left there.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let below = entries(folder).into_iter().filter(|path| !path.ends_with("target"));
    below
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn files_have_at_most_300_lines() {
    let mut found = String::new();
    for file in rust_files(&crates()) {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        let name = file.strip_prefix(crates()).unwrap().to_str().unwrap();
        let is_table = TABLES.iter().any(|(table, _)| *table == name);
        if lines > MAX_LINES && !is_table {
            found += &format!("  {lines} {name}\n");
        }
    }
    assert!(found.is_empty(), "files of more than {MAX_LINES} lines:\n{found}");
}
