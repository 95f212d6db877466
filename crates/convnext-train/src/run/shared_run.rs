//! The run folder of a training that ranks share: rank 0 has it, and reads and writes for all.

use std::collections::BTreeMap;
use std::path::PathBuf;

use convnext_distributed::Ranks;
use convnext_io::{CheckpointFile, ElementType, IoError, NamedArray};
use serde::{Deserialize, Serialize};

use crate::error::TrainError;
use crate::run::checkpoint::Progress;
use crate::run::meeting::meet;
use crate::run::run_folder::RunFolder;

/// The run folder where this rank has it, which is on rank 0 alone.
pub(crate) struct SharedRun<'a> {
    ranks: &'a Ranks,
    folder: Option<&'a mut RunFolder>,
}

/// A checkpoint as all ranks have it.
pub(crate) struct SharedCheckpoint {
    /// The file; on other ranks than the first its folder is missing.
    pub(crate) path: PathBuf,
    pub(crate) arrays: BTreeMap<String, NamedArray>,
    pub(crate) progress: Progress,
}

/// What is told of a checkpoint before its tensors.
#[derive(Serialize, Deserialize)]
struct Contents {
    path: PathBuf,
    /// In JSON.
    progress: String,
    /// Name, element type, shape and bytes of each tensor.
    tensors: Vec<(String, ElementType, Vec<usize>, usize)>,
}

impl<'a> SharedRun<'a> {
    pub(crate) fn new(ranks: &'a Ranks, folder: Option<&'a mut RunFolder>) -> Self {
        Self { ranks, folder }
    }

    /// Has rank 0 write, and the others wait for it.
    ///
    /// # Errors
    /// That of the write, on all ranks.
    pub(crate) fn write(
        &mut self,
        write: impl FnOnce(&mut RunFolder) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        meet(self.ranks, self.folder.as_deref_mut().map_or(Ok(()), write))
    }

    /// The folder for images, on rank 0 alone.
    ///
    /// # Errors
    /// [`TrainError::Output`] when it cannot be made; the other ranks do not know.
    pub(crate) fn images(&self) -> Result<Option<PathBuf>, TrainError> {
        self.folder.as_deref().map(RunFolder::images).transpose()
    }

    /// The place of a checkpoint, for messages; they are those of rank 0.
    pub(crate) fn checkpoint_path(&self, step: usize) -> PathBuf {
        self.folder.as_deref().map(|run| run.checkpoints().path(step)).unwrap_or_default()
    }

    /// The place of the last checkpoint in words, likewise.
    pub(crate) fn last_checkpoint_in_words(&self) -> String {
        self.folder.as_deref().map(|run| run.checkpoints().last_in_words()).unwrap_or_default()
    }

    /// The newest checkpoint, which rank 0 reads and sends to the others; metrics and events are cut back to it. Without one
    /// they are emptied.
    ///
    /// # Errors
    /// Those of reading it, on all ranks.
    pub(crate) fn newest_checkpoint(&mut self) -> Result<Option<SharedCheckpoint>, TrainError> {
        let read = match self.folder.as_deref_mut() {
            Some(run) => run.newest_checkpoint().map(|found| {
                found.map(|(file, progress)| (run.checkpoints().path(progress.step), file, progress))
            }),
            None => Ok(None),
        };
        let read = meet(self.ranks, read)?;
        if self.ranks.is_alone() {
            let shared = |(path, file, progress): (PathBuf, CheckpointFile, Progress)| SharedCheckpoint {
                path,
                arrays: file.arrays,
                progress,
            };
            return Ok(read.map(shared));
        }
        let (contents, mut arrays) = match read {
            Some((path, file, _)) => {
                let tensors = file.arrays.values();
                let tensors = tensors.map(|array| {
                    (array.name.clone(), array.element_type, array.shape.clone(), array.bytes.len())
                });
                let contents = Contents { path, progress: file.progress, tensors: tensors.collect() };
                (Some(contents), file.arrays)
            }
            None => (None, BTreeMap::new()),
        };
        let Some(contents) = self.ranks.from_first(|| Ok::<_, TrainError>(contents))? else {
            return Ok(None);
        };
        for (name, element_type, shape, length) in contents.tensors {
            let array = arrays.entry(name.clone()).or_insert_with(|| NamedArray {
                name,
                element_type,
                shape,
                bytes: vec![0; length],
            });
            self.ranks.broadcast(&mut array.bytes, 0);
        }
        let progress = serde_json::from_str(&contents.progress)
            .map_err(|source| IoError::BadMetadata { path: contents.path.clone(), source });
        let progress = meet(self.ranks, progress.map_err(TrainError::from))?;
        Ok(Some(SharedCheckpoint { path: contents.path, arrays, progress }))
    }
}
