//! Writing a model whose weights come one after the other.
//!
//! A protocol buffer holds the length of a message before the message. The lengths are computed first, so that
//! at most one tensor is converted and no message with tensors is ever in memory.

use std::borrow::Cow;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use convnext_io::{ElementType, IoError, NamedArray, replace_file};
use prost::Message;

use crate::messages::{
    EXTERNAL, Entry, FLOAT, GRAPH_INITIALIZER, Graph, MODEL_GRAPH, Model, TENSOR_RAW_DATA, Tensor,
};

/// Alignment of external tensors: multiples of this, as the format recommends, so that runtimes may map them
/// into memory.
const ALIGNMENT: u64 = 4096;

/// A model to be written: everything but the weights, and these.
pub(crate) struct ModelFile<'a> {
    /// Without its graph.
    pub(crate) model: Model,
    /// With its constants, without the weights.
    pub(crate) graph: Graph,
    /// Arrays that were checked: their bytes fit their shapes.
    pub(crate) weights: Vec<&'a NamedArray>,
}

impl ModelFile<'_> {
    /// Writes the model, the weights within; `false` when the file would have more than `largest` bytes and
    /// nothing was written.
    pub(crate) fn write_whole(&self, path: &Path, largest: u64) -> Result<bool, IoError> {
        let tensors: Vec<_> = self.weights.iter().map(|array| tensor(array)).collect();
        let lengths: Vec<u64> = (tensors.iter().zip(&self.weights))
            .map(|(tensor, array)| tensor.encoded_len() as u64 + prefixed(raw_length(array)))
            .collect();
        let graph = self.graph.encoded_len() as u64 + lengths.iter().copied().map(prefixed).sum::<u64>();
        if self.model.encoded_len() as u64 + prefixed(graph) > largest {
            return Ok(false);
        }
        let write = |file: &mut dyn Write| {
            file.write_all(&self.model.encode_to_vec())?;
            write_prefix(file, MODEL_GRAPH, graph)?;
            file.write_all(&self.graph.encode_to_vec())?;
            for ((tensor, &length), array) in tensors.iter().zip(&lengths).zip(&self.weights) {
                write_prefix(file, GRAPH_INITIALIZER, length)?;
                file.write_all(&tensor.encode_to_vec())?;
                write_prefix(file, TENSOR_RAW_DATA, raw_length(array))?;
                file.write_all(&single_precision(array)?)?;
            }
            Ok(())
        };
        replace(path, write)?;
        Ok(true)
    }

    /// Writes the weights to `data`, a file in the same folder, and then the model, which refers to that by
    /// `name`.
    pub(crate) fn write_apart(mut self, path: &Path, data: &Path, name: &str) -> Result<(), IoError> {
        replace(data, |file| {
            let mut written = 0;
            for array in &self.weights {
                let padding = aligned(written) - written;
                io::copy(&mut io::Read::take(io::repeat(0), padding), file)?;
                file.write_all(&single_precision(array)?)?;
                written += padding + raw_length(array);
            }
            Ok(())
        })?;
        let mut offset = 0;
        for array in &self.weights {
            let length = raw_length(array);
            let entry = |key: &str, value: String| Entry { key: key.to_owned(), value };
            let external_data = vec![
                entry("location", name.to_owned()),
                entry("offset", offset.to_string()),
                entry("length", length.to_string()),
            ];
            let tensor = Tensor { external_data, data_location: EXTERNAL, ..tensor(array) };
            self.graph.initializer.push(tensor);
            offset = aligned(offset + length);
        }
        let model = Model { graph: Some(self.graph), ..self.model };
        replace(path, |file| file.write_all(&model.encode_to_vec()))
    }
}

/// A tensor without its elements.
fn tensor(array: &NamedArray) -> Tensor {
    let dims = array.shape.iter().map(|&side| side as i64).collect();
    Tensor { dims, data_type: FLOAT, name: array.name.clone(), ..Tensor::default() }
}

/// Bytes of an array in single precision.
fn raw_length(array: &NamedArray) -> u64 {
    let elements = array.bytes.len() / array.element_type.size();
    (elements * ElementType::F32.size()) as u64
}

fn single_precision(array: &NamedArray) -> io::Result<Cow<'_, [u8]>> {
    if array.element_type == ElementType::F32 {
        return Ok(Cow::Borrowed(&array.bytes));
    }
    let values = array.to_f32().map_err(io::Error::other)?;
    Ok(Cow::Owned(values.iter().flat_map(|value| value.to_le_bytes()).collect()))
}

fn aligned(offset: u64) -> u64 {
    offset.next_multiple_of(ALIGNMENT)
}

/// Bytes of a field that is a message or bytes, with what stands before it; for numbers below 16.
fn prefixed(length: u64) -> u64 {
    1 + prost::length_delimiter_len(length as usize) as u64 + length
}

/// Prefix of a field of wire type 2: its number and its length.
fn write_prefix(file: &mut dyn Write, number: u8, length: u64) -> io::Result<()> {
    let mut bytes = vec![number << 3 | 2];
    prost::encode_length_delimiter(length as usize, &mut bytes)?;
    file.write_all(&bytes)
}

fn replace(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), IoError> {
    replace_file(path, |file| {
        let mut file = BufWriter::with_capacity(1 << 20, file);
        write(&mut file)?;
        file.flush()
    })
    .map_err(|source| IoError::Write { path: path.to_owned(), source })
}
