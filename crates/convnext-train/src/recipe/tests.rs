//! Recipes, built in and of one's own.

use super::reading::PRETRAINING;
use super::*;

#[test]
fn the_built_in_recipes_parse() {
    assert_eq!(PretrainRecipe::load("plain", &[]).unwrap().masking.ratio, 0.6);
    for name in PretrainRecipe::names() {
        PretrainRecipe::load(name, &[]).unwrap();
    }
    let settings = [
        "augmentation.rand_augment=none",
        "augmentation.random_erasing=0",
        "mixing.mixup=0",
        "mixing.cutmix=0",
    ];
    for name in FinetuneRecipe::names() {
        for start in [Start::Scratch, Start::Weights] {
            FinetuneRecipe::load(name, &settings.map(str::to_owned), start).unwrap();
        }
    }
}

#[test]
fn later_features_are_refused_by_name() {
    let refused = |recipe: &str| FinetuneRecipe::load(recipe, &[], Start::Weights).unwrap_err().to_string();
    let message = refused("paper-tiny");
    for word in ["paper-tiny", "RandAugment, random erasing, mixup, CutMix", "--set mixing.cutmix=0"] {
        assert!(message.contains(word), "{word}: {message}");
    }
    // Table 9 has neither mixup nor CutMix for Atto.
    assert!(!refused("paper-atto").contains("mixup"));
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
    let scratch = load(&own, Start::Scratch);
    assert_eq!((scratch.training.base_learning_rate, scratch.training.learning_rate), (Some(0.5), None));
    assert_eq!((scratch.training.warmup_epochs, scratch.head_init(Start::Scratch)), (7.0, 1.0));
    let weights = load(&own, Start::Weights);
    assert_eq!((weights.training.base_learning_rate, weights.head_init(Start::Weights)), (None, 0.001));
    let named = load(&[own[0], own[1], "training.learning_rate=0.25"], Start::Scratch);
    assert_eq!((named.training.peak_learning_rate(), named.training.warmup_epochs), (0.25, 7.0));
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
    ] {
        let message = pretrain(&[setting]).unwrap_err();
        assert!(message.contains(expected), "{setting}: {message}");
    }
}

#[test]
fn a_recipe_can_be_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let name = path.display().to_string();
    let missing = PretrainRecipe::load(&name, &[]).unwrap_err().to_string();
    assert!(missing.contains("mine.toml") && missing.contains("one of: plain"), "{missing}");
    std::fs::write(&path, PRETRAINING[0].1.replace("flip = 0.0", "flip = 0.25")).unwrap();
    assert_eq!(PretrainRecipe::load(&name, &[]).unwrap().augmentation.flip, 0.25);
    std::fs::write(&path, PRETRAINING[0].1.replace("flip =", "flop =")).unwrap();
    let unknown = PretrainRecipe::load(&name, &[]).unwrap_err().to_string();
    assert!(unknown.contains("mine.toml") && unknown.contains("flop"), "{unknown}");
}

#[test]
fn what_a_recipe_leaves_out_is_off() {
    let recipe = FinetuneRecipe::load("plain", &[], Start::Weights).unwrap();
    assert_eq!((recipe.training.accumulate, recipe.training.clip_norm, recipe.training.ema), (1, None, None));
    assert_eq!(recipe.layer_decay(Start::Weights), None);
    let settings = [
        "training.accumulate=2",
        "training.ema=0.999",
        "from_weights.layer_decay.rate=0.9",
        "from_weights.layer_decay.count=group",
    ];
    let recipe = FinetuneRecipe::load("plain", &settings.map(str::to_owned), Start::Weights).unwrap();
    assert_eq!(recipe.training.accumulate, 2);
    assert_eq!(recipe.training.ema, Some(0.999));
    assert_eq!(
        recipe.layer_decay(Start::Weights),
        Some(LayerDecayRecipe { rate: 0.9, count: LayerCount::Group })
    );
}

#[test]
fn another_length_keeps_the_share_of_the_warm_up() {
    let training = FinetuneRecipe::load("plain", &[], Start::Weights).unwrap().training;
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
    assert!(matches!(pretrain.transform(32).crop, TrainCrop::RandomResized { .. }));
    let finetune = FinetuneRecipe::load("plain", &[], Start::Weights).unwrap().augmentation;
    assert_eq!(finetune.transform(32).crop, TrainCrop::Padded { padding: 4 });
    assert!(matches!(finetune.transform(64).crop, TrainCrop::RandomResized { .. }));
}
