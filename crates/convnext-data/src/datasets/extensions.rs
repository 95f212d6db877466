//! File extensions of images, and a summary of the other files.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use crate::datasets::parts::Named;

/// File endings of images, in any case.
pub(crate) const IMAGE_EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "apng"];

/// Endings of files with labels or other words about images, and of archives, which are told of elsewhere.
const OTHER_USES: [&str; 10] =
    ["md", "csv", "tsv", "json", "jsonl", "parquet", "cls", "index", "tar", "html"];

/// Files that lie in many folders and are nobody's data.
const BYSTANDERS: [&str; 7] =
    ["readme", "license", "licence", "copying", "thumbs.db", "desktop.ini", "map_clsloc.txt"];

/// `true` for a file whose ending is that of an image.
pub(crate) fn has_image_extension(path: &Path) -> bool {
    ending(path).is_some_and(|ending| IMAGE_EXTENSIONS.contains(&ending.as_str()))
}

/// The endings of images, for messages.
pub(crate) fn expected_extensions() -> String {
    IMAGE_EXTENSIONS.map(|ending| format!(".{ending}")).join(", ")
}

fn ending(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_lowercase)
}

/// The files that are left out because of their ending: number of each ending, which is empty for none.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct OtherFiles(BTreeMap<String, usize>);

impl OtherFiles {
    /// Counts a file that is no image, unless it has another use.
    pub(crate) fn add(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let ending = ending(path).unwrap_or_default();
        let known = BYSTANDERS.iter().any(|known| *known == name || *known == stem);
        if !(known || is_list(&stem, &ending) || OTHER_USES.contains(&ending.as_str())) {
            *self.0.entry(ending).or_default() += 1;
        }
    }

    /// Number of files that were left out, with the most frequent extensions.
    pub(crate) fn summary(&self) -> Option<String> {
        const SHOWN: usize = 8;
        let mut endings: Vec<(&String, usize)> =
            self.0.iter().map(|(ending, &count)| (ending, count)).collect();
        endings.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let mut shown: Vec<String> = (endings.iter().take(SHOWN))
            .map(|(ending, count)| match ending.is_empty() {
                true => format!("without ending: {count}"),
                false => format!(".{ending}: {count}"),
            })
            .collect();
        if endings.len() > SHOWN {
            shown.push(format!("{} more", endings.len() - SHOWN));
        }
        let total: usize = self.0.values().sum();
        let files = if total == 1 { "file" } else { "files" };
        (total > 0).then(|| format!("{total} {files} with other extensions left out ({})", shown.join(", ")))
    }
}

/// `true` for a text that by its name lists labels, classes or the images of a part.
fn is_list(stem: &str, ending: &str) -> bool {
    const SUBJECTS: [&str; 5] = ["label", "class", "synset", "ground_truth", "annotation"];
    ending == "txt" && (Named::of(stem) != Named::No || SUBJECTS.iter().any(|subject| stem.contains(subject)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_count_in_any_case() {
        for name in ["a.JPG", "a.Jpe", "a.jfif", "a.PJPEG", "a.pjp", "a.TIF", "a.gif", "a.dib", "a.b.webp"] {
            assert!(has_image_extension(Path::new(name)), "{name}");
        }
        for name in ["a", "a.heic", "jpg", ".jpg", "a.jpg.txt", "a.jp2"] {
            assert!(!has_image_extension(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn other_files_are_counted_unless_they_have_a_use() {
        let mut others = OtherFiles::default();
        for name in ["labels.csv", "README.md", "LICENSE", "x/Thumbs.db", "val.txt", "metadata.jsonl"] {
            others.add(Path::new(name));
        }
        assert_eq!(others.summary(), None);
        for name in ["a.heic", "b.HEIC", "c.psd", "d"] {
            others.add(Path::new(name));
        }
        let words = "4 files with other extensions left out (.heic: 2, without ending: 1, .psd: 1)";
        assert_eq!(others.summary().unwrap(), words);
    }
}
