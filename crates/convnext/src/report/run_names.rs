//! Short names of runs.

use std::path::{Path, PathBuf};

/// The shortest ends of paths that tell them apart, such as `a` and `b` of `runs/a` and `runs/b`. The paths differ.
pub(super) fn short_names(paths: &[PathBuf]) -> Vec<String> {
    let parts: Vec<Vec<String>> = paths.iter().map(|path| parts(path)).collect();
    let name = |own: &Vec<String>| {
        let end = |parts: &[String], length: usize| parts[parts.len().saturating_sub(length)..].join("/");
        let is_alone = |&length: &usize| {
            parts.iter().filter(|other| end(other, length) == end(own, length)).count() == 1
        };
        let length = (1..own.len()).find(is_alone).unwrap_or(own.len());
        end(own, length)
    };
    parts.iter().map(name).collect()
}

fn parts(path: &Path) -> Vec<String> {
    path.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_short_as_they_can_be_told_apart() {
        let names = |paths: &[&str]| short_names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(names(&["/x/runs/a", "/x/runs/b"]), ["a", "b"]);
        assert_eq!(
            names(&["/x/seed-0/fcmae", "/x/seed-1/fcmae", "/y"]),
            ["seed-0/fcmae", "seed-1/fcmae", "y"]
        );
        // One is the end of the other.
        assert_eq!(names(&["a", "x/a"]), ["a", "x/a"]);
    }
}
