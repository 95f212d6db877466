//! Recipes, built in and of one's own.

use convnext_core::Preprocessing;
use convnext_data::TrainCrop;
use toml::Value;

use super::deviation::Deviation;
use super::finetune_recipe::FinetuneRecipe;
use super::init_from::InitFrom;
use super::input::USUAL_SIZE;
use super::length::Length;
use super::pretrain_recipe::PretrainRecipe;
use super::reading::{FINETUNING, PRETRAINING, read};
use super::start::LayerDecayRecipe;
use super::training::TrainingRecipe;
use super::writing::in_toml;
use crate::optimization::layer_decay::LayerCount;

#[test]
fn the_built_in_recipes_parse() {
    assert_eq!(PretrainRecipe::load("plain", &[]).unwrap().masking.ratio, 0.6);
    for name in PretrainRecipe::names() {
        PretrainRecipe::load(name, &[]).unwrap();
    }
    for name in FinetuneRecipe::names() {
        for start in [InitFrom::Scratch, InitFrom::Pretrained] {
            let recipe = FinetuneRecipe::load(name, &[], start).unwrap();
            let size = recipe.input.image_size;
            let preprocessing = Preprocessing::for_size(size, 3);
            recipe.augmentation.transform(&preprocessing, size).validate().unwrap();
        }
    }
}

#[test]
fn what_a_departure_says_is_what_the_recipe_has() {
    let mut deviations = 0;
    for (built_in, name) in PretrainRecipe::names()
        .map(|name| (PRETRAINING, name))
        .chain(FinetuneRecipe::names().map(|name| (FINETUNING, name)))
    {
        let table = read(built_in, name).unwrap().table;
        let Some(Value::Array(list)) = table.get("deviations") else { continue };
        for deviation in list {
            let Deviation { key, used, .. } = deviation.clone().try_into().unwrap();
            let root = Value::Table(table.clone());
            let value = key.split('.').try_fold(&root, |place, part| place.get(part));
            let numbers = |text: &str| -> Vec<f64> {
                text.split(|letter: char| !"0123456789.e-".contains(letter)).flat_map(str::parse).collect()
            };
            let value = value.unwrap_or_else(|| panic!("{name} has no {key}")).to_string();
            assert!(
                value.trim_matches('"') == used || numbers(&value) == numbers(&used),
                "{name}, {key}: {value}"
            );
            deviations += 1;
        }
    }
    assert!(deviations > 100, "{deviations}");
}

#[test]
fn rows_have_the_numbers_of_the_papers_tables() {
    let load = |name: &str| FinetuneRecipe::load(name, &[], InitFrom::Pretrained).unwrap();
    // Name, images of a step, epochs, warm-up, highest rate, weight decay, average, mixup, drop path, layer decay.
    for (name, images, epochs, warm_up, rate, decay, ema, mixup, drop_path, layers) in [
        ("paper-atto", 1024, 600.0, 0.0, 8e-4, 0.3, Some(0.9999), 0.0, 0.1, 0.9),
        ("paper-tiny", 1024, 300.0, 40.0, 3.2e-3, 0.05, Some(0.9999), 0.8, 0.2, 0.9),
        ("paper-large", 1024, 100.0, 20.0, 2.5e-3, 0.05, Some(0.9999), 0.8, 0.2, 0.6),
        ("paper-huge", 1024, 50.0, 10.0, 5e-3, 0.05, Some(0.9999), 0.8, 0.3, 0.75),
        ("paper-22k-base-384", 4096, 90.0, 5.0, 4e-3, 0.05, None, 0.8, 0.1, 0.8),
        ("paper-22k-to-1k-tiny-384", 512, 90.0, 0.0, 5e-5, 1e-8, Some(0.9999), 0.0, 0.1, 0.9),
        ("paper-22k-to-1k-huge-512", 512, 30.0, 0.0, 5e-5, 1e-8, None, 0.0, 0.5, 0.85),
        ("paper-v1-22k-to-1k-tiny-384", 512, 30.0, 0.0, 5e-5, 1e-8, None, 0.0, 0.1, 0.8),
        ("paper-v1-22k-to-1k-base-384", 512, 30.0, 0.0, 5e-5, 1e-8, None, 0.0, 0.2, 0.8),
    ] {
        let recipe = load(name);
        let training = &recipe.training;
        assert_eq!(training.batch_size * training.accumulate, images, "{name}");
        assert_eq!((training.epochs, training.warmup_epochs), (Some(epochs), Some(warm_up)), "{name}");
        assert!((training.peak_learning_rate() / rate - 1.0).abs() < 1e-9, "{name}");
        assert_eq!((training.weight_decay, training.ema), (decay, ema), "{name}");
        assert_eq!((recipe.mixing.mixup, recipe.regularization.drop_path), (mixup, drop_path), "{name}");
        assert_eq!(recipe.layer_decay(true).unwrap().rate, layers, "{name}");
    }
    let scratch = FinetuneRecipe::load("paper-v1-base", &[], InitFrom::Scratch).unwrap();
    assert!((scratch.training.peak_learning_rate() - 4e-3).abs() < 1e-12);
    assert_eq!((scratch.training.epochs, scratch.training.warmup_epochs), (Some(300.0), Some(20.0)));
    let grid = convnext_core::PatchGrid { rows: 12, columns: 12 };
    let ratio = PretrainRecipe::load("paper-384", &[]).unwrap().masking.ratio;
    assert_eq!(convnext_core::usable_kept_count(grid.patches(), ratio).unwrap(), 57);
}

