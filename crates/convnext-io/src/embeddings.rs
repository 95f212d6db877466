//! Files of many named embeddings of one width, for other programs and for a nearest-neighbour search.
//!
//! They are written as the embeddings come, so that their number is limited by the disk alone, and appear only when they
//! are whole. Names are kept in memory until the end, but for parquet.

mod index;
mod lines;
mod metadata;
mod npy;
mod parquet_file;
mod tensors;

use std::path::{Path, PathBuf};

pub use index::EmbeddingIndex;
pub use metadata::EmbeddingMetadata;

use crate::error::IoError;

/// Writes embeddings one after the other; the extension of the file decides the format:
///
/// - `.safetensors`: `embeddings` (F32, `[N, width]`) and `names` (U8, UTF-8 text, a name a line);
/// - `.npy`: the embeddings, and beside it `FILE.names.txt`, a name a line;
/// - `.parquet`: the columns `file` (string) and `embedding` (list of floats).
///
/// Line ends in names become spaces where a name has a line.
#[derive(Debug)]
pub struct EmbeddingWriter {
    path: PathBuf,
    width: usize,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Tensors(tensors::Writer),
    Npy(npy::Writer),
    Parquet(parquet_file::Writer),
}

impl EmbeddingWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// [`IoError::EmbeddingFormat`] for another extension, [`IoError::Write`] when the folder cannot be
    /// written to.
    pub fn create(path: &Path, width: usize, metadata: &EmbeddingMetadata) -> Result<Self, IoError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        let format = match extension {
            "safetensors" => tensors::Writer::create(path, width, metadata).map(Format::Tensors),
            "npy" => npy::Writer::create(path, width).map(Format::Npy),
            "parquet" => parquet_file::Writer::create(path, metadata).map(Format::Parquet),
            _ => return Err(IoError::EmbeddingFormat { path: path.to_owned() }),
        };
        let failed = |source| IoError::Write { path: path.to_owned(), source };
        Ok(Self { path: path.to_owned(), width, format: format.map_err(failed)? })
    }

    /// Adds an embedding.
    ///
    /// # Errors
    /// [`IoError::InvalidArray`] for an embedding of another width, [`IoError::Write`] when the disk is full.
    pub fn push(&mut self, name: &str, vector: &[f32]) -> Result<(), IoError> {
        if vector.len() != self.width {
            let why = format!("its embedding has {} values, but the file is of {}", vector.len(), self.width);
            return Err(IoError::InvalidArray { name: name.to_owned(), why });
        }
        let pushed = match &mut self.format {
            Format::Tensors(writer) => writer.push(name, vector),
            Format::Npy(writer) => writer.push(name, vector),
            Format::Parquet(writer) => writer.push(name, vector),
        };
        pushed.map_err(|source| IoError::Write { path: self.path.clone(), source })
    }

    /// Puts the file into its place.
    ///
    /// # Errors
    /// [`IoError::Write`].
    pub fn finish(self) -> Result<(), IoError> {
        let finished = match self.format {
            Format::Tensors(writer) => writer.finish(),
            Format::Npy(writer) => writer.finish(),
            Format::Parquet(writer) => writer.finish(),
        };
        finished.map_err(|source| IoError::Write { path: self.path, source })
    }
}

#[cfg(test)]
mod tests;
