//! Conversion of files of earlier versions' runs to today's form.
//!
//! Their configuration had the objective of the training inside of the model as well, where it was the same as in the recipe, the initial
//! value of LayerScale in place of a switch, and no word on preprocessing, which was always that of ImageNet.
//! Classification was the only kind of task that measured, so that no file said it, nor which number is a share; and it
//! measured at ends of epochs alone.

use std::collections::BTreeMap;

use convnext_core::Preprocessing;
use convnext_data::CorruptFile;
use serde::Deserialize;
use toml::{Table, Value};

use crate::evaluation::evaluate::Evaluation;
use crate::recipe::rename_recipe;
use crate::run::summary::Summary;
use crate::training::metric::{Direction, Metric};
use crate::training::observer::EpochReport;
use crate::training::validation_result::ValidationResult;

/// Keys of a model, or of an autoencoder's encoder, that the recipe has now.
const OF_TRAINING: [&str; 4] = ["drop_path", "head_init_scale", "mask_ratio", "normalize_target"];

/// Today's words for a configuration of any version.
pub(crate) fn in_words_of_today(mut config: Table) -> Table {
    let is_old = !config.contains_key("preprocessing");
    if let Some(recipe) = config.get_mut("recipe").and_then(Value::as_table_mut) {
        rename_recipe(recipe);
    }
    if let Some(memory) = config.remove("memory") {
        let activations = memory.as_str().map(|name| name.replace("keep", "save"));
        config.insert("activations".to_owned(), activations.map_or(memory, Value::String));
    }
    let Some(model) = config.get_mut("model").and_then(Value::as_table_mut).filter(|_| is_old) else {
        return config;
    };
    rename_model(model);
    if let Some(encoder) = model.get_mut("encoder").and_then(Value::as_table_mut) {
        rename_model(encoder);
    }
    if let Some(preprocessing) = preprocessing(&config) {
        config.insert("preprocessing".to_owned(), Value::Table(preprocessing));
    }
    config
}

fn rename_model(model: &mut Table) {
    OF_TRAINING.iter().for_each(|key| {
        model.remove(*key);
    });
    // Not there means off; an autoencoder itself has none.
    if model.contains_key("depths") {
        let is_on = model.contains_key("layer_scale");
        model.insert("layer_scale".to_owned(), Value::Boolean(is_on));
    }
}

/// Preprocessing of every run of earlier versions, whatever its weights said.
fn preprocessing(config: &Table) -> Option<Table> {
    let model = config.get("model")?;
    let channels = model.get("encoder").unwrap_or(model).get("input_channels")?;
    let recipe = config.get("recipe")?;
    let size = recipe.get("input")?.get("image_size")?;
    let [size, channels] =
        [size, channels].map(|number| number.as_integer().and_then(|n| usize::try_from(n).ok()));
    Table::try_from(Preprocessing::for_size(size?, channels?)).ok()
}

/// `evaluation.json` of any version.
#[derive(Deserialize)]
pub(crate) struct StoredMeasured {
    kind: Option<String>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    left_out: Vec<CorruptFile>,
    #[serde(flatten)]
    details: serde_json::Map<String, serde_json::Value>,
}

impl TryFrom<StoredMeasured> for ValidationResult {
    type Error = serde_json::Error;

    fn try_from(stored: StoredMeasured) -> Result<Self, Self::Error> {
        let StoredMeasured { kind, metrics, left_out, details } = stored;
        let Some(kind) = kind else {
            let result: Evaluation = serde_json::from_value(details.into())?;
            return Ok(Self { left_out, ..result.into() });
        };
        Ok(Self { kind, metrics, left_out, details })
    }
}

/// The line of an epoch of any version. Earlier ones had none within an epoch, and did not say where it ended: at as
/// many epochs as its number says.
#[derive(Deserialize)]
pub(crate) struct StoredEpoch {
    epoch: u64,
    step: usize,
    epochs: Option<f64>,
    train_loss: f64,
    #[serde(flatten)]
    validation: BTreeMap<String, Option<f64>>,
}

impl From<StoredEpoch> for EpochReport {
    fn from(stored: StoredEpoch) -> Self {
        let StoredEpoch { epoch, step, epochs, train_loss, validation } = stored;
        let epochs = epochs.unwrap_or_else(|| epoch.saturating_add(1) as f64);
        Self { epoch, step, epochs, train_loss, validation, monitored: None }
    }
}

