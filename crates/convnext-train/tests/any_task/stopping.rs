//! Early stopping: no way to stop and go on changes where it ends.

use std::fs;
use std::path::Path;

use convnext_train::{NoopObserver, ResumeMode, Summary, TrainError};

use super::jumping::{Breaks, Jumping};
use super::validating::{Plan, results, run};
use crate::toy::runs::{StopAfter, images};

fn patient(
    images: &Path,
    out: &Path,
    task: &Jumping,
    patience: usize,
    how: ResumeMode,
) -> Result<Summary, TrainError> {
    let plan = Plan { patience: Some(patience), how, ..Plan::new(task, Some(1)) };
    run(images, out, plan, &mut NoopObserver)
}

#[test]
fn a_run_ends_after_so_many_validations_without_a_better_one() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let task = Jumping::new(Breaks::Never);
    for patience in 1..=3 {
        let out = runs.path().join(patience.to_string());
        let summary = patient(images.path(), &out, &task, patience, ResumeMode::New).unwrap();
        let best = summary.best.as_ref().unwrap();
        let stop = summary.stopped_early.as_ref().unwrap();
        assert_eq!(summary.steps, best.step + patience, "{summary:?}");
        assert!(stop.to_string().ends_with("no better height in 1 validation") == (patience == 1), "{stop}");
        assert!(out.join("weights.safetensors").is_file() && out.join("weights-ema.safetensors").is_file());
    }
}

#[test]
fn a_run_that_breaks_anywhere_ends_where_it_would_have() {
    let (images, runs) = (images(), tempfile::tempdir().unwrap());
    let whole = runs.path().join("whole");
    let summary = patient(images.path(), &whole, &Jumping::new(Breaks::Never), 2, ResumeMode::New).unwrap();
    let expected = results(&whole);
    for step in 1..=summary.steps {
        for breaks in
            [Breaks::InStep(step), Breaks::InValidation(2 * step - 1), Breaks::InValidation(2 * step)]
        {
            let out = runs.path().join(format!("{breaks:?}"));
            assert!(
                patient(images.path(), &out, &Jumping::new(breaks), 2, ResumeMode::New).is_err(),
                "{breaks:?}"
            );
            patient(images.path(), &out, &Jumping::new(Breaks::Never), 2, ResumeMode::Resumed).unwrap();
            assert!(results(&out) == expected, "{breaks:?}");
        }
        if step < summary.steps {
            let out = runs.path().join(format!("stopped {step}"));
            let task = Jumping::new(Breaks::Never);
            let plan = Plan { patience: Some(2), ..Plan::new(&task, Some(1)) };
            assert!(run(images.path(), &out, plan, &mut StopAfter(step, 0)).is_err());
            patient(images.path(), &out, &task, 2, ResumeMode::Resumed).unwrap();
            assert!(results(&out) == expected, "{step}");
        }
    }
    assert!(fs::read(whole.join("weights-best.safetensors")).is_ok());
}
