//! Shards that are the parts of a data set: by their folders, by a list beside them, or by their names.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::datasets::listing::Listing;
use crate::datasets::parts::{HOW_TO_NAME, Named, Split};
use crate::datasets::relative::{last, stem};
use crate::datasets::selection::{Available, Which};
use crate::error::DataError;

/// The lists that timm and Hugging Face put beside shards: which of them belong to which part.
const INFO_FILES: [&str; 2] = ["_info.json", "info.json"];

/// Some shards of one folder.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ShardSet {
    pub(crate) folder: PathBuf,
    /// All shards of the folder.
    pub(crate) all: Vec<PathBuf>,
    /// Those of the set.
    pub(crate) own: BTreeSet<PathBuf>,
}

impl ShardSet {
    /// Its name in messages.
    pub(crate) fn source(&self) -> String {
        let folder = self.folder.display();
        if self.own.len() == self.all.len() {
            return folder.to_string();
        }
        let name = |path: Option<&PathBuf>| {
            path.and_then(|path| path.file_name()).unwrap_or_default().to_string_lossy().into_owned()
        };
        match self.own.len() {
            1 => format!("{folder}/{}", name(self.own.first())),
            count => format!(
                "{folder}, {count} shards from {} to {}",
                name(self.own.first()),
                name(self.own.last())
            ),
        }
    }
}

/// The shards of each part.
#[derive(Debug, Default)]
pub(crate) struct ShardParts {
    parts: [Option<ShardSet>; 3],
    whole: Option<ShardSet>,
}

impl ShardParts {
    /// Finds the parts of a folder of shards.
    ///
    /// # Errors
    /// [`DataError::Layout`] when some shards are of no part or of several.
    pub(crate) fn of(listing: &Listing) -> Result<Self, DataError> {
        let folders: Vec<(&String, &Vec<PathBuf>)> = listing.archives.iter().collect();
        if let [(folder, shards)] = folders[..] {
            let split = match Named::of(last(folder)) {
                Named::Wholly(split) if !folder.is_empty() => Some(split),
                _ => None,
            };
            return Self::in_one_folder(listing, folder, shards, split);
        }
        let mut found = Self::default();
        let mut strangers = Vec::new();
        for (folder, shards) in folders {
            match Named::of(last(folder)).split() {
                None => strangers.push(listing.name(folder)),
                Some(split) => {
                    check_names(listing, folder, shards)?;
                    if let Some(other) = found.parts[split as usize].replace(ShardSet::whole(shards)) {
                        return Err(wrong(
                            listing.name(""),
                            format!(
                                "its folders {} and {folder} could both be the {split} part",
                                other.folder.display()
                            ),
                        ));
                    }
                }
            }
        }
        if !strangers.is_empty() {
            return Err(wrong(
                listing.name(""),
                format!(
                    "its shards lie in several folders, and these are no parts by their names: {}",
                    strangers.join(", ")
                ),
            ));
        }
        Ok(found)
    }

    /// Divides the shards of one folder, which may be a part itself.
    fn in_one_folder(
        listing: &Listing,
        folder: &str,
        shards: &[PathBuf],
        own: Option<Split>,
    ) -> Result<Self, DataError> {
        let name = listing.name(folder);
        let of_info = read_info(&ShardSet::whole(shards).folder)?;
        let by_info = of_info.is_some();
        if let Some(known) = &of_info {
            check_all_there(&name, known, shards)?;
        }
        let (sets, strangers) = sorted_by_part(&name, shards, of_info.as_ref())?;
        if strangers.len() == shards.len() && !by_info {
            return Ok(match own {
                None => Self { whole: Some(ShardSet::whole(shards)), ..Self::default() },
                Some(split) => Self::of_part(split, ShardSet::whole(shards)),
            });
        }
        if let Some(first) = strangers.first() {
            let why = if by_info {
                "are in no part of the list beside them"
            } else {
                "have no part in their names, as others have"
            };
            let count = strangers.len();
            return Err(wrong(
                name,
                format!("{count} of its {} shards {why}, such as {first}", shards.len()),
            ));
        }
        let parts = sets.map(|own| (!own.is_empty()).then(|| ShardSet { own, ..ShardSet::whole(shards) }));
        Ok(Self { parts, whole: None })
    }

    fn of_part(split: Split, set: ShardSet) -> Self {
        let mut found = Self::default();
        found.parts[split as usize] = Some(set);
        found
    }

    /// The shards of a part, or all where there are no parts.
    pub(crate) fn set(&self, which: Which) -> Option<&ShardSet> {
        match which {
            Which::Part(split) => self.parts[split as usize].as_ref(),
            Which::Whole => self.whole.as_ref(),
        }
    }