/// The metric by which the epochs of a finished run were compared: the accuracy or none.
pub(crate) fn monitored(summary: &Summary) -> Option<Metric> {
    let metric =
        |value| Metric::new(Evaluation::TOP1, value, Direction::HigherIsBetter).fraction().labelled("top-1");
    let keys = [metric(None).key(), metric(None).averaged_key()];
    summary.best.as_ref().filter(|best| keys.contains(&best.measure))?;
    Some(metric(summary.last.value(&keys[0])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_evaluation_is_one_of_a_classifier() {
        let old = r#"{"images":2,"top1":0.5,"top5":1.0,"loss":0.6,"classes":[],"confusion":[],"mistakes":[],
            "left_out":[{"name":"a.png","why":"cut"}]}"#;
        let measured: ValidationResult = serde_json::from_str(old).unwrap();
        assert_eq!((measured.kind.as_str(), measured.left_out.len()), (Evaluation::KIND, 1));
        let shown: Vec<String> = measured.metrics.iter().map(Metric::to_string).collect();
        assert_eq!(shown, ["top-1 50.00 %", "top-5 100.00 %", "loss 0.6000"]);
        assert_eq!(measured.details::<Evaluation>().unwrap().top1, Some(0.5));
        assert!(serde_json::from_str::<ValidationResult>(r#"{"images":2}"#).is_err());
    }

    #[test]
    fn an_old_summary_is_compared_by_accuracy_or_by_nothing() {
        let old = |measure: &str| -> Summary {
            let text = r#"{"steps":4,"epochs":2,"images":9,"seconds":1.0,
                "last":{"epoch":1,"step":4,"train_loss":0.5,"validation_top1":0.75,"validation_loss":0.6},
                "best":{"epoch":0,"step":2,"measure":"MEASURE","value":0.875,"checkpoint":"checkpoints/x"},
                "corrupt":[]}"#;
            serde_json::from_str(&text.replace("MEASURE", measure)).unwrap()
        };
        for measure in ["validation_top1", "ema_validation_top1"] {
            assert_eq!(old(measure).monitored().unwrap().to_string(), "top-1 75.00 %");
        }
        assert_eq!(old("train_loss").monitored(), None);
    }

    #[test]
    fn an_old_epoch_ended_where_its_number_says() {
        let read = |text: &str| serde_json::from_str::<EpochReport>(text).unwrap();
        let old =
            read(r#"{"epoch":1,"step":8,"train_loss":0.5,"validation_top1":0.75,"validation_error":null}"#);
        assert_eq!((old.epochs, old.value("validation_top1")), (2.0, Some(0.75)));
        assert_eq!(old.validation.len(), 2, "{old:?}");
        let within = EpochReport { step: 7, epochs: 1.75, ..old.clone() };
        let text = serde_json::to_string(&within).unwrap();
        assert!(
            text.starts_with(r#"{"epoch":1,"step":7,"epochs":1.75,"train_loss":0.5,"validation_"#),
            "{text}"
        );
        assert_eq!(read(&text), within);
    }

    const OLD: &str = "
        [model]
        encoder_kind = 'sparse'
        mask_ratio = 0.7
        normalize_target = true
        [model.encoder]
        depths = [1, 1, 2, 1]
        input_channels = 3
        layer_scale = 1e-6
        drop_path = 0.0
        head_init_scale = 1.0
        [model.decoder]
        layer_scale = true
        [recipe.masking]
        image_size = 64
        ratio = 0.7";

    #[test]
    fn an_old_pretraining_says_the_same_as_a_new_one() {
        let found = in_words_of_today(toml::from_str(OLD).unwrap());
        let new = "
            [model]
            encoder_kind = 'sparse'
            [model.encoder]
            depths = [1, 1, 2, 1]
            input_channels = 3
            layer_scale = true
            [model.decoder]
            layer_scale = true
            [recipe.input]
            image_size = 64
            [recipe.masking]
            ratio = 0.7";
        let mut expected: Table = toml::from_str(new).unwrap();
        let preprocessing = Table::try_from(Preprocessing::for_size(64, 3)).unwrap();
        expected.insert("preprocessing".into(), Value::Table(preprocessing));
        assert_eq!(found, expected);
        assert_eq!(in_words_of_today(found.clone()), found);
    }

    #[test]
    fn an_old_fine_tuning_without_layer_scale_has_it_off() {
        let old = "[model]\ndepths = [1, 1, 2, 1]\ninput_channels = 1\ndrop_path = 0.1\n[recipe.regularization]\nimage_size = 32";
        let found = in_words_of_today(toml::from_str(old).unwrap());
        assert_eq!(found["model"]["layer_scale"].as_bool(), Some(false));
        assert!(found["model"].get("drop_path").is_none());
        assert_eq!(found["preprocessing"]["mean"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn what_is_no_training_stays_as_it_is() {
        let other: Table = toml::from_str("seed = 1\nmodel = 'x'").unwrap();
        assert_eq!(in_words_of_today(other.clone()), other);
    }
}
