use convnext_core::find_model;

use super::*;
use crate::recipe::regularization::ClassWeights;

fn value(rules: &[Rule], key: &str) -> Option<f64> {
    rules.iter().find(|rule| rule.key == key).and_then(|rule| rule.value.parse().ok())
}

fn of(model: &str, init_from: InitFrom, class_sizes: &[usize]) -> Vec<Rule> {
    of_batch(model, init_from, class_sizes, AskedBatch::default())
}

fn of_batch(model: &str, init_from: InitFrom, class_sizes: &[usize], asked: AskedBatch) -> Vec<Rule> {
    let model = find_model(model).unwrap().config();
    let images = class_sizes.iter().sum();
    let context = RecipeContext { model: &model, init_from, head_only: false, images, class_sizes };
    finetuning(&context, asked).unwrap()
}

#[test]
fn the_rate_fits_the_batch_that_was_asked_for() {
    let rate = |size, accumulate| {
        let asked = AskedBatch { size, accumulate, is_found_later: false };
        let rules = of_batch("atto", InitFrom::Pretrained, &[10; 10], asked);
        value(&rules, "training.learning_rate").unwrap()
    };
    assert_eq!(rate(Some(16), None), rate(None, None));
    assert_eq!(rate(Some(8), Some(8)), rate(None, Some(4)));
    let ratio = rate(None, Some(4)) / rate(None, None);
    assert!((1.9..2.1).contains(&ratio), "{ratio}");
    assert!(rate(Some(1), None) < rate(Some(4), None));
    assert_eq!(rate(Some(256), None), rate(Some(4096), None));
}

#[test]
fn few_images_are_seen_more_often_and_larger_models_learn_more_slowly() {
    let few = of("atto", InitFrom::Pretrained, &[10; 10]);
    let many = of("atto", InitFrom::Pretrained, &[1000; 10]);
    for (key, falls) in [("training.epochs", true), ("training.batch_size", false)] {
        let [few, many] = [&few, &many].map(|rules| value(rules, key).unwrap());
        assert_eq!(few > many, falls, "{key}: {few}, {many}");
        assert!(few != many, "{key}");
    }
    let rate = |model, init_from| {
        let rules = of(model, init_from, &[500; 10]);
        let key = if init_from == InitFrom::Scratch { "from_scratch" } else { "training" };
        value(&rules, &format!("{key}.learning_rate")).unwrap()
    };
    assert!(rate("atto", InitFrom::Pretrained) > 2.0 * rate("base", InitFrom::Pretrained));
    assert!(rate("atto", InitFrom::Pretrained) > rate("atto", InitFrom::Scratch));
}

#[test]
fn few_classes_are_learned_slowly_from_weights() {
    let rate = |init_from, sizes: &[usize], key| value(&of("micro", init_from, sizes), key).unwrap();
    let from_weights = |sizes| rate(InitFrom::Pretrained, sizes, "training.learning_rate");
    assert!(from_weights(&[250; 2]) < 0.25 * from_weights(&[50; 10]));
    assert_eq!(from_weights(&[50; 10]), from_weights(&[5; 100]));
    let from_scratch = |sizes| rate(InitFrom::Scratch, sizes, "from_scratch.learning_rate");
    assert_eq!(from_scratch(&[250; 2]), from_scratch(&[50; 10]));
}

#[test]
fn a_head_alone_learns_fast_whatever_the_model() {
    for model in ["micro", "base"] {
        let model = find_model(model).unwrap().config();
        let (init_from, class_sizes) = (InitFrom::Pretrained, &[50; 10][..]);
        let context = RecipeContext { model: &model, init_from, head_only: true, images: 500, class_sizes };
        let rules = finetuning(&context, AskedBatch::default()).unwrap();
        assert_eq!(value(&rules, "training.learning_rate"), Some(HEAD_RATE));
        assert!(rules.iter().all(|rule| rule.key != "from_weights.layer_decay"));
    }
}

#[test]
fn few_images_are_changed_a_lot() {
    let is_strong = |init_from, sizes: &[usize]| {
        of("micro", init_from, sizes).iter().any(|rule| rule.key == "mixing.mixup")
    };
    for init_from in [InitFrom::Scratch, InitFrom::Pretrained] {
        assert!(is_strong(init_from, &[10; 10]) && !is_strong(init_from, &[100; 10]));
    }
    let grey = ModelConfig { input_channels: 1, ..find_model("micro").unwrap().config() };
    assert!(strong_augmentation(&grey, 200.0).iter().all(|rule| rule.key != "augmentation.rand_augment"));
}

#[test]
fn classes_are_weighted_only_where_they_are_unbalanced() {
    let weighs = |sizes: &[usize]| {
        of("micro", InitFrom::Pretrained, sizes).iter().any(|rule| rule.key == "regularization.class_weights")
    };
    assert!(!weighs(&[100, 60]) && weighs(&[100, 50]) && !weighs(&[]));
}

#[test]
fn a_class_without_images_changes_nothing() {
    let rules = |sizes: &[usize]| {
        let rules = of("micro", InitFrom::Pretrained, sizes);
        rules.into_iter().map(|rule| (rule.key, rule.value)).collect::<Vec<_>>()
    };
    assert_eq!(rules(&[0, 32, 32, 32]), rules(&[32, 32, 32]));
    assert_eq!(rules(&[0, 300, 100]), rules(&[300, 100]));
    let weights = ClassWeights::Balanced.of(&[0, 30, 10]);
    assert_eq!(weights[1..], ClassWeights::Balanced.of(&[30, 10]));
}

#[test]
fn the_rate_is_for_the_batch_that_there_is() {
    let rate = |size| {
        let model = find_model("micro").unwrap().config();
        let (init_from, class_sizes) = (InitFrom::Pretrained, &[48, 48][..]);
        let context = RecipeContext { model: &model, init_from, head_only: false, images: 96, class_sizes };
        let asked = AskedBatch { size: Some(size), ..AskedBatch::default() };
        value(&finetuning(&context, asked).unwrap(), "training.learning_rate")
    };
    assert_eq!(rate(1000), rate(96));
    assert_ne!(rate(48), rate(96));
}

#[test]
fn images_are_seen_less_often_where_small_classes_weigh_more() {
    let epochs =
        |sizes: &[usize]| value(&of("micro", InitFrom::Pretrained, sizes), "training.epochs").unwrap();
    assert_eq!(epochs(&[330, 330]), epochs(&[66; 10]));
    // 4 / (1/600 + 1/60) of 660 images.
    assert_eq!(epochs(&[600, 60]), (0.3306 * epochs(&[330, 330])).round());
    assert!(epochs(&[600, 60]) < epochs(&[600, 300]) && epochs(&[600, 300]) < epochs(&[450, 450]));
    assert_eq!(epochs(&[5_000, 1]), 10.0);
}

#[test]
fn only_deep_models_from_weights_have_layer_decay() {
    let decays = |model, init_from| {
        of(model, init_from, &[50; 10]).iter().any(|rule| rule.key == "from_weights.layer_decay")
    };
    assert!(decays("tiny", InitFrom::Pretrained) && !decays("tiny", InitFrom::Scratch));
    assert!(!decays("micro", InitFrom::Pretrained));
}
