//! Iteration over the embeddings of a safetensors file.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use safetensors::Dtype;

use super::metadata::EmbeddingMetadata;
use super::tensors::{EMBEDDINGS, METADATA_KEY, NAMES};
use crate::error::IoError;
use crate::safetensors_file::SafetensorsFile;

/// An open file of [`super::EmbeddingWriter`]: its metadata and names. The embeddings stay on the disk.
#[derive(Debug)]
pub struct EmbeddingIndex {
    path: PathBuf,
    file: File,
    metadata: EmbeddingMetadata,
    names: Vec<String>,
    width: usize,
    /// Offset of the embeddings.
    start: u64,
}

impl EmbeddingIndex {
    /// Opens a file and reads its names.
    ///
    /// # Errors
    /// [`IoError::NoEmbeddings`] for files of another kind, and those of a damaged safetensors file.
    pub fn open(path: &Path) -> Result<Self, IoError> {
        let opened = SafetensorsFile::open(path)?;
        let foreign = || IoError::NoEmbeddings { path: path.to_owned() };
        let metadata = opened.entry(METADATA_KEY).ok_or_else(foreign)?;
        let metadata = serde_json::from_str(metadata).map_err(|_| foreign())?;
        let (embeddings, names) = opened.place(EMBEDDINGS).zip(opened.place(NAMES)).ok_or_else(foreign)?;
        if (embeddings.dtype, names.dtype) != (Dtype::F32, Dtype::U8) {
            return Err(foreign());
        }
        let &[count, width] = embeddings.shape.as_slice() else { return Err(foreign()) };
        let mut text = vec![0; (names.end - names.start) as usize];
        let mut file = opened.into_file();
        let failed = |source| IoError::Read { path: path.to_owned(), source };
        file.seek(SeekFrom::Start(names.start)).map_err(failed)?;
        file.read_exact(&mut text).map_err(failed)?;
        let names: Vec<String> = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
        let is_whole = (embeddings.end - embeddings.start) as usize == count * width * size_of::<f32>();
        if names.len() != count || width == 0 || !is_whole {
            return Err(foreign());
        }
        Ok(Self { path: path.to_owned(), file, metadata, names, width, start: embeddings.start })
    }

    /// Metadata of the embeddings.
    pub fn metadata(&self) -> &EmbeddingMetadata {
        &self.metadata
    }

    /// The names, in the order of the embeddings.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Width of an embedding.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Calls `each` with every embedding, in order.
    ///
    /// # Errors
    /// [`IoError::Read`].
    pub fn for_each(&self, mut each: impl FnMut(usize, &[f32])) -> Result<(), IoError> {
        let mut read = || -> io::Result<()> {
            let mut file = BufReader::with_capacity(1 << 20, &self.file);
            file.seek(SeekFrom::Start(self.start))?;
            let mut bytes = vec![0; self.width * size_of::<f32>()];
            let mut values = Vec::with_capacity(self.width);
            for index in 0..self.names.len() {
                file.read_exact(&mut bytes)?;
                let (elements, _) = bytes.as_chunks();
                values.clear();
                values.extend(elements.iter().map(|&element| f32::from_le_bytes(element)));
                each(index, &values);
            }
            Ok(())
        };
        read().map_err(|source| IoError::Read { path: self.path.clone(), source })
    }
}
