//! Recipes, built in and made.

use convnext_core::{ModelConfig, ResizeRule, ResponseNorm, find_model};
use convnext_train::{Given, InitFrom, LayerCount, RateCurve, RecipeContext, SupervisedRecipe};

use super::detect_recipe::DetectRecipe;
use super::sections::TrainingResize;
use crate::regions::suppression::Suppression;
use crate::tiles::Tiles;

#[test]
fn the_built_in_recipes_parse() {
    for name in DetectRecipe::names() {
        for start in [InitFrom::Scratch, InitFrom::Pretrained] {
            let recipe = DetectRecipe::load(name, &[], start).unwrap();
            let written = convnext_train::in_toml(&recipe).unwrap();
            assert!(!written.is_empty(), "{name}");
        }
    }
}

/// Appendix A.3, and mmdetection's configuration.
#[test]
fn rows_have_the_numbers_of_the_paper() {
    for (name, count) in [
        ("paper-coco-base", LayerCount::LayerWise(12)),
        ("paper-coco-v1-large", LayerCount::LayerWise(12)),
        ("coco-tiny", LayerCount::LayerWise(6)),
    ] {
        let recipe = DetectRecipe::load(name, &[], InitFrom::Pretrained).unwrap();
        let training = &recipe.training;
        assert_eq!(recipe.input.image_size, 1024.into(), "{name}");
        assert_eq!((training.batch_size * training.accumulate, training.epochs), (32, Some(36.0)));
        assert_eq!(training.peak_learning_rate(), 1e-4, "{name}");
        let RateCurve::Milestones { .. } = training.schedule(100).curve else { panic!("{name}") };
        assert_eq!(recipe.augmentation.resize, TrainingResize::Jitter([0.1, 2.0]));
        assert_eq!((recipe.regions.sampled, recipe.regions.proposals), (512, 1000));
        assert_eq!(recipe.inference.suppression, Suppression::SoftLinear);
        assert_eq!(recipe.resize(), ResizeRule::Fit { long: 1333, short: 800 });
        let layers = recipe.layer_decay(true).unwrap();
        assert_eq!((layers.rate, layers.count), (0.95, count), "{name}");
        let sweep: Vec<usize> = recipe.sweep.values().map(Vec::len).collect();
        assert_eq!(sweep.iter().product::<usize>(), 2 * 4, "{name}: {:?}", recipe.sweep);
    }
}

#[test]
fn the_default_suits_the_images() {
    let model = find_model("atto").unwrap().config();
    let made = |images| {
        let init_from = InitFrom::Scratch;
        let context = RecipeContext { model: &model, init_from, head_only: false, images, class_sizes: &[] };
        DetectRecipe::choose("auto", &Given::default(), &context).unwrap()
    };
    let steps = [10, 400, 1600, 200_000].map(|images| made(images).training.steps);
    assert_eq!(steps, [Some(1000), Some(5000), Some(10_000), Some(80_000)]);
    let recipe = made(400);
    assert_eq!(recipe.resize(), ResizeRule::Fit { long: 512, short: 512 });
    assert!(recipe.reasons.len() == 5 && recipe.reasons.iter().all(|reason| reason.contains(": ")));
}

/// At the rate of a start from scratch, with layer decay, a detector from FCMAE learned next to nothing in 250 steps.
#[test]
fn the_default_from_pretrained_weights_learns_all_layers_alike() {
    let model = find_model("atto").unwrap().config();
    let made = |init_from| {
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images: 160, class_sizes: &[] };
        DetectRecipe::choose("auto", &Given::default(), &context).unwrap()
    };
    let from_weights = made(InitFrom::Pretrained);
    assert_eq!(from_weights.layer_decay(true), None);
    let peak = from_weights.training.peak_learning_rate();
    assert_eq!(peak, 2.0 * made(InitFrom::Scratch).training.peak_learning_rate());
}

/// The paper's detectors have mmdetection's rule. On nuclei it costs four points of box AP
/// (`docs/results/2026-11-29-detection.md`).
#[test]
fn every_object_has_an_anchor_by_default_but_not_in_the_papers_recipes() {
    let overlap = |name: &str| {
        let model = find_model("base").unwrap().config();
        let init_from = InitFrom::Pretrained;
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images: 160, class_sizes: &[] };
        let recipe = DetectRecipe::choose(name, &Given::default(), &context).unwrap();
        recipe.regions.anchor_rule().low_quality
    };
    assert_eq!([overlap("auto"), overlap("paper-coco-base")], [0.0, 0.3]);
}

