//! Where a checkpoint keeps the tensors of its model (facts B1), and what they say about themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::Dtype;

use super::archive::{Archive, Record};
use super::pickle::{Node, Pickle, RawStorage, RawTensor, Value};
use crate::IoError;

/// Keys that hold the model, best first; without them the whole file is its state dict.
const WRAPPERS: [&str; 2] = ["model", "model_ema"];

/// More axes than any tensor of a model has.
const MOST_AXES: usize = 8;

/// Longer keys belong to no storage: torch numbers them.
const LONGEST_KEY: usize = 40;

/// A tensor that lies within its storage, which has the size that its record shows.
#[derive(Debug)]
pub(super) struct StateTensor {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// The key of its storage.
    pub(super) storage: String,
    pub(super) record: Record,
    /// All in elements.
    offset: usize,
    strides: Vec<usize>,
    count: usize,
}

impl StateTensor {
    /// The elements in C order, from the bytes of the storage.
    pub(super) fn elements(&self, storage: &[u8], element_size: usize) -> Vec<u8> {
        let range = |first: usize, count: usize| {
            // The storage was found to hold every element.
            storage.get(first * element_size..(first + count) * element_size).unwrap_or_default()
        };
        if self.is_contiguous() {
            return range(self.offset, self.count).to_vec();
        }
        let mut bytes = Vec::with_capacity(self.count * element_size);
        let mut index = vec![0; self.shape.len()];
        for _ in 0..self.count {
            let place: usize = index.iter().zip(&self.strides).map(|(index, stride)| index * stride).sum();
            bytes.extend_from_slice(range(self.offset + place, 1));
            for (index, &side) in index.iter_mut().zip(&self.shape).rev() {
                *index += 1;
                if *index < side {
                    break;
                }
                *index = 0;
            }
        }
        bytes
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        (self.shape.iter().zip(&self.strides).rev()).all(|(&side, &stride)| {
            let fits = side == 1 || stride == expected;
            expected *= side;
            fits || self.count == 0
        })
    }
}

/// Finds the model's tensors and checks each against its storage.
///
/// # Errors
/// [`IoError::NoStateDict`]; [`IoError::BadTensor`] for what is no tensor, for one that reaches outside its
/// storage, and when storages or tensors lie over each other, so that they are larger than the file.
pub(super) fn find(
    path: &Path,
    file_size: u64,
    pickle: &Pickle,
    archive: &Archive,
) -> Result<BTreeMap<String, StateTensor>, IoError> {
    let (entries, wrapped) = entries(path, pickle)?;
    if !wrapped && !entries.iter().all(|&(_, value)| matches!(pickle.node(value), Some(Node::Tensor(_)))) {
        return Err(no_state_dict(path, pickle, entries));
    }
    let mut tensors = BTreeMap::new();
    let mut storages = BTreeSet::new();
    let mut room = [file_size; 2];
    for &(key, value) in entries {
        let Some(name) = pickle.text(key) else {
            return Err(no_state_dict(path, pickle, entries));
        };
        let bad = |why: String| IoError::BadTensor { path: path.to_owned(), name: name.to_owned(), why };
        let Some(Node::Tensor(raw)) = pickle.node(value) else {
            return Err(bad("is no tensor; remove it from the state dict".to_owned()));
        };
        let tensor = check(pickle, archive, raw).map_err(bad)?;
        // Archives may store one range of bytes as many records, and tensors may share a storage.
        let storage = if storages.insert(tensor.storage.clone()) { tensor.record.size } else { 0 };
        let elements = (tensor.count as u64).saturating_mul(size_of_dtype(tensor.dtype));
        for (room, taken) in room.iter_mut().zip([storage, elements]) {
            *room = room.checked_sub(taken).ok_or_else(|| {
                bad("and those before it are together larger than the file; save copies of them".to_owned())
            })?;
        }
        if tensors.insert(name.to_owned(), tensor).is_some() {
            return Err(bad("is there twice; save the state dict again".to_owned()));
        }
    }
    Ok(tensors)
}

