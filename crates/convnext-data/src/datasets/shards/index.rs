//! Index of the shards of one folder.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{Place, Shard, index_file, scan::scan};
use crate::datasets::class_name::canonical_name;
use crate::datasets::storage::Stamp;
use crate::error::DataError;

/// The images of the shards of one folder and their labels, as the shards have them.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Index {
    pub(crate) shards: Vec<Shard>,
    /// Number of images in each shard.
    pub(crate) counts: Vec<u32>,
    /// All images, one shard after the other.
    pub(crate) images: Vec<IndexedImage>,
    /// The labels that are names.
    pub(crate) names: LabelNames,
}

/// An image of a shard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct IndexedImage {
    pub(crate) place: Place,
    pub(crate) label: Label,
}

/// A label as it stands in a shard, in 4 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Label(pub(crate) u32);

impl Label {
    /// No label, or none that could be understood.
    pub(crate) const NONE: Self = Self(u32::MAX);
    const NAMED: u32 = 1 << 31;

    /// The class with this number; none where it is beyond any sense.
    pub(crate) fn number(number: u64) -> Self {
        u32::try_from(number).ok().filter(|number| number & Self::NAMED == 0).map_or(Self::NONE, Self)
    }

    /// Value of the label.
    pub(crate) fn meaning(self) -> Meaning {
        match self {
            Self::NONE => Meaning::None,
            Self(number) if number & Self::NAMED == 0 => Meaning::Number(number as usize),
            Self(number) => Meaning::Name((number & !Self::NAMED) as usize),
        }
    }
}

/// Value of a [`Label`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    None,
    /// The number of a class.
    Number(usize),
    /// The position of a name in [`LabelNames`].
    Name(usize),
}

/// Labels that are names, each once.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct LabelNames {
    pub(crate) list: Vec<String>,
    positions: HashMap<String, u32>,
}

impl LabelNames {
    /// The label for a name.
    pub(crate) fn label(&mut self, name: &str) -> Label {
        let name = canonical_name(name);
        let next = self.list.len() as u32;
        if next == Label::NAMED - 1 {
            return Label::NONE;
        }
        let position = *self.positions.entry(name.clone()).or_insert_with(|| {
            self.list.push(name);
            next
        });
        Label(position | Label::NAMED)
    }
}

impl Index {
    /// The index of the shards of a folder: the one beside them if it fits, else a new one.
    pub(crate) fn open(folder: &Path, paths: &[PathBuf]) -> Result<Self, DataError> {
        let shards = paths.iter().map(|path| found(path)).collect::<Result<Vec<_>, _>>()?;
        if let Some(index) = index_file::read(folder, &shards) {
            return Ok(index);
        }
        log::info!("{}: listing the members of {} shards", folder.display(), shards.len());
        let index = Self::build(shards)?;
        if let Err(error) = index_file::write(folder, &index) {
            log::info!(
                "{}: the list of members cannot be kept beside the shards ({error}); it is made again each time",
                folder.display()
            );
        }
        Ok(index)
    }

    /// Index of some of the shards.
    pub(crate) fn only(self, own: &BTreeSet<PathBuf>) -> Self {
        let mut some = Self::default();
        let mut rest = &self.images[..];
        for (shard, count) in self.shards.into_iter().zip(self.counts) {
            let (images, others) = rest.split_at(count as usize);
            rest = others;
            if own.contains(&shard.path) {
                some.shards.push(shard);
                some.counts.push(count);
                some.images.extend(images.iter().map(|image| match image.label.meaning() {
                    Meaning::Name(name) => {
                        IndexedImage { label: some.names.label(&self.names.list[name]), ..*image }
                    }
                    _ => *image,
                }));
            }
        }
        some
    }

    /// Scans shards, several at a time.
    fn build(shards: Vec<Shard>) -> Result<Self, DataError> {
        /// More make disks seek without end.
        const MAX_THREADS: usize = 8;
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..threads.min(shards.len()) {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(shard) = shards.get(number) else { break };
                        let scanned = scan(&shard.path);
                        results.lock().unwrap_or_else(PoisonError::into_inner).push((number, scanned));
                    }
                });
            }
        });
        let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.sort_unstable_by_key(|(number, _)| *number);

        let mut index = Self { shards, ..Self::default() };
        for (_, scanned) in results {
            let (images, names) = scanned?;
            index.counts.push(images.len() as u32);
            index.images.extend(images.into_iter().map(|image| match image.label.meaning() {
                Meaning::Name(name) => IndexedImage { label: index.names.label(&names.list[name]), ..image },
                _ => image,
            }));
        }
        Ok(index)
    }
}

/// A shard as it is now.
fn found(path: &Path) -> Result<Shard, DataError> {
    let metadata =
        fs::metadata(path).map_err(|source| DataError::io("read", path.display().to_string(), source))?;
    Ok(Shard { path: path.to_owned(), stamp: Stamp::of(&metadata) })
}
