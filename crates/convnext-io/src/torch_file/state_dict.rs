//! The tensors of a checkpoint, and whether what they say about themselves can be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::Dtype;

use super::class_table::{self, ClassTable};
use super::flatten::{NoTensor, flatten};
use super::pickle::Pickle;
use super::values::{Node, RawStorage, RawTensor, Value};
use crate::error::IoError;

/// More axes than any tensor of a model has.
const MAX_AXES: usize = 8;

/// Longer keys belong to no storage: torch numbers them.
pub(super) const MAX_KEY_LENGTH: usize = 40;

/// A tensor that lies within its storage, which has the size that the file shows.
#[derive(Debug)]
pub(super) struct StateTensor {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// The key of its storage.
    pub(super) storage: String,
    /// Bytes of the storage.
    stored: u64,
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

/// Content of a checkpoint, every tensor checked against its storage.
pub(super) struct Contents {
    /// By name.
    pub(super) tensors: BTreeMap<String, StateTensor>,
    /// By name: what stands where a tensor or a dictionary might.
    pub(super) objects: BTreeMap<String, NoTensor>,
    /// Names and colours of the classes.
    pub(super) classes: ClassTable,
}

/// Finds the tensors of a checkpoint and checks each against its storage, whose bytes `size` tells by its key.
///
/// # Errors
/// [`IoError::NoStateDict`] without any, or [`IoError::ForbiddenGlobal`] if what is not read might hold them;
/// [`IoError::BadTensor`] for one that reaches outside its storage.
pub(super) fn find(
    path: &Path,
    pickle: &Pickle,
    size: &dyn Fn(&str) -> Option<u64>,
) -> Result<Contents, IoError> {
    let flat = flatten(pickle).ok_or_else(|| IoError::BadPickle {
        path: path.to_owned(),
        why: "its names are longer than the file".to_owned(),
    })?;
    if flat.tensors.is_empty() {
        return Err(match flat.objects.values().find_map(NoTensor::class) {
            Some(global) => IoError::ForbiddenGlobal { path: path.to_owned(), global: global.to_owned() },
            None => no_state_dict(path, &flat.keys),
        });
    }
    let mut tensors = BTreeMap::new();
    for (name, raw) in flat.tensors {
        let bad = |why: String| IoError::BadTensor { path: path.to_owned(), name: name.clone(), why };
        let tensor = check(pickle, size, raw).map_err(bad)?;
        if tensors.contains_key(&name) {
            return Err(bad("is there twice; save the state dict again".to_owned()));
        }
        tensors.insert(name, tensor);
    }
    Ok(Contents { tensors, objects: flat.objects, classes: class_table::find(pickle) })
}

fn no_state_dict(path: &Path, keys: &[&str]) -> IoError {
    let keys: Vec<&str> = keys.iter().copied().take(10).collect();
    let found = keys.join(", ").escape_debug().take(200).collect();
    IoError::NoStateDict { path: path.to_owned(), found }
}

/// Finds out whether tensors are together larger than the file, before any is read: archives may store one range of
/// bytes as many records, and tensors may share a storage.
///
/// # Errors
/// [`IoError::BadTensor`] with the first tensor that has no room.
pub(super) fn check_room<'t>(
    path: &Path,
    file_size: u64,
    tensors: impl Iterator<Item = (&'t String, &'t StateTensor)>,
) -> Result<(), IoError> {
    let mut storages = BTreeSet::new();
    let mut room = [file_size; 2];
    for (name, tensor) in tensors {
        let storage = if storages.insert(&tensor.storage) { tensor.stored } else { 0 };
        let elements = (tensor.count as u64).saturating_mul(size_of_dtype(tensor.dtype));
        for (room, taken) in room.iter_mut().zip([storage, elements]) {
            *room = room.checked_sub(taken).ok_or_else(|| IoError::BadTensor {
                path: path.to_owned(),
                name: name.clone(),
                why: "and those before it are together larger than the file; save copies of them".to_owned(),
            })?;
        }
    }
    Ok(())
}

/// Checks one tensor; the error says what is wrong with it.
fn check(
    pickle: &Pickle,
    size: &dyn Fn(&str) -> Option<u64>,
    raw: &RawTensor,
) -> Result<StateTensor, String> {
    let Some(Node::Storage(storage)) = pickle.node(raw.storage) else {
        return Err("has no storage; save the file again".to_owned());
    };
    if !is_stored_as_it_is(pickle, raw) {
        return Err("is stored negated or conjugated; save tensor.resolve_neg().resolve_conj() in its place"
            .to_owned());
    }
    let RawStorage { dtype, key, count: elements } = **storage;
    let storage = pickle.text(key).filter(|key| key.len() <= MAX_KEY_LENGTH).unwrap_or_default();
    let found = size(storage).ok_or_else(|| {
        format!("has its elements in data/{storage}, which is missing; copy the file again")
    })?;
    let stored = usize::try_from(elements).unwrap_or(usize::MAX);
    let bytes = (stored as u64).checked_mul(size_of_dtype(dtype));
    if bytes != Some(found) {
        return Err(format!(
            "has a storage of {elements} elements of {dtype} in a record of {found} bytes; copy the file again"
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
    let storage = storage.to_owned();
    Ok(StateTensor { dtype, shape, storage, stored: found, offset, strides, count })
}

/// `false` for a view such as that of `Tensor.imag`, whose elements get another sign when they are read.
fn is_stored_as_it_is(pickle: &Pickle, raw: &RawTensor) -> bool {
    match pickle.node(raw.metadata) {
        Some(Node::Dict(entries)) => entries.is_empty(),
        _ => raw.metadata == Value::Other,
    }
}

/// A short tuple of numbers that are not negative.
fn numbers(pickle: &Pickle, value: Value) -> Option<Vec<usize>> {
    let number = |&value: &Value| match value {
        Value::Int(number) => usize::try_from(number).ok(),
        _ => None,
    };
    match pickle.node(value) {
        Some(Node::Tuple(items)) if items.len() <= MAX_AXES => items.iter().map(number).collect(),
        _ => None,
    }
}

/// Bytes of an element; all types of [`super::globals`] have whole bytes.
pub(super) fn size_of_dtype(dtype: Dtype) -> u64 {
    (dtype.bitsize() / 8) as u64
}