type Entries = [(Value, Value)];

/// The entries of the state dict, and whether they stand under one of the [`WRAPPERS`].
fn entries<'p>(path: &Path, pickle: &'p Pickle) -> Result<(&'p Entries, bool), IoError> {
    let Some(Node::Dict(top)) = pickle.node(pickle.root) else {
        return Err(no_state_dict(path, pickle, &[]));
    };
    for wrapper in WRAPPERS {
        // As in Python, the last entry of a key counts.
        if let Some(&(_, value)) = top.iter().rev().find(|&&(key, _)| pickle.text(key) == Some(wrapper)) {
            return match pickle.node(value) {
                Some(Node::Dict(entries)) => Ok((entries, true)),
                _ => Err(no_state_dict(path, pickle, top)),
            };
        }
    }
    Ok((top, false))
}

fn no_state_dict(path: &Path, pickle: &Pickle, entries: &Entries) -> IoError {
    let keys: Vec<&str> = entries.iter().filter_map(|&(key, _)| pickle.text(key)).take(10).collect();
    let found = keys.join(", ").escape_debug().take(200).collect();
    IoError::NoStateDict { path: path.to_owned(), found }
}

/// Checks one tensor; the error says what is wrong with it.
fn check(pickle: &Pickle, archive: &Archive, raw: &RawTensor) -> Result<StateTensor, String> {
    let Some(Node::Storage(storage)) = pickle.node(raw.storage) else {
        return Err("has no storage; save the file again".to_owned());
    };
    let RawStorage { dtype, key, count: elements } = **storage;
    let storage = pickle.text(key).filter(|key| key.len() <= LONGEST_KEY).unwrap_or_default();
    let record = *archive.storage(storage).ok_or_else(|| {
        format!("has its elements in record data/{storage}, which is missing; copy the file again")
    })?;
    let stored = usize::try_from(elements).unwrap_or(usize::MAX);
    let bytes = (stored as u64).checked_mul(size_of_dtype(dtype));
    if bytes != Some(record.size) {
        return Err(format!(
            "has a storage of {elements} elements of {dtype} in a record of {} bytes; copy the file again",
            record.size
        ));
    }
    let outside = || "reaches outside its storage; save the file again".to_owned();
    let shape = numbers(pickle, raw.size).ok_or_else(outside)?;
    let strides = numbers(pickle, raw.stride).ok_or_else(outside)?;
    let Value::Int(offset) = raw.offset else { return Err(outside()) };
    let offset = usize::try_from(offset).map_err(|_| outside())?;
    let count = shape.iter().try_fold(1_usize, |count, &side| count.checked_mul(side)).ok_or_else(outside)?;
    // One more than the place of the last element.
    let end = (shape.iter().zip(&strides))
        .try_fold(offset, |place, (&side, &stride)| {
            place.checked_add(side.saturating_sub(1).checked_mul(stride)?)
        })
        .and_then(|last| last.checked_add(1));
    let fits = count == 0 || end.is_some_and(|end| end <= stored);
    if shape.len() != strides.len() || count > stored || !fits {
        return Err(outside());
    }
    Ok(StateTensor { dtype, shape, storage: storage.to_owned(), record, offset, strides, count })
}

/// A short tuple of numbers that are not negative.
fn numbers(pickle: &Pickle, value: Value) -> Option<Vec<usize>> {
    let number = |&value: &Value| match value {
        Value::Int(number) => usize::try_from(number).ok(),
        _ => None,
    };
    match pickle.node(value) {
        Some(Node::Tuple(items)) if items.len() <= MOST_AXES => items.iter().map(number).collect(),
        _ => None,
    }
}

/// Bytes of an element; all types of [`super::globals`] have whole bytes.
fn size_of_dtype(dtype: Dtype) -> u64 {
    (dtype.bitsize() / 8) as u64
}
