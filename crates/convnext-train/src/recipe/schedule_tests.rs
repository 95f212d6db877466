//! Lengths, warm-ups, curves and validations, as recipes state them.

use super::curve::{CurveRecipe, MilestonesRecipe};
use super::finetune_recipe::FinetuneRecipe;
use super::init_from::InitFrom;
use super::length::Length;
use super::pretrain_recipe::PretrainRecipe;
use super::reading::PRETRAINING;
use super::training::TrainingRecipe;
use crate::optimization::schedule::{RateCurve, Schedule};

fn load(settings: &[&str]) -> Result<TrainingRecipe, String> {
    let settings: Vec<String> = settings.iter().map(|&setting| setting.to_owned()).collect();
    let recipe = PretrainRecipe::load("plain", &settings).map_err(|error| error.to_string())?;
    Ok(recipe.training)
}

/// mmseg's schedule of 160,000 steps.
const SEGMENTATION: [&str; 5] = [
    "training.steps=160000",
    "training.warmup_steps=1500",
    "training.warmup_start=1e-6",
    "training.learning_rate=1e-4",
    "training.curve={ poly = {} }",
];

/// mmdet's schedule of 36 epochs.
const DETECTION: [&str; 5] = [
    "training.epochs=36",
    "training.warmup_steps=1000",
    "training.warmup_start=0.001",
    "training.learning_rate=1e-4",
    "training.curve={ milestones = { epochs = [27, 33] } }",
];

fn check(schedule: &Schedule, expected: &[(usize, f64)]) {
    for &(step, expected) in expected {
        let found = schedule.learning_rate(step);
        assert!((found - expected).abs() < 1e-16, "step {step}: {found:e}, expected {expected:e}");
    }
}

/// A run of today writes the configuration that a run of before has, or none could be resumed.
#[test]
fn a_recipe_without_the_new_keys_is_written_as_before() {
    let before = "batch_size = 64\naccumulate = 1\nepochs = 100.0\nwarmup_epochs = 10.0\nlearning_rate = 0.001\n\
        minimum_learning_rate = 0.0\nweight_decay = 0.05\ndecay_grn_and_mask_token = false\nbetas = [0.9, 0.95]\n";
    let training = load(&[]).unwrap();
    assert_eq!(toml::to_string(&training).unwrap(), before);
    assert_eq!(toml::from_str::<TrainingRecipe>(before).unwrap(), training);
}

/// Each built-in recipe at three lengths, against the formulas from before there were steps.
#[test]
fn built_in_recipes_have_the_steps_of_before_bit_for_bit() {
    let of_pretraining =
        PretrainRecipe::names().map(|name| PretrainRecipe::load(name, &[]).unwrap().training);
    let of_finetuning = FinetuneRecipe::names().flat_map(|name| {
        [InitFrom::Scratch, InitFrom::Pretrained]
            .map(|start| FinetuneRecipe::load(name, &[], start).unwrap().training)
    });
    for training in of_pretraining.chain(of_finetuning) {
        let (epochs, warm_up) = (training.epochs.unwrap(), training.warmup_epochs.unwrap());
        for length in [None, Some(Length::Epochs(7.0)), Some(Length::Steps(100))] {
            let now = match length {
                None => epochs,
                Some(Length::Epochs(epochs)) => epochs,
                Some(Length::Steps(steps)) => steps as f64 / 13.0,
            };
            let schedule = training.rescaled(13, length).schedule(13);
            assert_eq!(schedule.warmup_steps.to_bits(), (warm_up / epochs * now * 13.0).to_bits());
            assert_eq!(schedule.total_steps, (now * 13.0).round() as usize);
            assert_eq!((schedule.curve, schedule.warmup_start), (RateCurve::Cosine, 0.0));
        }
    }
}

#[test]
fn segmentation_counts_in_steps() {
    let schedule = load(&SEGMENTATION).unwrap().schedule(1263);
    assert_eq!((schedule.total_steps, schedule.warmup_steps), (160_000, 1500.0));
    // lr * (1 - t / T), in the warm-up times 1 - (1 - t / W) * (1 - ratio).
    check(&schedule, &[(0, 1e-10), (1500, 1e-4 * (1.0 - 1500.0 / 160_000.0)), (120_000, 0.25e-4)]);
}

