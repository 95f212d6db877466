//! The walls of the house: which crate may use which, and what lives in one crate only.
//!
//! The crates' READMEs say the same in words. A new crate fails here until it has its row.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

mod arrows {
    pub(super) mod rows;
}

use arrows::rows::{RESERVED, ROWS, Row, row};

/// The one crate with `unsafe` code.
const UNSAFE_CRATE: &str = "convnext-kernels";

/// The folders that print, under `crates/`. The last two hold programs that `mpirun` starts.
const PRINTING_FOLDERS: [&str; 4] =
    ["convnext/src", "convnext/examples", "convnext-distributed/examples", "convnext-distributed/tests"];

// Spelled in two parts, so that this file does not contain what it looks for.
const UNSAFE_LINT: &str = concat!("unsafe", "_code");
const PRINTING: [&str; 3] = [concat!("print", "!("), concat!("println", "!("), concat!("db", "g!(")];

/// One crate of the workspace.
struct Crate {
    name: String,
    folder: PathBuf,
    manifest: Table,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn read_toml(path: &Path) -> Table {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn crates() -> Vec<Crate> {
    let folders = entries(&root().join("crates")).into_iter().filter(|folder| folder.is_dir());
    let crates: Vec<Crate> = folders
        .map(|folder| {
            let manifest = read_toml(&folder.join("Cargo.toml"));
            let name = manifest["package"]["name"].as_str().unwrap().to_owned();
            Crate { name, folder, manifest }
        })
        .collect();
    assert!(!crates.is_empty(), "no crate was found");
    crates
}

/// The packages that a manifest names in tables called `kind`, those of single platforms included.
/// A dependency under another name counts as the package that it stands for.
fn packages(manifest: &Table, kind: &str, workspace: &Table) -> BTreeSet<String> {
    let platforms = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = platforms.filter_map(Value::as_table).chain([manifest]).filter_map(|table| table.get(kind));
    let renamed = |value: &Value| Some(value.get("package")?.as_str()?.to_owned());
    tables
        .flat_map(|table| table.as_table().unwrap())
        .map(|(name, value)| {
            let inherited = workspace["workspace"]["dependencies"].get(name);
            renamed(value).or_else(|| renamed(inherited?)).unwrap_or_else(|| name.clone())
        })
        .collect()
}

/// All packages that a crate names, whatever for.
fn all_packages(manifest: &Table, workspace: &Table) -> BTreeSet<String> {
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    kinds.into_iter().flat_map(|kind| packages(manifest, kind, workspace)).collect()
}

/// What a crate uses although its row does not allow it.
fn forbidden_uses(row: &Row, manifest: &Table, workspace: &Table, members: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
        for package in packages(manifest, kind, workspace) {
            let tests_only = kind == "dev-dependencies" && row.tests_also_use.contains(&package.as_str());
            let allowed = row.uses.contains(&package.as_str()) || tests_only;
            if members.contains(&package) && !allowed {
                found.push(format!("{} must not use {package} ([{kind}])", row.name));
            }
        }
    }
    found
}

fn check_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_crate_has_one_row() {
    let members: Vec<String> = crates().into_iter().map(|member| member.name).collect();
    let rows: Vec<String> = ROWS.iter().map(|row| row.name.to_owned()).collect();
    let differ = |left: &[String], right: &[String]| -> Vec<String> {
        left.iter().filter(|name| right.iter().filter(|other| other == name).count() != 1).cloned().collect()
    };
    check_none("crates without a row, or with several", &differ(&members, &rows));
    check_none("rows without a crate", &differ(&rows, &members));
}

#[test]
fn crates_use_only_those_of_their_row() {
    let workspace = read_toml(&root().join("Cargo.toml"));
    let crates = crates();
    let members: BTreeSet<String> = crates.iter().map(|member| member.name.clone()).collect();
    let mut found = Vec::new();
    for member in &crates {
        let row = ROWS.iter().find(|row| row.name == member.name);
        let row = row.unwrap_or_else(|| panic!("{} has no row in this file", member.name));
        found.extend(forbidden_uses(row, &member.manifest, &workspace, &members));
    }
    check_none("arrows that the table does not have", &found);
}

#[test]
fn some_packages_stay_in_their_crates() {
    let workspace = read_toml(&root().join("Cargo.toml"));
    let mut found = Vec::new();
    for member in crates() {
        for package in all_packages(&member.manifest, &workspace) {
            for (reserved, users) in RESERVED {
                let rest = package.strip_prefix(reserved);
                let matches = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']));
                if matches && !users.contains(&member.name.as_str()) {
                    found.push(format!("{} must not use {package}", member.name));
                }
            }
        }
    }
    check_none("packages in the wrong crate", &found);
}

#[test]
fn the_table_catches_every_kind_of_dependency() {
    let workspace: Table =
        "[workspace.dependencies]\nother = { package = 'b', version = '1' }".parse().unwrap();
    let members = BTreeSet::from(["b".to_owned()]);
    for (manifest, allowed) in [
        ("[dependencies]\nb.workspace = true", false),
        ("[build-dependencies]\nb = '1'", false),
        ("[dev-dependencies]\nb = { path = '../b' }", false),
        ("[target.'cfg(unix)'.dependencies]\nb = '1'", false),
        ("[dependencies]\nc = { package = 'b', path = '../b' }", false),
        ("[dependencies]\nother.workspace = true", false),
        ("[dependencies]\nserde = '1'", true),
    ] {
        let manifest: Table = manifest.parse().unwrap();
        let found = forbidden_uses(&row("a", &[]), &manifest, &workspace, &members);
        assert_eq!(found.is_empty(), allowed, "{manifest}");
        assert!(forbidden_uses(&row("a", &["b"]), &manifest, &workspace, &members).is_empty());
    }
    let tests_only = Row { tests_also_use: &["b"], ..row("a", &[]) };
    for (kind, allowed) in [("dev-dependencies", true), ("dependencies", false)] {
        let manifest: Table = format!("[{kind}]\nb = '1'").parse().unwrap();
        assert_eq!(
            forbidden_uses(&tests_only, &manifest, &workspace, &members).is_empty(),
            allowed,
            "{kind}"
        );
    }
}

#[test]
fn every_crate_inherits_the_lints() {
    let inherits = |member: &Crate| member.manifest.get("lints")?.get("workspace")?.as_bool();
    let found: Vec<String> = crates()
        .iter()
        .filter(|member| inherits(member) != Some(true))
        .map(|member| member.name.clone())
        .collect();
    check_none("crates without `[lints] workspace = true`", &found);

    let workspace = read_toml(&root().join("Cargo.toml"));
    let level = workspace["workspace"]["lints"]["rust"][UNSAFE_LINT].as_str();
    assert!(matches!(level, Some("deny" | "forbid")), "the workspace lint {UNSAFE_LINT} is {level:?}");
}

/// All Rust files of a crate, apart from what a build left there.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in entries(folder) {
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Where a file contains one of `needles` outside whole-line comments, as `path:line`.
fn occurrences(file: &Path, needles: &[&str]) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| needles.iter().any(|needle| line.contains(needle)))
        .map(|(number, line)| format!("{}:{number}: {}", file.display(), line.trim()))
        .collect()
}

#[test]
fn only_the_kernels_override_the_unsafe_lint() {
    let outside = crates().into_iter().filter(|member| member.name != UNSAFE_CRATE);
    let found: Vec<String> = outside
        .flat_map(|member| rust_files(&member.folder))
        .flat_map(|file| occurrences(&file, &[UNSAFE_LINT]))
        .collect();
    check_none("the lint is overridden outside the kernels", &found);
}

#[test]
fn only_the_program_prints() {
    let folders = PRINTING_FOLDERS.map(|folder| root().join("crates").join(folder));
    let may_print = |file: &Path| {
        // Build scripts talk to cargo that way.
        folders.iter().any(|folder| file.starts_with(folder))
            || file.file_name().is_some_and(|name| name == "build.rs")
    };
    let found: Vec<String> = crates()
        .into_iter()
        .flat_map(|member| rust_files(&member.folder))
        .filter(|file| !may_print(file))
        .flat_map(|file| occurrences(&file, &PRINTING))
        .collect();
    check_none("printing outside the program", &found);
}
