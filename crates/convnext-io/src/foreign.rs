//! Files from elsewhere: their names and layouts become ours, and the configuration is inferred from shapes.
//!
//! 1. `locate`: where in the file a model is, and which of several counts;
//! 2. `parts`: which tensors around its stem belong to it; `origin`: which do not, and are left out;
//! 3. `dialect` and [`Naming`](crate::Naming): the names of other programs become the official ones
//!    (docs/facts.md, "timm names", "HF names");
//! 4. `remap`: each tensor's name and layout as dense PyTorch code has them (docs/facts.md, "Sparse FCMAE
//!    training checkpoint keys", "`remap_checkpoint_keys`");
//! 5. `infer`: the configuration from names and shapes, which must fit it without exception;
//! 6. `description`: what else is known, from the files beside it, or `undescribed`; `classes`: the names of the classes. Where the file
//!    has metadata of ours, that is all (`own_metadata`).
//!
//! `lone_shard` says so where a file is one of several.

mod classes;
mod description;
mod detector;
mod dialect;
mod infer;
mod locate;
mod lone_shard;
mod origin;
mod own_metadata;
mod parts;
mod remap;
mod undescribed;
mod untold_autoencoder;
mod upernet;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use convnext_core::{ClassNames, DetectionTask, DetectorRules, WeightMetadata};

use crate::array::NamedArray;
use crate::error::{IoError, bad_tensor};
use crate::tensor_info::TensorInfo;
use crate::torch_file::{ClassTable, NoTensor};
use description::Completed;
use dialect::Dialect;
use locate::{Candidate, Role};
pub use origin::Origin;
use parts::Parts;
use remap::Remapped;

/// Words in the keys under which a file keeps its model.
const MODEL_WORDS: [&str; 12] = [
    "model", "module", "net", "network", "state", "weights", "ema", "student", "teacher", "backbone",
    "encoder", "params",
];

/// A file with the model that is chosen of those in it.
#[derive(Clone, Copy)]
struct Found<'a> {
    path: &'a Path,
    candidates: &'a [Candidate],
    chosen: &'a Candidate,
    /// By their names without wrappers.
    tensors: &'a BTreeMap<String, &'a TensorInfo>,
    objects: &'a BTreeMap<String, NoTensor>,
    /// Metadata of ours in the file.
    own: Option<&'a WeightMetadata>,
}

/// Content of a foreign file, before its tensors are read.
#[derive(Debug)]
pub(crate) struct Foreign {
    /// Metadata of the model.
    pub(crate) metadata: WeightMetadata,
    /// Origin of the tensors.
    pub(crate) origin: Origin,
    /// By the name in the file.
    tensors: BTreeMap<String, Remapped>,
    /// Settings of the files beside it that are not followed here, and what in the file does not fit.
    remarks: Vec<String>,
    /// Names of classes that were stated beside it and do not fit.
    unused_names: Option<ClassNames>,
}

impl Foreign {
    /// Works out what tensors of these names and shapes are. `objects` is what stands in the file in place of tensors
    /// or dictionaries. `own` is metadata of ours in the file, which counts.
    ///
    /// # Errors
    /// [`IoError::Foreign`] for names of no known program, [`IoError::SeveralModels`], [`IoError::BadTensor`],
    /// [`IoError::ForeignMismatch`] and [`IoError::ImpossibleModel`] for tensors that make no model, and
    /// [`IoError::ForbiddenGlobal`] if what is no tensor may be the reason; [`IoError::LoneShard`] for one of several
    /// files.
    pub(crate) fn recognise(
        path: &Path,
        tensors: &[TensorInfo],
        objects: &BTreeMap<String, NoTensor>,
        own: Option<&WeightMetadata>,
    ) -> Result<Self, IoError> {
        Self::of_tensors(path, tensors, objects, own).map_err(|error| lone_shard::explained(path, error))
    }

    fn of_tensors(
        path: &Path,
        tensors: &[TensorInfo],
        objects: &BTreeMap<String, NoTensor>,
        own: Option<&WeightMetadata>,
    ) -> Result<Self, IoError> {
        let mut by_name: BTreeMap<String, &TensorInfo> = BTreeMap::new();
        for tensor in tensors {
            if by_name.insert(dialect::without_wrappers(&tensor.name), tensor).is_some() {
                return Err(bad_tensor(path, &tensor.name, "is there twice; remove one of them"));
            }
        }
        let names: BTreeSet<&str> = by_name.keys().map(String::as_str).collect();
        let candidates = locate::candidates(&names);
        let chosen = choose(path, &candidates, objects)?;
        let shape = |name: &str| by_name.get(name).map_or(&[][..], |tensor| &tensor.shape);
        let parts = Parts::of(chosen, &names, &shape);
        let found = Found { path, candidates: &candidates, chosen, tensors: &by_name, objects, own };
        let is_detector = parts.is_detector;
        Self::of_parts(&found, &names, parts).or_else(|error| {
            let kind = detector::of_another_shape(&error).filter(|_| is_detector).ok_or(error)?;
            Self::of_parts(&found, &names, Parts::without_detector(chosen, &names, &shape, Some(kind)))
        })
    }