#[test]
fn a_file_may_extend_a_recipe_but_not_itself_in_circles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let load = |text: &str| {
        std::fs::write(&path, text).unwrap();
        FinetuneRecipe::load(&path.display().to_string(), &[], InitFrom::Pretrained)
    };
    let mine = load("extends = \"paper-tiny\"\n[training]\nlearning_rate = 0.5").unwrap();
    assert_eq!((mine.training.learning_rate, mine.training.base_learning_rate), (Some(0.5), None));
    assert_eq!(mine.training.epochs, Some(300.0));
    let message = load("extends = \"paper-giant\"").unwrap_err().to_string();
    assert!(message.contains("paper-giant") && message.contains("paper-tiny"), "{message}");
}

#[test]
fn base_rates_follow_the_images_of_a_step() {
    let recipe = PretrainRecipe::load("paper", &[]).unwrap().training;
    assert_eq!(recipe.batch_size * recipe.accumulate, 4096);
    assert!((recipe.peak_learning_rate() - 2.4e-3).abs() < 1e-12);
    let smaller = TrainingRecipe { accumulate: recipe.accumulate / 2, ..recipe };
    assert!((smaller.peak_learning_rate() - 1.2e-3).abs() < 1e-12);
    let absolute = pretrain(&["training.base_learning_rate=1", "training.learning_rate=0.5"]).unwrap();
    assert_eq!(absolute.training.peak_learning_rate(), 0.5);
}

#[test]
fn a_start_from_scratch_has_its_own_rate_and_warm_up() {
    let load = |settings: &[&str], start| {
        let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
        FinetuneRecipe::load("plain", &settings, start).unwrap()
    };
    let own = ["from_scratch.base_learning_rate=0.5", "from_scratch.warmup_epochs=7"];
    let scratch = load(&own, InitFrom::Scratch);
    assert_eq!((scratch.training.base_learning_rate, scratch.training.learning_rate), (Some(0.5), None));
    assert_eq!((scratch.training.warmup_epochs, scratch.head_init(false)), (Some(7.0), 1.0));
    let weights = load(&own, InitFrom::Pretrained);
    assert_eq!((weights.training.base_learning_rate, weights.head_init(true)), (None, 0.001));
    let named = load(&[own[0], own[1], "training.learning_rate=0.25"], InitFrom::Scratch);
    assert_eq!((named.training.peak_learning_rate(), named.training.warmup_epochs), (0.25, Some(7.0)));
}

fn pretrain(settings: &[&str]) -> Result<PretrainRecipe, String> {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    PretrainRecipe::load("plain", &settings).map_err(|error| error.to_string())
}

#[test]
fn settings_replace_keys_of_any_type() {
    let recipe = pretrain(&[
        "training.weight_decay=0.1",
        "training.betas=[0.8, 0.9]",
        "training.ema=0.99",
        "masking.normalize_target=false",
        "claim=mine",
    ])
    .unwrap();
    assert_eq!(recipe.training.weight_decay, 0.1);
    assert_eq!((recipe.training.betas, recipe.training.ema), ([0.8, 0.9], Some(0.99)));
    assert_eq!((recipe.masking.normalize_target, recipe.claim.as_str()), (false, "mine"));
}

#[test]
fn bad_settings_are_named() {
    for (setting, expected) in [
        ("training.flop=1", "flop"),
        ("flop=1", "flop"),
        ("training.epochs=many", "epochs"),
        ("training.epochs.more=1", "'epochs' is no table"),
        ("training.epochs", "key=value"),
        ("training.epochs=0", "epochs is 0, but must be above 0"),
        ("training.warmup_epochs=101", "warm-up epochs is 101"),
        ("training.betas=[0.9, 1.0]", "beta is 1"),
        ("training.ema=1.5", "ema is 1.5"),
        ("training.learning_rate=nan", "learning rate is NaN"),
        ("masking.ratio=1", "mask ratio is 1"),
    ] {
        let message = pretrain(&[setting]).unwrap_err();
        assert!(message.contains(expected), "{setting}: {message}");
    }
}