#[test]
fn detection_has_epochs_and_a_warm_up_in_steps() {
    let schedule = load(&DETECTION).unwrap().schedule(3665);
    assert_eq!((schedule.total_steps, schedule.warmup_steps), (36 * 3665, 1000.0));
    assert_eq!(schedule.curve, RateCurve::Milestones { steps: vec![27 * 3665, 33 * 3665], factor: 0.1 });
    // lr * gamma^(milestones reached), and at the middle of the warm-up lr * (0.001 + 0.999 / 2).
    let falls = [(27 * 3665 - 1, 1e-4), (27 * 3665, 1e-5), (33 * 3665, 1e-6)];
    check(&schedule, &falls);
    check(&schedule, &[(0, 1e-7), (500, 0.5005e-4), (1000, 1e-4)]);
}

#[test]
fn every_curve_survives_a_file() {
    for curve in [
        "\"cosine\"",
        "{ poly = { power = 0.9 } }",
        "{ milestones = { epochs = [8, 11], factor = 0.1 } }",
        "{ milestones = { steps = [60, 80.5], factor = 0.5 } }",
    ] {
        let curve = format!("training.curve={curve}");
        let settings = [&*curve, "training.validate_every={ epochs = 2 }", "training.warmup_start=0.25"];
        let training = load(&settings).unwrap();
        let text = toml::to_string(&training).unwrap();
        assert_eq!(toml::from_str::<TrainingRecipe>(&text).unwrap(), training, "{text}");
    }
    let [segmentation, detection] = [&SEGMENTATION, &DETECTION].map(|settings| load(settings).unwrap());
    for training in [segmentation, detection] {
        let text = toml::to_string(&training).unwrap();
        assert_eq!(toml::from_str::<TrainingRecipe>(&text).unwrap(), training, "{text}");
    }
}

#[test]
fn another_length_keeps_the_share_of_warm_up_and_milestones() {
    let at = |settings: &[&str], length| load(settings).unwrap().rescaled(100, Some(length));
    let shorter = at(&DETECTION, Length::Epochs(3.6));
    assert_eq!((shorter.epochs, shorter.steps, shorter.warmup_steps), (Some(3.6), None, Some(100.0)));
    let schedule = shorter.schedule(100);
    assert_eq!(schedule.total_steps, 360);
    assert_eq!(schedule.curve, RateCurve::Milestones { steps: vec![270, 330], factor: 0.1 });
    let in_steps = at(&DETECTION, Length::Steps(72)).schedule(100);
    assert_eq!((in_steps.total_steps, in_steps.warmup_steps), (72, 20.0));
    assert_eq!(in_steps.curve, RateCurve::Milestones { steps: vec![54, 66], factor: 0.1 });
    let shorter = at(&SEGMENTATION, Length::Epochs(16.0));
    assert_eq!((shorter.epochs, shorter.steps, shorter.warmup_steps), (None, Some(1600), Some(15.0)));
    let milestones = "training.curve={ milestones = { steps = [80000, 120000] } }";
    let shorter = at(&[&SEGMENTATION[..4], &[milestones]].concat(), Length::Steps(4));
    assert_eq!(shorter.schedule(100).curve, RateCurve::Milestones { steps: vec![2, 3], factor: 0.1 });
    let same = load(&DETECTION).unwrap();
    assert_eq!(same.rescaled(3665, None), same);
}

#[test]
fn a_length_and_a_warm_up_have_one_unit_each() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    let plain = PRETRAINING[0].1;
    let load = |from: &str, to: &str| {
        std::fs::write(&path, plain.replace(from, to)).unwrap();
        PretrainRecipe::load(&path.display().to_string(), &[]).map_err(|error| error.to_string())
    };
    for (from, to, keys) in [
        ("epochs = 100", "epochs = 100\nsteps = 5", "epochs or steps"),
        ("epochs = 100", "", "epochs or steps"),
        ("warmup_epochs = 10", "warmup_epochs = 10\nwarmup_steps = 5", "warmup_epochs or warmup_steps"),
        ("warmup_epochs = 10", "", "warmup_epochs or warmup_steps"),
        (
            "[augmentation]",
            "curve.milestones.factor = 0.5\n[augmentation]",
            "milestones] needs either epochs or steps",
        ),
    ] {
        let message = load(from, to).unwrap_err();
        assert!(message.contains(keys), "{to}: {message}");
    }
    let both = "curve.milestones = { epochs = [1], steps = [9] }\n[augmentation]";
    assert!(load("[augmentation]", both).unwrap_err().contains("needs either epochs or steps"));
    let in_steps = load("epochs = 100", "steps = 5000").unwrap().training;
    assert_eq!(in_steps.length(), Length::Steps(5000));
    std::fs::write(&path, "extends = \"plain\"\n[training]\nsteps = 70").unwrap();
    let extended = PretrainRecipe::load(&path.display().to_string(), &[]).unwrap().training;
    assert_eq!((extended.length(), extended.warmup_epochs), (Length::Steps(70), Some(10.0)));
}

