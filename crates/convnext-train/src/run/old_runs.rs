//! Conversion of the configuration of earlier versions' runs to today's form.
//!
//! It had the objective of the training inside of the model as well, where it was the same as in the recipe, the
//! initial value of LayerScale in place of a switch, and no word on preprocessing, which was always that of ImageNet. It
//! could have a choice of activations where the encoder is frozen, which saves none.
//! What other files of a run had otherwise stands beside the type that is read from them.

use convnext_core::Preprocessing;
use toml::{Table, Value};

use crate::recipe::input::rename_recipe;

/// Keys of a model, or of an autoencoder's encoder, that the recipe has now.
const OF_TRAINING: [&str; 4] = ["drop_path", "head_init_scale", "mask_ratio", "normalize_target"];

/// The configuration of a run of any version in the form of this one.
pub fn in_current_form(mut config: Table) -> Table {
    let is_old = !config.contains_key("preprocessing");
    if let Some(recipe) = config.get_mut("recipe").and_then(Value::as_table_mut) {
        rename_recipe(recipe);
    }
    if let Some(memory) = config.remove("memory") {
        let activations = memory.as_str().map(|name| name.replace("keep", "save"));
        config.insert("activations".to_owned(), activations.map_or(memory, Value::String));
    }
    if config.contains_key("freeze") {
        config.remove("activations");
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

#[cfg(test)]
mod tests {
    use super::*;

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
        let found = in_current_form(toml::from_str(OLD).unwrap());
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
        assert_eq!(in_current_form(found.clone()), found);
    }

    #[test]
    fn an_old_fine_tuning_without_layer_scale_has_it_off() {
        let old = "[model]\ndepths = [1, 1, 2, 1]\ninput_channels = 1\ndrop_path = 0.1\n[recipe.regularization]\nimage_size = 32";
        let found = in_current_form(toml::from_str(old).unwrap());
        assert_eq!(found["model"]["layer_scale"].as_bool(), Some(false));
        assert!(found["model"].get("drop_path").is_none());
        assert_eq!(found["preprocessing"]["mean"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn an_old_frozen_encoder_has_no_choice_of_activations() {
        let old = "activations = 'save-bf16'\nseed = 1";
        let of = |text: &str| in_current_form(toml::from_str(text).unwrap());
        assert!(of(old).contains_key("activations"));
        assert_eq!(of(&format!("freeze = 'encoder'\n{old}")), of("freeze = 'encoder'\nseed = 1"));
    }

    #[test]
    fn what_is_no_training_stays_as_it_is() {
        let other: Table = toml::from_str("seed = 1\nmodel = 'x'").unwrap();
        assert_eq!(in_current_form(other.clone()), other);
    }
}
