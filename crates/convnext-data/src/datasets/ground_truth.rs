//! Labels of a validation folder whose images lie in it without class folders, in the files that come
//! with ImageNet.

mod known;

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use convnext_core::ClassNames;

use crate::datasets::classes::Classes;
use crate::datasets::labels::columns::is_header;
use crate::datasets::listing::Listing;
use crate::datasets::relative::parent;
use crate::datasets::storage::Storage;
use crate::error::DataError;
use known::{Known, Row};

/// The names of the files, those that need no other file first.
const FILES: [&str; 4] = [
    "LOC_val_solution.csv",
    "imagenet_2012_validation_synset_labels.txt",
    "val.txt",
    "ILSVRC2012_validation_ground_truth.txt",
];

/// The files that say which synset an ILSVRC2012_ID means. Many a `synset_words.txt` has no IDs.
const ID_FILES: [&str; 2] = ["map_clsloc.txt", "synset_words.txt"];

/// Advice for a folder without class folders and without labels.
pub(crate) fn advice() -> String {
    format!(
        "put the images of each class into a folder of its own, or put the labels of all images beside it as \
         {}, or name such a file as the label file",
        FILES.join(", ")
    )
}

/// The label file in a folder of images, beside it, or at the root of the data.
pub(crate) fn find(listing: &Listing, folder: &str) -> Option<PathBuf> {
    let Storage::Folder(root) = &listing.storage else { return None };
    let beside = if folder.is_empty() { root.parent()?.to_owned() } else { root.join(parent(folder)) };
    let places = [root.join(folder), beside, root.clone()];
    let mut files = places.iter().flat_map(|place| FILES.map(|file| place.join(file)));
    let found = files.find(|path| path.is_file())?;
    log::info!("{}: the labels are those of {}", listing.name(folder), found.display());
    Some(found)
}

/// `true` if a label file is of these kinds, which its first line tells, and no CSV with `path` and
/// `label`. A file that cannot be read is none; who reads it next says why.
pub(crate) fn is_ground_truth(file: &Path) -> bool {
    const START: u64 = 4096;
    let mut start = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(START).read_to_end(&mut start));
    let start = String::from_utf8_lossy(&start);
    let first = without_mark(&start).lines().next().unwrap_or_default();
    let is_text = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("txt"));
    read.is_ok() && (is_solution(first) || (is_text && !first.contains(',') && !is_header(first)))
}

/// The validation images of each class. The images lie directly in `folder`; `known` are the classes of
/// the training part, if there is one.
pub(crate) fn read(
    file: &Path,
    listing: &Listing,
    folder: &str,
    known: Option<&ClassNames>,
) -> Result<Classes, DataError> {
    let text = read_text(file)?;
    let truth = Truth { file, known: known.map(Known::new), images: Images::of(listing, folder) };
    // Blank lines at the end count for nothing; elsewhere they would move the labels of all that follow.
    let lines: Vec<&str> = without_mark(&text).trim_end().lines().map(str::trim).collect();
    let first = lines.first().copied().unwrap_or_default();
    if is_solution(first) {
        truth.by_name(&lines, 1, "'IMAGE,SYNSET x y x y'", |line| {
            let (image, prediction) = line.split_once(',')?;
            Some((image, prediction.trim_matches('"').split_whitespace().next()?))
        })
    } else if first.contains(char::is_whitespace) {
        truth.by_name(&lines, 0, "'FILE LABEL'", |line| {
            let (image, label) = line.rsplit_once(char::is_whitespace)?;
            Some((image.trim_end(), label))
        })
    } else if is_number(first) {
        let synsets = read_ids(file)?;
        let expected = "an ILSVRC2012_ID of the list beside the file";
        truth.in_order(&lines, |label, line| {
            let synset = synsets.get(label).map(String::as_str);
            synset.ok_or_else(|| wrong(file, line, expected, format!("'{label}'")))
        })
    } else {
        truth.in_order(&lines, |label, _| Ok(label))
    }
}

/// Target and allowed values of the labels.
struct Truth<'a> {
    file: &'a Path,
    known: Option<Known<'a>>,
    images: Images<'a>,
}

