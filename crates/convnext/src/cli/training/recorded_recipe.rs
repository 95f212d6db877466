//! A recipe that a run recorded, used for another training than the one that it was made for.

use std::path::Path;

use convnext::core::ModelConfig;
use convnext::data::Dataset;
use convnext::train::{InitFrom, LabelSubset, RecipeContext, read_config, read_metadata};
use toml::{Table, Value};

/// Start and images of a training, as they are named.
pub(crate) struct Origin<'a> {
    /// File of the weights to start from.
    pub(crate) init: Option<&'a Path>,
    /// Folder or archive of the images.
    pub(crate) data: &'a Path,
    /// The labelled ones among them; `None` without labels.
    pub(crate) labels: Option<&'a LabelSubset>,
    /// Seed of the run.
    pub(crate) seed: u64,
}

impl Origin<'_> {
    /// The claim of a recipe in place of its own, if it is the `config.toml` of a run with another model, other images or
    /// another start. Warns of a rate that was made for another model or start; of other images the training warns itself.
    pub(crate) fn other_claim(
        &self,
        recipe: &str,
        now: &RecipeContext<'_>,
        images: &Dataset,
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
        others.extend(self.other_images(&config, images));
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
    fn other_images(&self, config: &Table, images: &Dataset) -> Option<&'static str> {
        let checksum = config.get("data_checksum")?.as_integer()?;
        let is_same_seed = config.get("seed").and_then(Value::as_integer) == i64::try_from(self.seed).ok();
        let labels = self.labels.and_then(|labels| Table::try_from(labels).ok()).unwrap_or_default();
        let is_same_choice = path_of(config, "data") == Some(self.data)
            && LABEL_KEYS.iter().all(|key| config.get(*key) == labels.get(*key));
        let is_same = checksum == i64::from(images.fingerprint()) || (!is_same_seed && is_same_choice);
        (!is_same).then_some("other images")
    }
}

/// Keys that say which of the images are used.
const LABEL_KEYS: [&str; 4] = ["labels", "labels_per_class", "label_fraction", "validation_fraction"];

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
