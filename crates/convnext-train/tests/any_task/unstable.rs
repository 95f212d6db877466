//! Trainings whose loss jumps, or rises and stays high: that they end with a word about it, wherever they were stopped.

use convnext_train::{EpochReport, LossCourse, NoopObserver, ResumeMode};

use super::jumping::{Breaks, Jumping};
use super::validating::{Plan, results, run};
use crate::toy::runs::{StopAfter, images};

#[test]
fn a_training_whose_loss_rises_and_stays_high_ends_with_a_word_about_it() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let rising = Jumping::new(Breaks::Never).rising();
    let whole = runs.path().join("whole");
    let summary = run(images.path(), &whole, Plan::new(&rising, None), &mut NoopObserver).unwrap();
    let losses = summary.unstable.unwrap();
    assert!(losses.is_unstable() && losses.lowest.epoch == 0 && losses.last.epoch == 2, "{losses}");
    let expected = results(&whole);
    let reports: Vec<EpochReport> = expected
        .0
        .iter()
        .filter(|line| line.get("train_loss").is_some())
        .map(|line| serde_json::from_value(line.clone()).unwrap())
        .collect();
    assert_eq!(LossCourse::of(&reports), Some(*losses));

    // In the middle of an epoch, at its end, and after the first step of the last one.
    for step in [2, 4, 9] {
        let out = runs.path().join(step.to_string());
        assert!(run(images.path(), &out, Plan::new(&rising, None), &mut StopAfter(step, 0)).is_err());
        let plan = Plan { how: ResumeMode::Resumed, ..Plan::new(&rising, None) };
        run(images.path(), &out, plan, &mut NoopObserver).unwrap();
        assert!(results(&out) == expected, "{step}");
    }
}