impl Truth<'_> {
    /// Labels of the images in the order of their names, one a line.
    fn in_order<'t>(
        &self,
        lines: &[&'t str],
        synset: impl Fn(&'t str, usize) -> Result<&'t str, DataError>,
    ) -> Result<Classes, DataError> {
        self.check_count(lines.len(), 0)?;
        let mut rows = Vec::new();
        for (line, (label, &place)) in (1..).zip(lines.iter().zip(self.images.places.values())) {
            rows.push(Row { line, place, label: synset(label, line)? });
        }
        self.classes(&rows)
    }

    /// Labels of images that each line names, after `header` other lines.
    fn by_name<'t>(
        &self,
        lines: &[&'t str],
        header: usize,
        form: &str,
        fields: impl Fn(&'t str) -> Option<(&'t str, &'t str)>,
    ) -> Result<Classes, DataError> {
        self.check_count(lines.len(), header)?;
        let mut rows = Vec::new();
        let mut named: HashMap<usize, usize> = HashMap::new();
        for (line, text) in (1..).zip(lines).skip(header) {
            let (image, label) = fields(text).ok_or_else(|| self.wrong(line, form, text))?;
            let place = self.images.find(image).ok_or_else(|| {
                self.wrong(line, format!("the name of an image in {}", self.images.folder), image)
            })?;
            if let Some(earlier) = named.insert(place, line) {
                return Err(self.wrong(line, format!("no image of line {earlier}"), image));
            }
            rows.push(Row { line, place, label });
        }
        self.classes(&rows)
    }

    /// The images of each class, in the order of the data, whatever the order of the lines.
    fn classes(&self, rows: &[Row<'_>]) -> Result<Classes, DataError> {
        let by_index = self.known.as_ref().is_some_and(|known| known.are_indices(rows));
        let mut classes = Classes::new();
        for row in rows {
            classes.entry(self.class(row, by_index)?).or_default().push(row.place);
        }
        classes.values_mut().for_each(|images| images.sort_unstable());
        Ok(classes)
    }

    /// Checks that there are as many labels as images.
    fn check_count(&self, lines: usize, header: usize) -> Result<(), DataError> {
        let (labels, images) = (lines - header, self.images.places.len());
        if labels == images {
            return Ok(());
        }
        let expected = format!("labels of the {images} images in {}", self.images.folder);
        Err(wrong(self.file, lines.max(1), expected, format!("{labels} labels")))
    }

    /// The class that a label means: a class of the training part or its index there, or a synset.
    fn class(&self, row: &Row<'_>, by_index: bool) -> Result<String, DataError> {
        let Row { line, label, .. } = *row;
        match &self.known {
            None if is_synset(label) => Ok(label.to_owned()),
            None => {
                let expected = "a synset such as n01440764, because there are no training classes to count";
                Err(self.wrong(line, expected, label))
            }
            Some(known) => known.class(label, by_index).map(str::to_owned).ok_or_else(|| {
                let count = known.names.len();
                let expected = match by_index {
                    true => {
                        format!("one of the {count} classes of the training part or a number below {count}")
                    }
                    false => format!("one of the {count} classes of the training part, as other labels are"),
                };
                self.wrong(line, expected, label)
            }),
        }
    }

    fn wrong(&self, line: usize, expected: impl Into<String>, found: &str) -> DataError {
        wrong(self.file, line, expected, format!("'{found}'"))
    }
}

/// The images that lie directly in a folder, by name.
struct Images<'a> {
    folder: String,
    places: BTreeMap<&'a str, usize>,
}

impl<'a> Images<'a> {
    fn of(listing: &'a Listing, folder: &str) -> Self {
        let direct = listing.images.iter().enumerate().filter(|(_, path)| parent(path) == folder);
        let places = direct.map(|(place, path)| (file_name(path), place)).collect();
        Self { folder: listing.name(folder), places }
    }

    /// The place of an image, whose name may have folders before it and may lack its extension.
    fn find(&self, image: &str) -> Option<usize> {
        let name = file_name(image);
        if let Some(&place) = self.places.get(name) {
            return Some(place);
        }
        let with_dot = format!("{name}.");
        let extensions =
            self.places.range(with_dot.as_str()..).take_while(|(file, _)| file.starts_with(&with_dot));
        let mut matches = extensions.filter(|(file, _)| !file[with_dot.len()..].contains('.'));
        let (_, &place) = matches.next()?;
        matches.next().is_none().then_some(place)
    }
}

/// The synset of each ILSVRC2012_ID, from the list beside a file of IDs.
fn read_ids(ids: &Path) -> Result<HashMap<String, String>, DataError> {
    let folder = ids.parent().unwrap_or(Path::new(""));
    let Some(file) = ID_FILES.iter().map(|name| folder.join(name)).find(|path| path.is_file()) else {
        return Err(DataError::Layout {
            path: ids.display().to_string(),
            found: "its labels are ILSVRC2012_IDs, and no list of their synsets lies beside it".into(),
            advice: format!(
                "put {} there, from the development kit of ImageNet (lines 'nXXXXXXXX ID name'; meta.mat is \
                 not read)",
                ID_FILES[0]
            ),
        });
    };
    let mut synsets = HashMap::new();
    for (line, text) in (1..).zip(read_text(&file)?.trim_end().lines()) {
        let mut words = text.split_whitespace();
        let (Some(synset), Some(id)) = (words.next(), words.next().filter(|id| is_number(id))) else {
            return Err(wrong(&file, line, "'nXXXXXXXX ID name'", format!("'{text}'")));
        };
        if synsets.insert(id.to_owned(), synset.to_owned()).is_some() {
            return Err(wrong(&file, line, "every ID once", format!("ID {id} again")));
        }
    }
    Ok(synsets)
}

fn wrong(file: &Path, line: usize, expected: impl Into<String>, found: String) -> DataError {
    DataError::GroundTruth { path: file.display().to_string(), line, expected: expected.into(), found }
}

fn read_text(file: &Path) -> Result<String, DataError> {
    fs::read_to_string(file).map_err(|source| DataError::io("read", file.display().to_string(), source))
}

/// A text without the mark that some editors begin it with.
fn without_mark(text: &str) -> &str {
    text.trim_start_matches('\u{feff}')
}

/// `true` if a line is the header of the solution file of Kaggle.
fn is_solution(header: &str) -> bool {
    header.split(',').next().is_some_and(|column| column.trim().eq_ignore_ascii_case("ImageId"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `true` if a word is the name of a synset: `n` and eight digits.
fn is_synset(text: &str) -> bool {
    text.len() == 9 && text.strip_prefix('n').is_some_and(is_number)
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
