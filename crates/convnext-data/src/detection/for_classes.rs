//! Images with the classes of a model.

use convnext_core::ClassNames;

use crate::detection::set::{DetectionSet, SharedEntries};
use crate::error::DataError;

impl DetectionSet {
    /// The same images with the classes of a model in the places of their own: by name, or by number where nothing names
    /// those of the data.
    ///
    /// # Errors
    /// [`DataError::UnknownClass`] for a class that the model lacks and objects have.
    pub fn for_classes(&self, model: &ClassNames) -> Result<Self, DataError> {
        let SharedEntries { classes, unnamed, root, .. } = &**self.shared();
        if classes == model {
            return Ok(self.clone());
        }
        let by_number = *unnamed && classes.len() <= model.len();
        let used = self.sums(|counts, instance| counts[instance.class] += 1);
        let new = classes.0.iter().enumerate().map(|(class, name)| {
            let found = if by_number { Some(class) } else { model.index(name) };
            match found {
                None if used[class] > 0 => Err(DataError::unknown_class(name.clone(), root.clone(), model)),
                found => Ok(found),
            }
        });
        let new: Vec<Option<usize>> = new.collect::<Result<_, DataError>>()?;
        let mut shared = SharedEntries::clone(self.shared());
        for entry in &mut shared.entries {
            let mut instances = std::mem::take(&mut entry.instances).into_vec();
            // What has no class is a crowd, or an object of another subset.
            instances.retain(|instance| new[instance.class].is_some());
            instances
                .iter_mut()
                .for_each(|instance| instance.class = new[instance.class].unwrap_or_default());
            entry.instances = instances.into();
        }
        for ids in &mut shared.category_ids {
            let mut renumbered = vec![None; model.len()];
            for (class, id) in new.iter().zip(&*ids) {
                if let Some(class) = class {
                    renumbered[*class] = *id;
                }
            }
            *ids = renumbered;
        }
        (shared.classes, shared.unnamed) = (model.clone(), false);
        Ok(self.with_shared(shared))
    }
}
