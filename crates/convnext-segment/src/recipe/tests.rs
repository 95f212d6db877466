//! Recipes, built in and made.

use convnext_core::{ModelConfig, ResponseNorm, find_model};
use convnext_train::{Given, InitFrom, LayerCount, RateCurve, RecipeContext, SupervisedRecipe};

use super::sections::MeanOver;
use super::segment_recipe::SegmentRecipe;

fn load(name: &str) -> SegmentRecipe {
    SegmentRecipe::load(name, &[], InitFrom::Classifier { classes: 1000 }).unwrap()
}

#[test]
fn the_built_in_recipes_parse() {
    for name in SegmentRecipe::names() {
        for start in [InitFrom::Scratch, InitFrom::Pretrained] {
            let recipe = SegmentRecipe::load(name, &[], start).unwrap();
            let written = convnext_train::in_toml(&recipe).unwrap();
            assert!(!written.is_empty(), "{name}");
        }
    }
}

/// Appendix A.4, and mmsegmentation's configuration.
#[test]
fn rows_have_the_numbers_of_the_paper() {
    for (name, size, rate, decay) in [
        ("paper-ade20k-base", 512, 1e-4, LayerCount::LayerWise(12)),
        ("paper-ade20k-huge-22k", 640, 1e-4, LayerCount::LayerWise(12)),
        ("paper-ade20k-v1-large", 512, 1e-4, LayerCount::StageWise(12)),
    ] {
        let recipe = load(name);
        let training = &recipe.training;
        assert_eq!(recipe.input.image_size, size.into(), "{name}");
        assert_eq!((training.batch_size * training.accumulate, training.steps), (16, Some(160_000)));
        assert_eq!(training.peak_learning_rate(), rate, "{name}");
        assert_eq!(training.schedule(1).curve, RateCurve::Poly { power: 1.0 });
        assert_eq!(recipe.loss.mean_over, MeanOver::All);
        let layers = recipe.layer_decay(true).unwrap();
        assert_eq!((layers.rate, layers.count), (0.9, decay), "{name}");
        let sweep: Vec<usize> = recipe.sweep.values().map(Vec::len).collect();
        assert_eq!(sweep.iter().product::<usize>(), 2 * 3 * 4, "{name}: {:?}", recipe.sweep);
    }
}

fn made(model: &ModelConfig, init_from: InitFrom, images: usize) -> SegmentRecipe {
    let context = RecipeContext { model, init_from, head_only: false, images, class_sizes: &[] };
    SegmentRecipe::choose("auto", &Given::default(), &context).unwrap()
}

#[test]
fn the_default_suits_the_images() {
    let atto = find_model("atto").unwrap().config();
    let steps =
        [20, 367, 1468, 20_000].map(|images| made(&atto, InitFrom::Pretrained, images).training.steps);
    assert_eq!(steps, [Some(1000), Some(4000), Some(8000), Some(29_500)]);
    let tiny = made(&find_model("tiny").unwrap().config(), InitFrom::Pretrained, 367);
    let small = made(&atto, InitFrom::Pretrained, 367);
    assert!(tiny.training.peak_learning_rate() < small.training.peak_learning_rate());
    assert_eq!((small.regularization.drop_path, tiny.regularization.drop_path), (0.0, 0.1));
    assert_eq!(small.training.peak_learning_rate(), 4e-3);
    assert_eq!(made(&atto, InitFrom::Scratch, 367).from_scratch.learning_rate, Some(1e-3));
    assert!(small.layer_decay(true).is_some());
    assert_eq!(made(&atto, InitFrom::Scratch, 367).layer_decay(false), None);
    // Every rule says why.
    assert_eq!(small.reasons.len(), 6);
    assert!(small.reasons.iter().all(|reason| reason.contains(": ")), "{:?}", small.reasons);
}

#[test]
fn the_paper_has_a_row_for_five_sizes() {
    let row = |model: &str, classes| {
        let model = find_model(model).unwrap().config();
        let init_from = InitFrom::Classifier { classes };
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images: 9, class_sizes: &[] };
        SegmentRecipe::paper_row(&context, &Given::default()).map_err(|error| error.to_string())
    };
    assert_eq!(row("base", 1000).as_deref(), Ok("paper-ade20k-base"));
    assert_eq!(row("huge", 21_841).as_deref(), Ok("paper-ade20k-huge-22k"));
    assert_eq!(row("v1-large", 1000).as_deref(), Ok("paper-ade20k-v1-large"));
    assert!(row("atto", 1000).unwrap_err().contains("not with atto"));
}

#[test]
fn other_blocks_have_the_row_of_their_size_and_no_claim_to_its_result() {
    for (name, response_norm, claim) in [
        ("base", None, "As paper-ade20k-base, with nothing in the place of GRN."),
        (
            "v1-large",
            Some(ResponseNorm::Se),
            "As paper-ade20k-v1-large, with squeeze and excite after the GELU.",
        ),
        (
            "tiny",
            Some(ResponseNorm::Lrn),
            "As ade20k-tiny, with local response normalisation in the place of GRN.",
        ),
    ] {
        let model = ModelConfig { response_norm, ..find_model(name).unwrap().config() };
        let init_from = InitFrom::Pretrained;
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images: 9, class_sizes: &[] };
        assert_eq!(SegmentRecipe::choose("paper", &Given::default(), &context).unwrap().claim, claim);
    }
}

#[test]
fn values_without_sense_are_refused() {
    for (setting, what) in [
        ("loss.dice=-1", "Dice"),
        ("augmentation.resize_ratio=[2.0, 1.0]", "resize ratio"),
        ("augmentation.resize_ratio=[0.5, 200.0]", "resize ratio"),
        ("augmentation.resize_base=[512, 20000]", "side of the fit"),
        ("augmentation.flip=1.5", "flip"),
        ("inference.mode={ slide = { crop = 8, stride = 9 } }", "stride of windows"),
        ("inference.resize=\"long:9\"", "give none, short:N or fit:LONGxSHORT"),
        ("regularization.head_dropout=1.0", "head dropout"),
        ("loss.mean=\"all\"", "unknown field"),
    ] {
        let error = SegmentRecipe::load("plain", &[setting.to_owned()], InitFrom::Scratch).unwrap_err();
        assert!(error.to_string().contains(what), "{setting}: {error}");
    }
}
