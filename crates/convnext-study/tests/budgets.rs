//! Lengths of studies: those that are asked for, and those that a time allows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod toy;

use std::path::Path;

use convnext_study::{
    PlannedRun, RecipeChoice, Stage, StudyError, StudyFolder, StudyOptions, StudyOutcome, plan, read_study,
    run_study,
};
use toy::{Notes, Rule, Toy, failure, flag, options, study};

/// Runs a study, and returns what was said as well.
fn run(
    folder: &Path,
    options: &StudyOptions,
    parallel: usize,
    toy: &Toy,
) -> Result<(StudyOutcome, Vec<String>), StudyError> {
    let mut folder = StudyFolder::open(folder, &study(), options, true)?;
    let notes = Notes::default();
    let outcome = run_study(&mut folder, parallel, toy, &notes)?;
    Ok((outcome, notes.0.into_inner().unwrap()))
}

fn steps(outcome: &StudyOutcome, name: &str) -> usize {
    let run = outcome.plan.iter().find(|run| run.name == name).unwrap();
    flag(run, "--steps").unwrap().parse().unwrap()
}

const EVERY: [&str; 4] = ["masks", "tuned", "slow", "scratch"];

/// Steps of every run, and all that was said, with a budget and a rule.
fn chosen(text: &str, parallel: usize, rule: Rule) -> ([usize; 4], Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, said) = run(&folder.path().join("out"), &options(text), parallel, &Toy::new(rule)).unwrap();
    (EVERY.map(|name| steps(&outcome, name)), said)
}

#[test]
fn a_budget_scales_all_lengths_by_one_factor_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = options("seeds = 2\nbudget = 100");
    let toy = Toy::new(|_| Ok(0.5));
    let (outcome, _) = run(folder.path(), &options, 1, &toy).unwrap();
    // Four timed runs of an epoch, and then the study.
    assert_eq!(toy.ran().len(), 4 + 8);
    // An epoch of 40 images takes 2 s, and half a second more with its validation. Of the 100 s the timed runs took 10, and a
    // tenth is left: 81 s less 8 times the fixed half second, over 2 seeds x 16 epochs of 2.5 s, times 4 steps.
    let factor = (81.0 - 4.0) / (2.0 * 16.0 * 2.5);
    let expected = [8.0, 2.0, 4.0, 2.0].map(|epochs: f64| (factor * epochs * 4.0) as usize);
    assert_eq!(EVERY.map(|name| steps(&outcome, name)), expected);
    let again = Toy::new(|_| Err(failure("it would be timed again", false)));
    let (resumed, said) = run(folder.path(), &options, 1, &again).unwrap();
    assert!(again.ran().is_empty());
    assert_eq!(EVERY.map(|name| steps(&resumed, name)), expected);
    assert!(
        said.iter()
            .any(|line| line.starts_with("lengths: pre-training 30 steps; fine-tuning 7 steps (tuned")),
        "{said:?}"
    );
}

/// Bug: the advice was to give more time, which was refused as another setting.
#[test]
fn a_budget_that_proved_too_short_may_be_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let ran = |budget: usize, rule: Rule| {
        let toy = Toy::new(rule);
        let options = options(&format!("seeds = 2\nbudget = {budget}"));
        run(folder.path(), &options, 1, &toy).map(|(outcome, _)| (outcome, toy.ran().len()))
    };
    let error = ran(12, |_| Ok(0.5)).unwrap_err().to_string();
    assert!(error.contains("8 runs take about") && folder.path().join("timing").is_dir(), "{error}");
    let without = run(folder.path(), &options("seeds = 2"), 1, &Toy::new(|_| Ok(0.5))).unwrap_err();
    assert!(without.to_string().contains("options.budget was 12, is not set"), "{without}");
    // What was timed is not timed again.
    let (outcome, count) = ran(100, |_| Ok(0.5)).unwrap();
    assert_eq!((steps(&outcome, "masks"), count), (30, 8));
    assert!(!folder.path().join("timing").exists());
    // Lengths that were chosen stay.
    let error = ran(200, |_| Ok(0.5)).unwrap_err().to_string();
    assert!(error.contains("options.budget was 100, is 200"), "{error}");
    assert_eq!(ran(100, |_| Err(failure("it would be run again", false))).unwrap().1, 0);
}