    /// The parts to choose from.
    pub(crate) fn available(&self) -> Available {
        let name = |split: Split| self.set(Which::Part(split)).map(|_| format!("shards for '{split}'"));
        Available { names: Split::ALL.map(name), whole: self.whole.is_some(), test_validates: true }
    }
}

impl ShardSet {
    fn whole(shards: &[PathBuf]) -> Self {
        let folder = shards.first().and_then(|path| path.parent()).unwrap_or(Path::new("")).to_owned();
        Self { folder, all: shards.to_vec(), own: shards.iter().cloned().collect() }
    }
}

/// The shards of each part, by a list or by their names, and the names of those that are of none.
fn sorted_by_part(
    folder: &str,
    shards: &[PathBuf],
    of_info: Option<&BTreeMap<String, Split>>,
) -> Result<([BTreeSet<PathBuf>; 3], Vec<String>), DataError> {
    let mut sets: [BTreeSet<PathBuf>; 3] = Default::default();
    let mut strangers = Vec::new();
    for shard in shards {
        let file = shard.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let split = match of_info {
            Some(known) => known.get(&file).copied(),
            None => match Named::of(stem(&file)) {
                Named::Several => {
                    let found = format!("the name of its shard {file} speaks of several parts");
                    return Err(wrong(folder.to_owned(), found));
                }
                named => named.split(),
            },
        };
        match split {
            Some(split) => {
                sets[split as usize].insert(shard.clone());
            }
            None => strangers.push(file),
        }
    }
    Ok((sets, strangers))
}

/// Refuses shards of one part whose names speak of several.
fn check_names(listing: &Listing, folder: &str, shards: &[PathBuf]) -> Result<(), DataError> {
    let named =
        |shard: &PathBuf| Named::of(stem(&shard.file_name().unwrap_or_default().to_string_lossy())).split();
    let splits: BTreeSet<Option<Split>> = shards.iter().map(named).collect();
    if splits.len() > 1 {
        return Err(wrong(listing.name(folder), "the names of its shards speak of different parts".into()));
    }
    Ok(())
}

fn wrong(path: String, found: String) -> DataError {
    let advice = format!("put the shards of each part into a folder of its own: {HOW_TO_NAME}");
    DataError::Layout { path, found, advice }
}

/// Refuses a list of shards some of which are not there: what is left is not the data that the list speaks of.
fn check_all_there(
    folder: &str,
    listed: &BTreeMap<String, Split>,
    shards: &[PathBuf],
) -> Result<(), DataError> {
    let there: BTreeSet<_> = shards.iter().filter_map(|shard| shard.file_name()?.to_str()).collect();
    let gone: Vec<&String> = listed.keys().filter(|file| !there.contains(file.as_str())).collect();
    let Some(first) = gone.first() else { return Ok(()) };
    Err(DataError::Layout {
        path: folder.to_owned(),
        found: format!(
            "{} of the {} shards in the list beside them are not there, such as {first}",
            gone.len(),
            listed.len()
        ),
        advice: "put them there, or take them out of the list".into(),
    })
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    splits: BTreeMap<String, InfoSplit>,
}

#[derive(Deserialize)]
struct InfoSplit {
    #[serde(default)]
    filenames: Vec<String>,
}

/// The part of each shard by its file name, from the list in a folder of shards; `None` where there is none, or none
/// of parts.
fn read_info(folder: &Path) -> Result<Option<BTreeMap<String, Split>>, DataError> {
    let mut texts = INFO_FILES.iter().map(|name| folder.join(name)).map(|path| (fs::read(&path), path));
    let found =
        texts.find(|(text, _)| !matches!(text, Err(error) if error.kind() == io::ErrorKind::NotFound));
    let Some((text, path)) = found else { return Ok(None) };
    let name = path.display().to_string();
    let text = text.map_err(|error| DataError::io("read", &name, error))?;
    let info: Info = serde_json::from_slice(&text).map_err(|error| {
        wrong(name.clone(), format!("it is no list of 'splits' with their 'filenames' ({error})"))
    })?;
    if info.splits.is_empty() {
        return Ok(None);
    }
    let mut parts = BTreeMap::new();
    for (split_name, InfoSplit { filenames }) in &info.splits {
        let Some(split) = Named::of(split_name).split() else { continue };
        for file in filenames {
            let file = file.rsplit('/').next().unwrap_or(file).to_owned();
            if let Some(other) = parts.insert(file.clone(), split).filter(|&other| other != split) {
                return Err(wrong(name, format!("it has {file} in the parts {other} and {split}")));
            }
        }
    }
    Ok(Some(parts))
}
