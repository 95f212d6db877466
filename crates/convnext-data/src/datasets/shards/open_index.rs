//! Index of the shards of one folder: read, or made by going through them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{
    Shard,
    index::{Index, IndexedImage, Meaning},
    index_file,
    scan::{Scanned, scan},
};
use crate::datasets::storage::Stamp;
use crate::error::DataError;

/// The index of the shards of a folder: the one beside them if it fits, else a new one, which is written there if `keep`
/// says so.
pub(crate) fn open_index(folder: &Path, paths: &[PathBuf], keep: bool) -> Result<Index, DataError> {
    let shards = paths.iter().map(|path| found(path)).collect::<Result<Vec<_>, _>>()?;
    if let Some(index) = index_file::read(folder, &shards) {
        tell(&index);
        return Ok(index);
    }
    log::info!("{}: listing the members of {} shards", folder.display(), shards.len());
    let index = build(shards)?;
    tell(&index);
    if keep && let Err(error) = index_file::write(folder, &index) {
        log::info!(
            "{}: the list of members cannot be kept beside the shards ({error}); it is made again each time",
            folder.display()
        );
    }
    Ok(index)
}

/// Warns of what is left out, each time that the shards are opened, however long ago they were scanned.
fn tell(index: &Index) {
    for (shard, remarks) in index.shards.iter().zip(&index.remarks) {
        remarks.iter().for_each(|remark| log::warn!("{}: {remark}", shard.path.display()));
    }
}

/// Scans shards, several at a time.
fn build(shards: Vec<Shard>) -> Result<Index, DataError> {
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

    let mut index = Index { shards, ..Index::default() };
    for (_, scanned) in results {
        let Scanned { images, names, remarks } = scanned?;
        index.counts.push(images.len() as u32);
        index.remarks.push(remarks);
        index.images.extend(images.into_iter().map(|image| match image.label.meaning() {
            Meaning::Name(name) => IndexedImage { label: index.names.label(&names.list[name]), ..image },
            _ => image,
        }));
    }
    Ok(index)
}

/// A shard as it is now.
fn found(path: &Path) -> Result<Shard, DataError> {
    let metadata =
        fs::metadata(path).map_err(|source| DataError::io("read", path.display().to_string(), source))?;
    Ok(Shard { path: path.to_owned(), stamp: Stamp::of(&metadata) })
}
