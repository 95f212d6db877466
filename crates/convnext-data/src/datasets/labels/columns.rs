//! The header of a label file: which column is which, and what stands between them.

use csv::{ReaderBuilder, Trim};

/// The columns of a label file.
#[derive(Debug, PartialEq)]
pub(super) struct Columns {
    /// Separator of the columns.
    pub(super) delimiter: u8,
    /// Number of columns.
    pub(super) count: usize,
    pub(super) path: usize,
    pub(super) label: usize,
    pub(super) split: Option<SplitColumn>,
    /// The name of every column.
    pub(super) names: Vec<String>,
}

/// The column that tells the part of each image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum SplitColumn {
    /// It is called `split`.
    Sure(usize),
    /// It is called like one.
    Perhaps(usize),
}

impl SplitColumn {
    pub(super) fn position(self) -> usize {
        match self {
            Self::Sure(column) | Self::Perhaps(column) => column,
        }
    }
}

/// Names of the column of paths. The first group is taken before the second, and of the first group `path` before
/// the others.
const PATHS: [&[&str]; 2] = [
    &["path", "file_name", "filename", "image", "file"],
    &[
        "filepath",
        "file_path",
        "image_path",
        "image_name",
        "img_path",
        "image_id",
        "img_id",
        "id",
        "id_code",
        "img",
    ],
];

/// Names of the column of labels, by the same rule.
const LABELS: [&[&str]; 2] =
    [&["label", "class", "target"], &["category", "class_name", "label_name", "class_id", "label_id"]];

/// Names of the column of parts, the sure one first.
const SPLITS: [&str; 9] =
    ["split", "subset", "partition", "set", "data_set", "dataset_split", "phase", "usage", "fold"];

const DELIMITERS: [u8; 3] = *b",;\t";

impl Columns {
    /// Reads the first line. The delimiter is the one with which it names the columns.
    ///
    /// # Errors
    /// Missing columns, as text.
    pub(super) fn of(text: &[u8]) -> Result<Self, String> {
        let mut best: Option<(usize, String)> = None;
        for delimiter in DELIMITERS {
            let header = header(text, delimiter)?;
            let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
            match Self::in_header(&header, &names, delimiter) {
                Ok(columns) => return Ok(columns),
                Err(why) if best.as_ref().is_none_or(|(count, _)| names.len() > *count) => {
                    best = Some((names.len(), why));
                }
                Err(_) => {}
            }
        }
        Err(best.map(|(_, why)| why).unwrap_or_default())
    }

    fn in_header(header: &[String], names: &[String], delimiter: u8) -> Result<Self, String> {
        let (path, label) = (column(header, names, PATHS)?, column(header, names, LABELS)?);
        let split = SPLITS.iter().find_map(|known| {
            let position = names.iter().position(|name| name == known)?;
            Some(if *known == SPLITS[0] {
                SplitColumn::Sure(position)
            } else {
                SplitColumn::Perhaps(position)
            })
        });
        Ok(Self { delimiter, count: names.len(), path, label, split, names: header.to_vec() })
    }
}

/// `true` if a line names the columns of a label file.
pub(crate) fn is_header(line: &str) -> bool {
    Columns::of(line.as_bytes()).is_ok()
}

/// The names in the first line.
fn header(text: &[u8], delimiter: u8) -> Result<Vec<String>, String> {
    let mut reader =
        ReaderBuilder::new().delimiter(delimiter).has_headers(false).trim(Trim::All).from_reader(text);
    match reader.records().next() {
        None => Ok(Vec::new()),
        Some(Err(_)) => Err("its first line is no line of CSV".into()),
        Some(Ok(header)) => Ok(header.iter().map(str::to_owned).collect()),
    }
}

/// A name as it is compared: in lower case, with `_` for what stands between words, and not in the plural.
fn plain(name: &str) -> String {
    let name = name.to_lowercase().replace([' ', '-'], "_").replace("classes", "class");
    match name.strip_suffix('s').filter(|singular| !singular.ends_with("clas")) {
        Some(singular) => singular.to_owned(),
        None => name,
    }
}

/// The one column with a known name.
fn column(header: &[String], names: &[String], known: [&[&str]; 2]) -> Result<usize, String> {
    let first = known[0][0];
    if let Some(position) = names.iter().position(|name| name == first) {
        return Ok(position);
    }
    for group in known {
        let found: Vec<usize> =
            (0..names.len()).filter(|&column| group.contains(&names[column].as_str())).collect();
        match found[..] {
            [] => {}
            [only] => return Ok(only),
            [one, other, ..] => {
                return Err(format!(
                    "the columns '{}' and '{}' could both be '{first}'; call the right one '{first}'",
                    header[one], header[other]
                ));
            }
        }
    }
    let others = known[0][1..].join(", ");
    let found = if header.is_empty() { "is empty".into() } else { format!("has '{}'", header.join("', '")) };
    Err(format!(
        "there is no column '{first}' (nor {others}); the first line must be a header, and it {found}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: &str) -> (u8, usize, usize, Option<SplitColumn>) {
        let Columns { delimiter, path, label, split, .. } = Columns::of(header.as_bytes()).unwrap();
        (delimiter, path, label, split)
    }

    #[test]
    fn headers_are_understood() {
        assert_eq!(of("path,label"), (b',', 0, 1, None));
        assert_eq!(of("Class;File Name;Split\n"), (b';', 1, 0, Some(SplitColumn::Sure(2))));
        assert_eq!(of("target\tfilename"), (b'\t', 1, 0, None));
        assert_eq!(of("\"image\",\"a;b\",\"class\""), (b',', 0, 2, None));
        assert_eq!(of("class id,filepaths,labels,data set"), (b',', 1, 2, Some(SplitColumn::Perhaps(3))));
        assert_eq!(of("path,label,Usage").3, Some(SplitColumn::Perhaps(2)));
        assert_eq!(of("fold,path,label").3, Some(SplitColumn::Perhaps(0)));
        // `path` and `label` go before others, and names before numbers.
        assert_eq!(of("image,path,class,label"), (b',', 1, 3, None));
        assert_eq!(of("id,file,category,classes"), (b',', 1, 3, None));
        assert_eq!(of("image_id,label"), (b',', 0, 1, None));
    }

    #[test]
    fn what_is_missing_or_double_is_said() {
        for (header, words) in [
            ("", "no column 'path'"),
            ("1.png,cat", "the first line must be a header, and it has '1.png', 'cat'"),
            ("1.png;cat", "it has '1.png', 'cat'"),
            ("path;colour", "no column 'label' (nor class, target)"),
            ("image,file,label", "'image' and 'file' could both be 'path'"),
            ("path,class,target", "'class' and 'target' could both be 'label'"),
        ] {
            let why = Columns::of(header.as_bytes()).unwrap_err();
            assert!(why.contains(words), "{header}: {why}");
        }
    }
}