#[test]
fn runs_that_diverge_or_fail_when_they_are_timed_get_lengths_like_the_others() {
    let all = chosen("seeds = 1\nbudget = 100", 1, |_| Ok(0.5)).0;
    assert_eq!(all, [32, 8, 16, 8]);
    for rule in [
        |run: &PlannedRun| match run.name.as_str() {
            "slow" => Err(failure("training has diverged at step 3", true)),
            _ => Ok(0.5),
        },
        |run: &PlannedRun| match run.name.as_str() {
            "tuned" => Err(failure("no space", false)),
            _ => Ok(0.5),
        },
    ] {
        assert_eq!(chosen("seeds = 1\nbudget = 100", 1, rule).0, all);
    }
}

#[test]
fn a_length_needs_one_run_of_its_stage_that_comes_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let diverging = Toy::new(|run| match run.name.as_str() {
        "masks" => Err(failure("training has diverged at step 3", true)),
        _ => Ok(0.5),
    });
    let error = run(folder.path(), &options("seeds = 1\nbudget = 100"), 1, &diverging).unwrap_err();
    assert!(
        error.to_string().contains("masks-seed0") && error.to_string().contains("diverged at step 3"),
        "{error}"
    );
}

#[test]
fn lengths_are_never_those_of_more_epochs_than_the_study_has() {
    let (steps, said) = chosen("seeds = 1\nbudget = 9000", 1, |_| Ok(0.5));
    assert_eq!(steps, [32, 8, 16, 8]);
    assert!(said.iter().any(|line| line.contains("the epochs of the study and no more")), "{said:?}");
}

#[test]
fn several_places_save_no_more_than_the_longest_chain_allows() {
    // The longest chain of a seed is a pre-training of 8 epochs, and a fine-tuning of 4: 30 s and twice half a second.
    let factor = |parallel| chosen("seeds = 1\nbudget = 30", parallel, |_| Ok(0.5)).0[0] as f64 / 32.0;
    let time = 0.9 * (30.0 - 10.0);
    for (parallel, expected) in [(1, (time - 2.0) / 40.0), (2, (time - 1.0) / 30.0), (9, (time - 1.0) / 30.0)]
    {
        let found = factor(parallel);
        assert!((expected - 1.0 / 32.0..=expected).contains(&found), "{parallel}: {found} of {expected}");
    }
}

#[test]
fn a_number_of_epochs_is_that_of_the_longest_run() {
    let mut figure = read_study("figure1").unwrap();
    figure.models.truncate(1);
    let mut options = options("seeds = 1\nstages.pretraining.epochs = 50");
    options.stages.entry(Stage::Finetuning).or_default().epochs = Some(12);
    let planned = plan(&figure, &options, Path::new("out")).unwrap();
    let epochs: Vec<(&str, &str)> =
        planned.iter().map(|run| (run.name.as_str(), run.length.as_deref().unwrap())).collect();
    assert_eq!(
        epochs,
        [("v1-a-supervised", "6 epochs"), ("v2-a-fcmae", "50 epochs"), ("v2-a-fcmae-tuned", "12 epochs")]
    );
}

#[test]
fn a_made_recipe_keeps_its_epochs_among_those_of_the_paper() {
    let with_paper = |text: &str| StudyOptions { recipes: RecipeChoice::Paper, ..options(text) };
    let paper = with_paper("seeds = 1");
    let command = |study: &str, run: &str, options: &StudyOptions| {
        let planned = plan(&read_study(study).unwrap(), options, Path::new("out")).unwrap();
        planned.iter().find(|planned| planned.name == run).unwrap().command_line()
    };
    assert_eq!(
        command("table14", "v1-a-supervised", &paper),
        "convnext finetune --data photos --model v1-atto --recipe auto --epochs 300 --seed 0 --out \
         out/runs/v1-a-supervised-seed0"
    );
    assert!(!command("table14", "v2-a-supervised", &paper).contains("--epochs"));
    let paper = with_paper("seeds = 1\nstages.downstream.data = 'camvid'");
    let scratch = command("transfer-init", "from-scratch", &paper);
    assert!(scratch.contains("--recipe auto --epochs 127 --seed 0"), "{scratch}");
}

#[test]
fn a_study_that_measures_time_runs_one_command_at_once() {
    let mut timed = study();
    timed.metrics[0].name = "/images_per_second".into();
    let folder = tempfile::tempdir().unwrap();
    let mut opened = StudyFolder::open(folder.path(), &timed, &options("seeds = 1"), false).unwrap();
    let toy = Toy::new(|_| Ok(0.5));
    let error = run_study(&mut opened, 2, &toy, &Notes::default()).unwrap_err().to_string();
    assert!(error.contains("'top-1'") && error.contains("--parallel") && toy.ran().is_empty(), "{error}");
    run_study(&mut opened, 1, &toy, &Notes::default()).unwrap();
}
