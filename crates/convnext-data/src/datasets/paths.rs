//! Many relative paths in little memory.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Relative paths with `/` between their parts, kept one after the other in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    text: String,
    /// Offset of the end of each path in `text`.
    ends: Vec<usize>,
    /// Whole paths of the files whose name is not Unicode: `text` has a similar name for them.
    exact: BTreeMap<usize, PathBuf>,
}

impl Paths {
    /// Adds the path `folder` + `name`; `folder` is empty or ends in `/`.
    pub(crate) fn push(&mut self, folder: &str, name: &str) {
        self.text.push_str(folder);
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    /// Adds a path that is not Unicode: the similar name, and the whole path that finds the file.
    pub(crate) fn push_exact(&mut self, folder: &str, name: &str, exact: PathBuf) {
        self.exact.insert(self.len(), exact);
        self.push(folder, name);
    }

    /// Gives back memory that is kept for more paths.
    pub(crate) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Number of paths.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One path.
    pub(crate) fn get(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start..self.ends[index]]
    }

    /// The position of a path among sorted ones.
    pub(crate) fn position(&self, path: &str) -> Option<usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.get(middle) < path {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (low < self.len() && self.get(low) == path).then_some(low)
    }

    /// All paths in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Path of a file when the paths begin at `root`.
    pub(crate) fn below(&self, root: &Path, index: usize) -> PathBuf {
        self.exact.get(&index).cloned().unwrap_or_else(|| root.join(self.get(index)))
    }
}

impl<'a> FromIterator<&'a str> for Paths {
    fn from_iter<I: IntoIterator<Item = &'a str>>(paths: I) -> Self {
        let mut list = Self::default();
        for path in paths {
            list.push("", path);
        }
        list.shrink();
        list
    }
}