#[test]
fn of_two_ways_to_say_the_same_the_last_one_counts() {
    let training = load(&["training.steps=50", "training.warmup_steps=5"]).unwrap();
    assert_eq!((training.epochs, training.warmup_epochs), (None, None));
    assert_eq!((training.length(), training.warmup_steps), (Length::Steps(50), Some(5.0)));
    let curves = ["training.curve.poly.power=2", "training.curve.milestones.epochs=[40]"];
    let training = load(&curves).unwrap();
    let milestones = MilestonesRecipe { epochs: Some(vec![40.0]), steps: None, factor: 0.1 };
    assert_eq!(training.curve, CurveRecipe::Milestones(milestones));
    let own = ["from_scratch.warmup_steps=7".to_owned(), "training.steps=100".to_owned()];
    let scratch = FinetuneRecipe::load("plain", &own, InitFrom::Scratch).unwrap().training;
    assert_eq!((scratch.warmup_steps, scratch.warmup_epochs), (Some(7.0), None));
}

#[test]
fn what_has_no_effect_or_no_sense_is_refused() {
    for (setting, expected) in [
        ("training.steps=0", "steps is 0, but must be above 0"),
        ("training.steps=-1", "steps"),
        ("training.warmup_start=1.5", "warm-up start is 1.5, but must be from 0 to 1"),
        ("training.warmup_start=nan", "warm-up start is NaN"),
        ("training.curve=linear", "linear"),
        ("training.curve={ poly = { power = 0 } }", "power of poly is 0, but must be above 0"),
        ("training.curve={ poly = { powr = 1 } }", "powr"),
        ("training.curve={ milestones = { epochs = [8, 8] } }", "milestone is 8"),
        ("training.curve={ milestones = { epochs = [0] } }", "milestone is 0"),
        (
            "training.curve={ milestones = { epochs = [100] } }",
            "milestone in epochs is 100, but must be before the end",
        ),
        ("training.curve={ milestones = { epochs = [8], factor = 1 } }", "factor of milestones is 1"),
        ("training.validate_every={ steps = 0 }", "validate_every is 0, but must be above 0"),
        ("training.validate_every={ epochs = -1 }", "validate_every is -1"),
        ("training.validate_every={ days = 1 }", "it is { days = 1 }; give { steps = N } or { epochs = X }"),
        ("training.validate_every=4", "it is 4; give { steps = N } or { epochs = X }"),
    ] {
        let message = load(&[setting]).unwrap_err();
        assert!(message.contains(expected), "{setting}: {message}");
    }
}

#[test]
fn what_is_in_two_units_is_checked_when_the_data_is_known() {
    let training = load(&DETECTION).unwrap();
    assert!(training.check_length(28).is_ok());
    let message = training.check_length(27).unwrap_err().to_string();
    assert!(
        message.contains("warm-up steps is 1000, but must be from 0 to the steps of the training"),
        "{message}"
    );
    let milestones = "training.curve={ milestones = { steps = [3600] } }";
    let training = load(&[&DETECTION[..4], &[milestones]].concat()).unwrap();
    assert!(training.check_length(101).is_ok());
    let message = training.check_length(100).unwrap_err().to_string();
    assert!(message.contains("milestone in steps is 3600, but must be before the end"), "{message}");
}

#[test]
fn validations_may_be_rarer_than_epochs() {
    let interval = |setting| load(&[setting]).unwrap().validation_interval(10);
    assert_eq!(load(&[]).unwrap().validation_interval(10), None);
    assert_eq!(interval("training.validate_every={ steps = 16000 }"), Some(16_000));
    assert_eq!(interval("training.validate_every={ epochs = 5 }"), Some(50));
    assert_eq!(interval("training.validate_every={ epochs = 0.01 }"), Some(1));
    let training = load(&["training.validate_every={ steps = 16000 }"]).unwrap();
    assert_eq!(training.rescaled(10, Some(Length::Steps(4))).validation_interval(10), Some(16_000));
}
