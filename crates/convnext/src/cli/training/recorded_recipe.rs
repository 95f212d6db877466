//! A recipe that a run recorded, used for another training than the one that it was made for.

use std::path::Path;

use convnext::core::ModelConfig;
use convnext::data::Dataset;
use convnext::train::{InitFrom, RecipeContext, read_config, read_metadata};
use serde::Serialize;
use toml::{Table, Value};

/// Start and images of a training, as they are named.
pub(crate) struct Origin<'a> {
    /// File of the weights to start from.
    pub(crate) init: Option<&'a Path>,
    /// Folder or archive of the images.
    pub(crate) data: &'a Path,
    /// The choice of the labelled ones among them, as [`Self::choice`] has it; `None` without labels.
    pub(crate) labels: Option<Table>,
    /// Seed of the run.
    pub(crate) seed: u64,
}

impl Origin<'_> {
    /// A choice of labelled images, as the record of a run has it.
    pub(crate) fn choice(labels: &impl Serialize) -> Option<Table> {
        Table::try_from(labels).ok()
    }

    /// The claim of a recipe in place of its own, if it is the `config.toml` of a run with another model, other images or
    /// another start. Warns of a rate that was made for another model or start; of other images the training warns itself.
    pub(crate) fn other_claim(
        &self,
        recipe: &str,
        now: &RecipeContext<'_>,
        images: &Dataset,
    ) -> Option<String> {
        self.other_claim_of(recipe, now, |_| images.fingerprint())
    }

    /// The same where a training learns from parts of its images: `checksum` is that of the images as a recorded
    /// configuration divides them.
    pub(crate) fn other_claim_of(
        &self,
        recipe: &str,
        now: &RecipeContext<'_>,
        checksum: impl FnOnce(&Table) -> u32,
    ) -> Option<String> {
        let path = Path::new(recipe);
        // What cannot be read is refused where the recipe is.
        let config = path.is_file().then(|| read_config(path).ok()).flatten()?;
        config.get("recipe")?.as_table()?;
        let others =
            [other_model(&config, now.model), self.other_start(&config, now), other_freeze(&config, now)];
        let mut others: Vec<&str> = others.into_iter().flatten().collect();
        if !others.is_empty() {
            log::warn!(
                "the recipe, with its learning rates, is that of {recipe}, which had {}; --recipe auto makes one for this \
                 training",
                others.join(" and ")
            );
        }
        others.extend(self.other_images(&config, checksum(&config)));
        (!others.is_empty()).then(|| format!("As in {recipe}, which had {}.", others.join(" and ")))
    }

    fn other_start(&self, config: &Table, now: &RecipeContext<'_>) -> Option<&'static str> {
        match (path_of(config, "init"), self.init) {
            (None, None) => None,
            (None, Some(_)) => Some("a start from scratch"),
            (Some(_), None) => Some("a start from weights"),
            (Some(recorded), Some(init)) if recorded == init => None,
            (Some(recorded), Some(_)) => {
                let metadata = read_metadata(recorded).ok();
                let is_alike =
                    metadata.is_some_and(|recorded| InitFrom::of(Some(&recorded)) == now.init_from);
                (!is_alike).then_some("other weights to start from")
            }
        }
    }

    /// Another seed may hold out other images of the same data: these are no others for a recipe.
    fn other_images(&self, config: &Table, checksum: u32) -> Option<&'static str> {
        let recorded = config.get("data_checksum")?.as_integer()?;
        let is_same_seed = config.get("seed").and_then(Value::as_integer) == i64::try_from(self.seed).ok();
        let of_choice = |key: &str| self.labels.as_ref().and_then(|labels| labels.get(key));
        let is_same_choice = path_of(config, "data") == Some(self.data)
            && LABEL_KEYS.iter().all(|&key| config.get(key) == of_choice(key));
        let is_same = recorded == i64::from(checksum) || (!is_same_seed && is_same_choice);
        (!is_same).then_some("other images")
    }
}

/// Keys that say which of the images are used.
const LABEL_KEYS: [&str; 7] = [
    "labels",
    "labels_per_class",
    "labelled_images",
    "label_fraction",
    "validation_fraction",
    "annotations",
    "allow_missing",
];

fn path_of<'t>(config: &'t Table, key: &str) -> Option<&'t Path> {
    config.get(key)?.as_str().map(Path::new)
}

fn other_model(config: &Table, now: &ModelConfig) -> Option<&'static str> {
    let model = config.get("model")?;
    let recorded: ModelConfig = model.get("encoder").unwrap_or(model).clone().try_into().ok()?;
    let backbone = |model: &ModelConfig| ModelConfig { classes: 0, ..model.clone() };
    (backbone(&recorded) != backbone(now)).then_some("another model")
}

fn other_freeze(config: &Table, now: &RecipeContext<'_>) -> Option<&'static str> {
    match (config.contains_key("freeze"), now.head_only) {
        (true, false) => Some("a frozen encoder"),
        (false, true) => Some("no frozen encoder"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use convnext::segment::MaskSubset;

    use super::*;

    /// Bug: masks and objects had other images with another seed, though it held out others of the same choice.
    #[test]
    fn another_seed_takes_other_images_of_the_same_choice() {
        let few = MaskSubset { validation_fraction: 0.2, count: Some(3), ..MaskSubset::default() };
        let recorded =
            "data = 'photos'\nseed = 0\ndata_checksum = 5\nvalidation_fraction = 0.2\nlabelled_images = 3";
        let found = |config: &str, seed, checksum| {
            let labels = Origin::choice(&few);
            let origin = Origin { init: None, data: Path::new("photos"), labels, seed };
            origin.other_images(&toml::from_str(config).unwrap(), checksum)
        };
        assert_eq!([found(recorded, 0, 5), found(recorded, 1, 6)], [None, None]);
        let more = recorded.replace("labelled_images = 3", "labelled_images = 4");
        let others = [found(recorded, 0, 6), found(&more, 1, 6)];
        assert_eq!(others, [Some("other images"), Some("other images")]);
    }
}