    /// The content by the parts that belong to the model.
    fn of_parts(found: &Found<'_>, names: &BTreeSet<&str>, parts: Parts<'_>) -> Result<Self, IoError> {
        let Found { path, candidates, chosen, tensors, objects, own } = *found;
        let used = parts.used.iter().map(|&(name, _)| name).collect();
        let Some(origin) = Origin::of(candidates, names, &used, objects) else { return Err(foreign(path)) };
        let origin = Origin { other_detector: parts.other_detector.clone(), ..origin };
        let rules = parts.rules;
        let remapped = remap(path, parts, tensors)?;
        let shapes = remapped.values().map(|tensor| (tensor.name.clone(), tensor.shape.clone())).collect();
        let inferred = infer::infer(path, &shapes, rules).map_err(|error| {
            // Perhaps a tensor is missing because something else stands in its place.
            let in_place = |name: &str| {
                let name = dialect::without_wrappers(name);
                let inner = name.strip_prefix(&chosen.prefix);
                inner.is_some_and(|inner| chosen.dialect.official(inner).is_some())
            };
            let mut classes = objects.iter().filter_map(|(name, found)| Some((name, found.class()?)));
            classes.find(|(name, _)| in_place(name)).map_or(error, |(_, class)| forbidden(path, class))
        })?;
        if let Some(own) = own {
            let remarks = own_metadata::contradicted(path, own).into_iter().collect();
            return Ok(Self {
                metadata: own.clone(),
                origin,
                tensors: remapped,
                remarks,
                unused_names: None,
            });
        }
        let Completed { metadata, mut remarks, unused_names } =
            description::complete(path, inferred, chosen.dialect);
        let is_detector = metadata.task.is::<DetectionTask>();
        remarks.extend(is_detector.then(|| detector::unread(path, &origin.program)));
        Ok(Self { metadata, origin, tensors: remapped, remarks, unused_names })
    }

    /// The same with the names and colours of classes that the file holds, where none are known yet; a thousand classes that
    /// nobody names are those of ImageNet. Remarks say what does not fit.
    pub(crate) fn with_classes(mut self, table: Option<&ClassTable>) -> Self {
        self.metadata = classes::named(self.metadata, self.unused_names.take(), table, &mut self.remarks);
        self
    }

    /// `true` if a tensor of this name in the file belongs to the model.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Says what a user might not expect, and what of the description beside the file is not done.
    pub(crate) fn report(&self, path: &Path) {
        self.origin.report(path);
        self.remarks.iter().for_each(|remark| log::warn!("{remark}"));
    }

    /// The names and shapes that [`Self::convert`] gives.
    pub(crate) fn tensors(&self, found: Vec<TensorInfo>) -> Vec<TensorInfo> {
        let convert = |TensorInfo { name, dtype, .. }: TensorInfo| {
            let new = self.tensors.get(&name)?;
            Some(TensorInfo { name: new.name.clone(), dtype, shape: new.shape.clone() })
        };
        found.into_iter().filter_map(convert).collect()
    }

    /// Gives the tensors our names and layouts, one after the other.
    pub(crate) fn convert(&self, arrays: BTreeMap<String, NamedArray>) -> BTreeMap<String, NamedArray> {
        let convert = |(name, array): (String, NamedArray)| {
            let array = self.tensors.get(&name)?.convert(array);
            Some((array.name.clone(), array))
        };
        arrays.into_iter().filter_map(convert).collect()
    }
}

/// The tensors of a model by their names in the file.
fn remap(
    path: &Path,
    parts: Parts,
    by_name: &BTreeMap<String, &TensorInfo>,
) -> Result<BTreeMap<String, Remapped>, IoError> {
    let mut remapped = BTreeMap::new();
    let mut taken = BTreeSet::new();
    for (name, official) in parts.used {
        let Some(tensor) = by_name.get(name) else { continue };
        let new = Remapped::new(&official, &tensor.shape);
        let new = match parts.rules {
            DetectorRules::MmDetection => new,
            DetectorRules::Torchvision => new.and_then(Remapped::without_first_background),
        };
        let new = new.map_err(|why| bad_tensor(path, &tensor.name, why))?;
        if !taken.insert(new.name.clone()) {
            let why = format!("would be called {}, as another tensor; remove one of them", new.name);
            return Err(bad_tensor(path, &tensor.name, why));
        }
        remapped.insert(tensor.name.clone(), new);
    }
    Ok(remapped)
}

/// `true` if tensors have the names that this program writes, or those of nobody.
pub(crate) fn has_our_names(tensors: &[TensorInfo]) -> bool {
    let names = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    let candidates = locate::candidates(&names);
    let is_ours = |candidate: &Candidate| {
        candidate.dialect == Dialect::Official && matches!(candidate.prefix.as_str(), "" | "encoder.")
    };
    candidates.is_empty() || candidates.iter().any(is_ours)
}

/// The model that counts: the best, if there is only one such.
fn choose<'c>(
    path: &Path,
    candidates: &'c [Candidate],
    objects: &BTreeMap<String, NoTensor>,
) -> Result<&'c Candidate, IoError> {
    let best = |role: Role| candidates.iter().take_while(move |candidate| candidate.role == role);
    match candidates {
        [] => {
            let is_model = |name: &str| name.split(['.', '_']).any(|word| MODEL_WORDS.contains(&word));
            let mut classes = objects.iter().filter_map(|(name, found)| Some((name, found.class()?)));
            let hidden = classes.find(|(name, _)| is_model(name));
            Err(hidden.map_or_else(|| foreign(path), |(_, class)| forbidden(path, class)))
        }
        [first, second, ..] if first.role == second.role => {
            let found = best(first.role).map(|candidate| candidate.prefix.clone()).collect();
            Err(IoError::SeveralModels { path: path.to_owned(), found })
        }
        [first, ..] => Ok(first),
    }
}

fn foreign(path: &Path) -> IoError {
    IoError::Foreign { path: path.to_owned() }
}

fn forbidden(path: &Path, class: &str) -> IoError {
    IoError::ForbiddenGlobal { path: path.to_owned(), global: class.to_owned() }
}

#[cfg(test)]
mod tests;