#[test]
fn the_paper_has_a_row_for_five_sizes_and_two_starts() {
    let row = |model: &str, init_from| {
        let model = find_model(model).unwrap().config();
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images: 9, class_sizes: &[] };
        DetectRecipe::paper_row(&context, &Given::default()).map_err(|error| error.to_string())
    };
    let supervised = InitFrom::Classifier { classes: 1000 };
    assert_eq!(row("base", InitFrom::Pretrained).as_deref(), Ok("paper-coco-base"));
    assert_eq!(row("base", supervised).as_deref(), Ok("paper-coco-v2-supervised-base"));
    assert_eq!(row("v1-large", supervised).as_deref(), Ok("paper-coco-v1-large"));
    assert!(row("huge", supervised).unwrap_err().contains("not with huge"));
    assert!(row("atto", InitFrom::Pretrained).unwrap_err().contains("not with atto"));
}

#[test]
fn other_blocks_have_the_row_of_their_size_and_no_claim_to_its_result() {
    for (name, response_norm, claim) in [
        ("base", None, "As paper-coco-base, with nothing in the place of GRN."),
        (
            "v1-large",
            Some(ResponseNorm::Se),
            "As paper-coco-v1-large, with squeeze and excite after the GELU.",
        ),
        (
            "tiny",
            Some(ResponseNorm::Lrn),
            "As coco-tiny, with local response normalisation in the place of GRN.",
        ),
    ] {
        let model = ModelConfig { response_norm, ..find_model(name).unwrap().config() };
        let init_from = InitFrom::Pretrained;
        let context =
            RecipeContext { model: &model, init_from, head_only: false, images: 9, class_sizes: &[] };
        assert_eq!(DetectRecipe::choose("paper", &Given::default(), &context).unwrap().claim, claim);
    }
}

/// As mmdetection does it: 1333 x 800 after a training at several scales.
#[test]
fn images_are_measured_at_the_largest_of_several_short_sides() {
    let settings = ["input.image_size=1333", "augmentation.resize={ short_sides = [480, 800, 640] }"];
    let recipe = |more: &[&str]| {
        let settings: Vec<String> =
            settings.iter().chain(more).map(|setting| (*setting).to_owned()).collect();
        DetectRecipe::load("plain", &settings, InitFrom::Scratch).unwrap().resize()
    };
    assert_eq!(recipe(&[]), ResizeRule::Fit { long: 1333, short: 800 });
    assert_eq!(recipe(&["inference.resize=\"short:600\""]), ResizeRule::Short(600));
}

#[test]
fn what_was_learned_in_tiles_is_looked_for_in_tiles() {
    let load = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        DetectRecipe::load("paper-coco-base", &settings, InitFrom::Pretrained)
    };
    let (tile, hard) = ("augmentation.tile=64", "inference.suppression=hard");
    let options = load(&[tile, hard]).unwrap().options();
    assert_eq!(options.tiles, Some(Tiles { side: 64, overlap: Tiles::OVERLAP }));
    assert_eq!(load(&[]).unwrap().options().tiles, None);
    let message = load(&[tile]).unwrap_err().to_string();
    assert!(message.contains("soft-linear") && message.contains(hard), "{message}");
}

#[test]
fn values_without_sense_are_refused() {
    for (setting, what) in [
        ("augmentation.resize={ jitter = [2.0, 1.0] }", "resize ratio"),
        ("augmentation.resize={ jitter = [1.0, 101.0] }", "at most 100"),
        ("augmentation.resize={ short_sides = [] }", "at least one shorter side"),
        ("augmentation.resize={ short_sides = [513] }", "at most the longer one"),
        ("augmentation.flip=1.5", "flip probability"),
        ("augmentation.copy_paste=1.5", "copy-paste probability"),
        ("regions.sampled=2", "sampled regions"),
        ("regions.minimum_anchor_overlap=1.5", "minimum anchor overlap"),
        ("inference.resize=\"long:9\"", "give none, short:N or fit:LONGxSHORT"),
        ("inference.suppression=\"soft\"", "soft-linear"),
        ("regularization.drop_path=1.0", "drop path"),
        ("regions.count=9", "unknown field"),
    ] {
        let error = DetectRecipe::load("plain", &[setting.to_owned()], InitFrom::Scratch).unwrap_err();
        assert!(error.to_string().contains(what), "{setting}: {error}");
    }
}
