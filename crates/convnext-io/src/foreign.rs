//! Files from elsewhere: their names and layouts become ours, and shapes tell the configuration.
//!
//! 1. [`Naming`]: timm's and transformers' names become the official ones (facts B4, B5);
//! 2. `remap`: each tensor's name and layout as dense PyTorch code has them (facts B2, B3);
//! 3. `infer`: the configuration from names and shapes, which must fit it without exception;
//! 4. `description`: what else is known, from the files beside it.

mod description;
mod infer;
mod remap;

use std::collections::BTreeMap;
use std::path::Path;

use convnext_core::WeightMetadata;

use crate::naming::Naming;
use crate::{IoError, NamedArray, TensorInfo};
use description::Completed;
use remap::Remapped;

/// What a foreign file turned out to hold, before its tensors are read.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// What the tensors belong to.
    pub(crate) metadata: WeightMetadata,
    /// By the name in the file.
    tensors: BTreeMap<String, Remapped>,
    /// What the files beside it say and nobody does here.
    remarks: Vec<String>,
}

impl Foreign {
    /// Works out what tensors of these names and shapes are.
    ///
    /// # Errors
    /// [`IoError::Foreign`] for names of no known [`Naming`], [`IoError::BadTensor`],
    /// [`IoError::ForeignMismatch`] and [`IoError::ImpossibleModel`] for tensors that make no model.
    pub(crate) fn recognise(path: &Path, tensors: &[TensorInfo]) -> Result<Self, IoError> {
        let naming = Naming::of(tensors).ok_or_else(|| IoError::Foreign { path: path.to_owned() })?;
        let mut remapped = BTreeMap::new();
        let mut shapes = BTreeMap::new();
        for tensor in tensors {
            // Other names stay, so that they are listed among what does not fit.
            let name = naming.official(&tensor.name).unwrap_or_else(|| tensor.name.clone());
            let new =
                Remapped::new(&name, &tensor.shape).map_err(|why| bad_tensor(path, &tensor.name, why))?;
            if shapes.insert(new.name.clone(), new.shape.clone()).is_some() {
                let why = format!("would be called {}, as another tensor; remove one of them", new.name);
                return Err(bad_tensor(path, &tensor.name, why));
            }
            remapped.insert(tensor.name.clone(), new);
        }
        let Completed { metadata, remarks } = description::complete(path, infer::infer(path, &shapes)?);
        Ok(Self { metadata, tensors: remapped, remarks })
    }

    /// The names and shapes that [`Self::convert`] gives.
    pub(crate) fn tensors(&self, found: Vec<TensorInfo>) -> Vec<TensorInfo> {
        let convert = |TensorInfo { name, dtype, shape }: TensorInfo| match self.tensors.get(&name) {
            Some(new) => TensorInfo { name: new.name.clone(), dtype, shape: new.shape.clone() },
            None => TensorInfo { name, dtype, shape },
        };
        found.into_iter().map(convert).collect()
    }

    /// Gives the tensors our names and layouts, one after the other. Now that they are used, it is told what of their
    /// description is not done.
    pub(crate) fn convert(&self, arrays: BTreeMap<String, NamedArray>) -> BTreeMap<String, NamedArray> {
        self.remarks.iter().for_each(|remark| log::warn!("{remark}"));
        let convert = |(name, array)| {
            let array = match self.tensors.get(&name) {
                Some(new) => new.convert(array),
                None => array,
            };
            (array.name.clone(), array)
        };
        arrays.into_iter().map(convert).collect()
    }
}

fn bad_tensor(path: &Path, name: &str, why: impl Into<String>) -> IoError {
    IoError::BadTensor { path: path.to_owned(), name: name.to_owned(), why: why.into() }
}

#[cfg(test)]
mod tests;
