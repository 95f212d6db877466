//! Embeddings and their names as the two columns of a parquet file.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::metadata::EmbeddingMetadata;
use crate::replace_file::UnfinishedFile;

/// Two columns: a string, and a list of which each element is at repetition level 1 but the first.
const SCHEMA: &str = "message embeddings {
    required binary file (UTF8);
    required group embedding (LIST) { repeated group list { required float element; } }
}";

/// Embeddings of one row group.
const GROUP: usize = 4096;

/// Our key in the file's metadata.
const METADATA_KEY: &str = "convnext";

pub(super) struct Writer {
    unfinished: UnfinishedFile,
    file: SerializedFileWriter<File>,
    names: Vec<ByteArray>,
    values: Vec<f32>,
}

impl Writer {
    pub(super) fn create(path: &Path, metadata: &EmbeddingMetadata) -> io::Result<Self> {
        let unfinished = UnfinishedFile::beside(path)?;
        let schema = parse_message_type(SCHEMA).map_err(io::Error::other)?;
        let metadata = KeyValue::new(METADATA_KEY.to_owned(), serde_json::to_string(metadata)?);
        // No two embeddings are the same, nor two names: dictionaries would only take room.
        let properties = WriterProperties::builder()
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(vec![metadata]))
            .build();
        let out = unfinished.file().try_clone()?;
        let file = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties))
            .map_err(io::Error::other)?;
        Ok(Self { unfinished, file, names: Vec::new(), values: Vec::new() })
    }

    pub(super) fn push(&mut self, name: &str, vector: &[f32]) -> io::Result<()> {
        self.names.push(name.into());
        self.values.extend(vector);
        if self.names.len() == GROUP { self.write_group().map_err(io::Error::other) } else { Ok(()) }
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        if !self.names.is_empty() {
            self.write_group().map_err(io::Error::other)?;
        }
        self.file.close().map_err(io::Error::other)?;
        self.unfinished.finish()
    }

    fn write_group(&mut self) -> parquet::errors::Result<()> {
        let width = self.values.len() / self.names.len();
        let present = vec![1; self.values.len()];
        let repeated: Vec<i16> = (0..self.values.len()).map(|index| i16::from(index % width != 0)).collect();
        let mut group = self.file.next_row_group()?;
        if let Some(mut column) = group.next_column()? {
            column.typed::<ByteArrayType>().write_batch(&self.names, None, None)?;
            column.close()?;
        }
        if let Some(mut column) = group.next_column()? {
            column.typed::<FloatType>().write_batch(&self.values, Some(&present), Some(&repeated))?;
            column.close()?;
        }
        group.close()?;
        self.names.clear();
        self.values.clear();
        Ok(())
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Writer").field("waiting", &self.names.len()).finish_non_exhaustive()
    }
}
