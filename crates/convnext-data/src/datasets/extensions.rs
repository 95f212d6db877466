//! File extensions of images, and a summary of the other files.

use std::{collections::BTreeMap, ffi::OsStr, path::Path};

use image::ImageFormat;

use crate::datasets::parts::Named;

/// File extensions of images, in any case.
pub(crate) const IMAGE_EXTENSIONS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "pjpeg", "pjp", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "apng"];

/// Extensions of files with labels or other words about images, and of archives, which are told of elsewhere.
const OTHER_USES: [&str; 10] =
    ["md", "csv", "tsv", "json", "jsonl", "parquet", "cls", "index", "tar", "html"];

/// Files that lie in many folders and are nobody's data.
const BYSTANDERS: [&str; 7] =
    ["readme", "license", "licence", "copying", "thumbs.db", "desktop.ini", "map_clsloc.txt"];

/// `true` for a file whose extension is that of an image.
pub(crate) fn has_image_extension(path: &Path) -> bool {
    extension(path).is_some_and(|extension| IMAGE_EXTENSIONS.contains(&extension.as_str()))
}

/// The usual extension of an image with these first bytes; `jpg` where they do not tell.
pub(crate) fn extension_of(start: &[u8]) -> &'static str {
    let format = image::guess_format(start).unwrap_or(ImageFormat::Jpeg);
    format.extensions_str().first().copied().unwrap_or("jpg")
}

/// The extensions of images, for messages.
pub(crate) fn expected_extensions() -> String {
    IMAGE_EXTENSIONS.map(|extension| format!(".{extension}")).join(", ")
}

fn extension(path: &Path) -> Option<String> {
    path.extension().and_then(OsStr::to_str).map(str::to_lowercase)
}

/// The files that are left out because of their extension: number of each extension, which is empty for none.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct OtherFiles(BTreeMap<String, usize>);

impl OtherFiles {
    /// Counts a file that is no image, unless it has another use.
    pub(crate) fn add(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        let extension = extension(path).unwrap_or_default();
        let known = BYSTANDERS.iter().any(|known| *known == name || *known == stem);
        if !(known || is_list(&stem, &extension) || OTHER_USES.contains(&extension.as_str())) {
            *self.0.entry(extension).or_default() += 1;
        }
    }

    /// The same without files of these extensions.
    pub(crate) fn without(&self, extensions: &[&str]) -> Self {
        let others = self.0.iter().filter(|(extension, _)| !extensions.contains(&extension.as_str()));
        Self(others.map(|(extension, &count)| (extension.clone(), count)).collect())
    }

    /// Number of files that were left out, with the most frequent extensions.
    pub(crate) fn summary(&self) -> Option<String> {
        const SHOWN: usize = 8;
        let mut extensions: Vec<(&String, usize)> =
            self.0.iter().map(|(extension, &count)| (extension, count)).collect();
        extensions.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
        let mut shown: Vec<String> = (extensions.iter().take(SHOWN))
            .map(|(extension, count)| match extension.is_empty() {
                true => format!("without extension: {count}"),
                false => format!(".{extension}: {count}"),
            })
            .collect();
        if extensions.len() > SHOWN {
            shown.push(format!("{} more", extensions.len() - SHOWN));
        }
        let total: usize = self.0.values().sum();
        let files = if total == 1 { "file" } else { "files" };
        (total > 0).then(|| format!("{total} {files} with other extensions left out ({})", shown.join(", ")))
    }
}

/// `true` for a text that by its name lists labels, classes or the images of a part.
fn is_list(stem: &str, extension: &str) -> bool {
    const SUBJECTS: [&str; 5] = ["label", "class", "synset", "ground_truth", "annotation"];
    extension == "txt"
        && (Named::of(stem) != Named::No || SUBJECTS.iter().any(|subject| stem.contains(subject)))
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
        others.add(Path::new("a.txt"));
        assert!(others.summary().is_some() && others.without(&["txt"]).summary().is_none());
        let mut others = OtherFiles::default();
        for name in ["a.heic", "b.HEIC", "c.psd", "d"] {
            others.add(Path::new(name));
        }
        let words = "4 files with other extensions left out (.heic: 2, without extension: 1, .psd: 1)";
        assert_eq!(others.summary().unwrap(), words);
    }
}
