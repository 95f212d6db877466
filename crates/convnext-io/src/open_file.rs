//! Weights in one file or several.

use std::collections::BTreeMap;
use std::path::Path;

use convnext_core::WeightMetadata;

use crate::array::NamedArray;
use crate::error::IoError;
use crate::safetensors_file::TRAINING_PREFIX;
use crate::shards::Shards;
use crate::tensor_file::TensorFile;
use crate::tensor_info::TensorInfo;
use crate::torch_file::{ClassTable, NoTensor};

/// Weights whose structure was checked; the tensors come next.
pub(crate) enum OpenFile {
    Whole(TensorFile),
    Shards(Shards),
}

impl OpenFile {
    /// Opens a file of tensors, or an index and all of its files.
    pub(crate) fn new(path: &Path) -> Result<Self, IoError> {
        match TensorFile::open(path)? {
            Some(file) => Ok(Self::Whole(file)),
            None => Shards::open(path).map(Self::Shards),
        }
    }

    /// Bytes of the file, or of all of them.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Whole(file) => file.size(),
            Self::Shards(shards) => shards.size(),
        }
    }

    /// The tensors, sorted by name.
    pub(crate) fn tensors(&self) -> Vec<TensorInfo> {
        match self {
            Self::Whole(file) => file.tensors(),
            Self::Shards(shards) => shards.tensors(),
        }
    }

    /// By name, what stands in a PyTorch file in place of tensors.
    pub(crate) fn objects(&self) -> &BTreeMap<String, NoTensor> {
        static NONE: BTreeMap<String, NoTensor> = BTreeMap::new();
        match self {
            Self::Whole(file) => file.objects(),
            Self::Shards(_) => &NONE,
        }
    }

    /// Names and colours of the classes that a PyTorch file holds.
    pub(crate) fn classes(&self) -> Option<&ClassTable> {
        match self {
            Self::Whole(file) => file.classes(),
            Self::Shards(_) => None,
        }
    }

    /// Our own metadata of the tensors, if there is any.
    pub(crate) fn weight_metadata(&self) -> Result<Option<WeightMetadata>, IoError> {
        match self {
            Self::Whole(file) => file.weight_metadata(),
            Self::Shards(_) => Ok(None),
        }
    }

    /// Finds elements of a type that is not read.
    pub(crate) fn check_types(&self) -> Result<(), IoError> {
        match self {
            Self::Whole(file) => file.check_types(),
            Self::Shards(_) => Ok(()),
        }
    }

    /// Reads the tensors whose names are `wanted`, but none of a training.
    pub(crate) fn read_arrays(
        &mut self,
        wanted: impl Fn(&str) -> bool + Copy,
    ) -> Result<BTreeMap<String, NamedArray>, IoError> {
        match self {
            // Checkpoints of ours are safetensors.
            Self::Whole(file @ TensorFile::Safetensors(_)) => {
                file.read_arrays(|name| wanted(name) && !name.starts_with(TRAINING_PREFIX))
            }
            Self::Whole(file) => file.read_arrays(wanted),
            Self::Shards(shards) => shards.read_arrays(wanted),
        }
    }
}
