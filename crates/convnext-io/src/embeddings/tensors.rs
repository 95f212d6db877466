//! Embeddings and their names as two tensors of a safetensors file.

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

use serde_json::json;

use super::lines::{Lines, write_values};
use super::metadata::EmbeddingMetadata;
use crate::replace_file::UnfinishedFile;

/// The names of the tensors.
pub(super) const EMBEDDINGS: &str = "embeddings";
/// See [`EMBEDDINGS`].
pub(super) const NAMES: &str = "names";
/// Our key in `__metadata__`.
pub(super) const METADATA_KEY: &str = "convnext.embeddings";

#[derive(Debug)]
pub(super) struct Writer {
    unfinished: UnfinishedFile,
    values: BufWriter<File>,
    metadata: String,
    /// Bytes of the header, enough for the largest numbers.
    header: usize,
    names: Lines,
    width: usize,
    count: usize,
}

impl Writer {
    pub(super) fn create(path: &Path, width: usize, metadata: &EmbeddingMetadata) -> io::Result<Self> {
        let unfinished = UnfinishedFile::beside(path)?;
        let mut values = BufWriter::new(unfinished.file().try_clone()?);
        let metadata = serde_json::to_string(metadata)?;
        let largest = u64::MAX;
        let header = header(&metadata, largest, width, [largest; 2])?.len().next_multiple_of(8);
        values.write_all(&vec![b' '; 8 + header])?;
        Ok(Self { unfinished, values, metadata, header, names: Lines::default(), width, count: 0 })
    }

    pub(super) fn push(&mut self, name: &str, vector: &[f32]) -> io::Result<()> {
        self.names.push(name);
        self.count += 1;
        write_values(&mut self.values, vector)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        let names = self.names.0.as_bytes();
        self.values.write_all(names)?;
        let end = (self.count * self.width * size_of::<f32>()) as u64;
        let ends = [end, end + names.len() as u64];
        let mut header = header(&self.metadata, self.count as u64, self.width, ends)?;
        header.resize(self.header, b' ');
        self.values.seek(SeekFrom::Start(0))?;
        self.values.write_all(&(self.header as u64).to_le_bytes())?;
        self.values.write_all(&header)?;
        self.values.flush()?;
        self.unfinished.finish()
    }
}

fn header(metadata: &str, count: u64, width: usize, [values, names]: [u64; 2]) -> io::Result<Vec<u8>> {
    let header = json!({
        "__metadata__": { METADATA_KEY: metadata },
        EMBEDDINGS: { "dtype": "F32", "shape": [count, width], "data_offsets": [0, values] },
        NAMES: { "dtype": "U8", "shape": [names - values], "data_offsets": [values, names] },
    });
    Ok(serde_json::to_vec(&header)?)
}
