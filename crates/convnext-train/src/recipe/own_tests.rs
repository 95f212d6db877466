//! Recipes of one's own, and settings beside them.

use super::finetune_recipe::FinetuneRecipe;
use super::given::Given;
use super::init_from::InitFrom;
use super::pretrain_recipe::PretrainRecipe;
use super::reading::PRETRAINING;
use super::recipe_context::RecipeContext;
use crate::error::TrainError;

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
fn a_rate_of_ones_own_holds_from_scratch_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let rate = |text: &str| {
        std::fs::write(&path, format!("extends = \"plain\"\n{text}")).unwrap();
        let training =
            FinetuneRecipe::load(&path.display().to_string(), &[], InitFrom::Scratch).unwrap().training;
        (training.learning_rate.unwrap(), training.warmup_epochs.unwrap())
    };
    let plain = FinetuneRecipe::load("plain", &[], InitFrom::Scratch).unwrap().training;
    let (plain_rate, plain_warm_up) = (plain.learning_rate.unwrap(), plain.warmup_epochs.unwrap());
    assert_eq!(rate("[training]\nepochs = 60"), (plain_rate, plain_warm_up));
    assert_eq!(rate("[training]\nlearning_rate = 1e-4\nwarmup_epochs = 3"), (1e-4, 3.0));
    assert_eq!(rate("[training]\nlearning_rate = 1e-4"), (1e-4, plain_warm_up));
    let both = "[training]\nlearning_rate = 1e-4\n[from_scratch]\nlearning_rate = 2e-4";
    assert_eq!(rate(both), (2e-4, plain_warm_up));
}

#[test]
fn settings_that_the_size_of_the_images_makes_idle_are_refused() {
    let model = convnext_core::find_model("micro").unwrap().config();
    let context = RecipeContext {
        model: &model,
        init_from: InitFrom::Scratch,
        head_only: false,
        images: 100,
        class_sizes: &[50, 50],
    };
    let given = |settings: &[&str]| Given {
        settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        ..Given::default()
    };
    let crop = "augmentation.crop_scale=[0.9, 1.0]";
    let pretrain = |settings: &[&str]| PretrainRecipe::choose("auto", &given(settings), &context).map(|_| ());
    let finetune = |settings: &[&str]| FinetuneRecipe::choose("auto", &given(settings), &context).map(|_| ());
    for choose in [&finetune as &dyn Fn(&[&str]) -> Result<(), TrainError>, &pretrain] {
        choose(&[crop]).unwrap();
        choose(&[crop, "input.image_size=64"]).unwrap();
    }
    let message = finetune(&[crop, "input.image_size=32"]).unwrap_err().to_string();
    assert!(
        message.contains("augmentation.crop_scale has no effect") && message.contains("32 px"),
        "{message}"
    );
    let message = finetune(&["augmentation.small_padding=2"]).unwrap_err().to_string();
    assert!(message.contains("augmentation.small_padding has no effect"), "{message}");
}