#[test]
fn drop_path_and_the_fresh_head_have_their_ranges() {
    for (setting, expected) in [
        ("regularization.drop_path=1", "drop path is 1"),
        ("regularization.drop_path=-0.5", "drop path is -0.5"),
        ("from_weights.head_init=-1", "head initialisation is -1"),
        ("from_weights.head_init=inf", "head initialisation is inf"),
    ] {
        let found = FinetuneRecipe::load("plain", &[setting.to_owned()], InitFrom::Pretrained)
            .unwrap_err()
            .to_string();
        assert!(found.contains(expected), "{setting}: {found}");
    }
}

#[test]
fn a_recipe_without_a_size_suits_any() {
    assert_eq!(PretrainRecipe::load("plain", &[]).unwrap().input.image_size, USUAL_SIZE);
    let finetune = FinetuneRecipe::load("plain", &[], InitFrom::Pretrained).unwrap();
    assert_eq!(finetune.input.image_size, USUAL_SIZE);
}

#[test]
fn what_a_recipe_leaves_out_is_off() {
    let recipe = FinetuneRecipe::load("plain", &[], InitFrom::Pretrained).unwrap();
    assert_eq!((recipe.training.accumulate, recipe.training.clip_norm, recipe.training.ema), (1, None, None));
    assert_eq!(recipe.layer_decay(true), None);
    let settings = [
        "training.accumulate=2",
        "training.ema=0.999",
        "from_weights.layer_decay.rate=0.9",
        "from_weights.layer_decay.count=group",
    ];
    let recipe = FinetuneRecipe::load("plain", &settings.map(str::to_owned), InitFrom::Pretrained).unwrap();
    assert_eq!(recipe.training.accumulate, 2);
    assert_eq!(recipe.training.ema, Some(0.999));
    assert_eq!(recipe.layer_decay(true), Some(LayerDecayRecipe { rate: 0.9, count: LayerCount::Group }));
}

#[test]
fn another_length_keeps_the_share_of_the_warm_up() {
    let training = FinetuneRecipe::load("plain", &[], InitFrom::Pretrained).unwrap().training;
    let steps = |length, steps_per_epoch| {
        let schedule = training.rescaled(steps_per_epoch, length).schedule(steps_per_epoch);
        (schedule.total_steps, (schedule.warmup_steps * 1e6).round() / 1e6)
    };
    assert_eq!(steps(None, 10), (500, 50.0));
    assert_eq!(steps(Some(Length::Steps(30)), 10), (30, 3.0));
    assert_eq!(steps(Some(Length::Steps(1)), 7), (1, 0.1));
    assert_eq!(steps(Some(Length::Epochs(2.0)), 7), (14, 1.4));
}

#[test]
fn small_images_are_padded_only_where_the_recipe_says() {
    let pretrain = PretrainRecipe::load("plain", &[]).unwrap().augmentation;
    let at = |size| Preprocessing::for_size(size, 3);
    assert!(matches!(pretrain.transform(&at(32), 32.into()).crop, TrainCrop::RandomResized { .. }));
    let finetune = FinetuneRecipe::load("plain", &[], InitFrom::Pretrained).unwrap().augmentation;
    assert_eq!(finetune.transform(&at(32), 32.into()).crop, TrainCrop::Padded { padding: 4 });
    for size in [[64, 64], [32, 33]] {
        let transform = finetune.transform(&at(64), size.into());
        assert!(matches!(transform.crop, TrainCrop::RandomResized { .. }), "{size:?}");
        assert_eq!(transform.image_size, size.into());
    }
}

#[test]
fn sizes_are_a_side_or_height_and_width() {
    let load = |size: &str| PretrainRecipe::load("plain", &[format!("input.image_size={size}")]);
    let size = |text| load(text).unwrap().input.image_size;
    assert_eq!((size("64"), size("[64, 96]")), (64.into(), [64, 96].into()));
    let text = in_toml(&load("[64, 96]").unwrap()).unwrap();
    assert!(text.contains("image_size = [64, 96]"), "{text}");
    for bad in ["-1", "[64]", "[1, 2, 3]", "64x96", "true"] {
        let message = load(bad).unwrap_err().to_string();
        assert!(message.contains("[height, width]"), "{bad}: {message}");
    }
}
