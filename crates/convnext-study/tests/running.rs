//! Studies that are run, stopped and taken up again, with a runner that trains nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod toy;

use std::fs;
use std::path::Path;

use convnext_study::{
    CommandEnd, PaperValue, PlannedRun, Stage, Study, StudyError, StudyFolder, StudyOptions, StudyOutcome,
    plan, run_study,
};
use toy::{Notes, Rule, Toy, failure, options, study};

/// Top-1 that grows with the seed, and more after pre-training.
fn plain(run: &PlannedRun) -> f64 {
    let better = if run.name == "scratch" { 0.0 } else { 0.1 };
    0.5 + better + 0.01 * run.seed as f64 * if run.name == "tuned" { 2.0 } else { 1.0 }
}

fn run(folder: &Path, options: &StudyOptions, resume: bool, toy: &Toy) -> Result<StudyOutcome, StudyError> {
    let mut folder = StudyFolder::open(folder, &study(), options, resume)?;
    run_study(&mut folder, 1, toy, &Notes::default())
}

fn ran_with(rule: Rule, text: &str) -> (Vec<String>, StudyOutcome) {
    let (folder, toy) = (tempfile::tempdir().unwrap(), Toy::new(rule));
    let outcome = run(&folder.path().join("out"), &options(text), false, &toy).unwrap();
    (toy.ran(), outcome)
}

#[test]
fn a_pretraining_is_shared_and_runs_once_for_each_seed() {
    let (ran, outcome) = ran_with(|run| Ok(plain(run)), "seeds = 2");
    let expected = ["masks", "tuned", "slow", "scratch"];
    let of_seed = |seed| expected.map(|name| format!("{name}-seed{seed}"));
    assert_eq!(ran, [of_seed(0), of_seed(1)].concat());
    let cells = |row: usize| outcome.table().rows[row].clone();
    // 60 and 62 less 50 and 51: a mean of 10.5 and a deviation of 1 / sqrt(2).
    assert_eq!(cells(0), ["FCMAE", "61.00 ± 1.41", "+10.50 ± 0.71", "84.6", "+0.8"]);
    assert_eq!(cells(1), ["FCMAE, slow", "60.50 ± 0.71", "+10.00 ± 0.00", "unstable", "-"]);
    assert_eq!(cells(2), ["scratch", "50.50 ± 0.71", "-", "83.8", "-"]);
    assert_eq!(cells(3), ["MAE", "-", "-", "83.6", "-0.2"]);
    assert_eq!(
        outcome.table().head,
        ["row", "top-1 in %", "difference", "paper, top-1", "paper, difference"]
    );
}

#[test]
fn commands_are_those_that_one_would_type() {
    let planned = plan(&study(), &options("seeds = 1\nlabels = [10]"), Path::new("out")).unwrap();
    let commands: Vec<String> = planned.iter().map(PlannedRun::command_line).collect();
    assert_eq!(
        commands,
        [
            "convnext pretrain --data photos --model micro --epochs 8 --seed 0 --out out/runs/masks-seed0",
            "convnext finetune --data photos --init out/runs/masks-seed0/weights.safetensors --labels-per-class 10 --epochs 2 \
             --seed 0 --out out/runs/tuned-10-labels-seed0",
            "convnext finetune --data photos --init out/runs/masks-seed0/weights.safetensors --labels-per-class 10 --epochs 4 \
             --seed 0 --lr 1e-5 --out out/runs/slow-10-labels-seed0",
            "convnext finetune --data photos --model v1-micro --labels-per-class 10 --epochs 2 --seed 0 --out \
             out/runs/scratch-10-labels-seed0",
        ]
    );
}

#[test]
fn numbers_of_labels_are_columns_over_one_pretraining() {
    let (ran, outcome) = ran_with(
        |run| Ok(plain(run) + run.labels.unwrap_or(0) as f64 / 1000.0),
        "seeds = 1\nlabels = [10, 100]",
    );
    assert_eq!(ran.iter().filter(|id| id.starts_with("masks")).count(), 1);
    assert_eq!(ran.len(), 7);
    assert_eq!(outcome.table().rows[0][1..5], ["61.00", "+10.00", "70.00", "+10.00"]);
}

#[test]
fn only_the_wanted_rows_are_run_with_what_they_need() {
    let (ran, outcome) = ran_with(|run| Ok(plain(run)), "seeds = 1\nonly = ['FCMAE']");
    assert_eq!(ran, ["masks-seed0", "tuned-seed0"]);
    assert_eq!(outcome.table().rows[2][1], "not run");
}

#[test]
fn a_run_that_fails_or_diverges_keeps_only_those_from_running_that_need_it() {
    let diverging: Rule = |run| match run.name.as_str() {
        "masks" if run.seed == 1 => Err(failure("training has diverged at step 3", true)),
        "slow" => Err(failure("no space", false)),
        _ => Ok(plain(run)),
    };
    let (ran, outcome) = ran_with(diverging, "seeds = 2");
    assert_eq!(
        ran,
        ["masks-seed0", "tuned-seed0", "slow-seed0", "scratch-seed0", "masks-seed1", "scratch-seed1"]
    );
    let cells = |row: usize| outcome.table().rows[row].clone();
    assert_eq!(cells(0)[1..3], ["60.00, 1 diverged", "+10.00 (1 seed)"]);
    assert_eq!(cells(1)[1], "1 diverged, 1 failed");
    assert_eq!(cells(2)[1], "50.50 ± 0.71");
    let failures: Vec<(&str, &str)> =
        outcome.failures().into_iter().map(|(run, error)| (run.id.as_str(), error)).collect();
    assert_eq!(failures, [("slow-seed0", "no space")]);
    let (_, outcome) = ran_with(|_| Err(failure("training has diverged", true)), "seeds = 2");
    assert_eq!(outcome.table().rows[0][1], "diverged");
    assert!(outcome.failures().is_empty());
}

#[test]
fn a_stopped_study_goes_on_with_what_is_left_and_ends_with_the_same_table() {
    let (alone, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let options = options("seeds = 2");
    run(alone.path(), &options, false, &Toy::new(|run| Ok(plain(run)))).unwrap();
    for stop in 1..8 {
        let toy = Toy::stopping_after(1, |run| Ok(plain(run)));
        let error = run(stopped.path(), &options, true, &toy).unwrap_err();
        assert!(matches!(error, StudyError::Interrupted) && toy.ran().len() == 1, "{stop}: {error}");
        // A process may be killed within a line, and within a letter.
        let path = stopped.path().join("results.jsonl");
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(b"{\"run\":\"tuned-se\xe2\x80");
        fs::write(&path, bytes).unwrap();
    }
    let toy = Toy::new(|run| Ok(plain(run)));
    run(stopped.path(), &options, true, &toy).unwrap();
    assert_eq!(toy.ran(), ["scratch-seed1"]);
    let table = |folder: &Path| fs::read_to_string(folder.join("table.md")).unwrap();
    assert_eq!(table(alone.path()), table(stopped.path()));
}

#[test]
fn what_failed_is_tried_again_and_what_diverged_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let failing: Rule = |run| match run.name.as_str() {
        "slow" => Err(failure("no space", false)),
        "scratch" => Err(failure("training has diverged", true)),
        _ => Ok(plain(run)),
    };
    run(folder.path(), &options("seeds = 1"), false, &Toy::new(failing)).unwrap();
    let toy = Toy::new(|run| Ok(plain(run)));
    let outcome = run(folder.path(), &options("seeds = 1"), true, &toy).unwrap();
    assert_eq!(toy.ran(), ["slow-seed0"]);
    assert_eq!(outcome.table().rows[1][1], "60.00");
    assert_eq!(outcome.table().rows[2][1], "diverged");
}

#[test]
fn a_used_folder_and_changed_options_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |text: &str, resume| {
        let toy = Toy::new(|run| Ok(plain(run)));
        run(folder.path(), &options(text), resume, &toy).unwrap_err().to_string()
    };
    fs::write(folder.path().join("letter.txt"), "dear").unwrap();
    assert!(refused("seeds = 1", true).contains("no study.toml"));
    fs::remove_file(folder.path().join("letter.txt")).unwrap();
    run(folder.path(), &options("seeds = 1"), false, &Toy::new(|run| Ok(plain(run)))).unwrap();
    assert!(refused("seeds = 1", false).contains("--resume"));
    let changed = refused("seeds = 2\nstem_stride = 1", true);
    assert!(
        changed.contains(": options.seeds was 1, is 2; options.stem_stride was not set, is 1; give"),
        "{changed}"
    );
    let held = StudyFolder::open(folder.path(), &study(), &options("seeds = 1"), true).unwrap();
    assert!(refused("seeds = 1", true).contains("another process"));
    drop(held);
}

#[test]
fn options_that_do_not_fit_are_refused() {
    for (text, expected) in [
        ("labels = [3, 3]", "twice"),
        ("only = ['FCMAEE']", "did you mean 'FCMAE'"),
        ("models = ['a', 'b']", "2 models are named, and this study has 1"),
        (
            "stages.downstream.data = 'camvid'",
            "--downstream-data has no effect, because no downstream training",
        ),
        ("stages.intermediate.epochs = 3", "--intermediate-epochs has no effect"),
        (
            "only = ['scratch']\nstages.pretraining.arguments = ['--quick']",
            "--arguments pretraining= has no effect",
        ),
        ("budget = 9\nstages.pretraining.epochs = 3", "leave numbers of epochs out"),
        ("only = ['MAE']", "nothing to run"),
        ("only = ['scratch']\nstages.pretraining.epochs = 3", "--pretraining-epochs has no effect"),
    ] {
        let error = plan(&study(), &options(&format!("seeds = 1\n{text}")), Path::new("out"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let without_data = StudyOptions { seeds: 1, ..StudyOptions::default() };
    let error = plan(&study(), &without_data, Path::new("out")).unwrap_err().to_string();
    assert!(
        error.contains("run 'masks', pre-training,") && error.contains("--pretraining-data PATH"),
        "{error}"
    );
}

#[test]
fn several_commands_at_once_give_the_same_table() {
    let tables = [1, 4].map(|parallel| {
        let folder = tempfile::tempdir().unwrap();
        let mut opened = StudyFolder::open(folder.path(), &study(), &options("seeds = 3"), false).unwrap();
        let toy = Toy::new(|run| Ok(plain(run)));
        let outcome = run_study(&mut opened, parallel, &toy, &Notes::default()).unwrap();
        assert_eq!(toy.ran().len(), 12);
        outcome.markdown()
    });
    assert_eq!(tables[0], tables[1]);
}

#[test]
fn a_damaged_file_of_a_run_fails_that_run_alone() {
    let damaging: Rule = |run| {
        if run.name != "slow" {
            return Ok(plain(run));
        }
        fs::create_dir_all(&run.folder).unwrap();
        fs::write(run.folder.join("evaluation.json"), "{").unwrap();
        Err(CommandEnd::Success(None))
    };
    let (ran, outcome) = ran_with(damaging, "seeds = 1");
    assert_eq!(ran.len(), 4);
    let failures = outcome.failures();
    assert_eq!(failures.len(), 1);
    assert!(failures[0].0.id == "slow-seed0" && failures[0].1.contains("evaluation.json"), "{failures:?}");
    assert_eq!(outcome.table().rows[2][1], "50.00");
}

#[test]
fn images_that_changed_are_refused_when_a_study_goes_on() {
    let (folder, photos) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut options = options("seeds = 1");
    options.stages.entry(Stage::Finetuning).or_default().data = Some(photos.path().to_owned());
    let run = |resume| run(folder.path(), &options, resume, &Toy::new(|run| Ok(plain(run))));
    fs::write(photos.path().join("a.png"), "a").unwrap();
    run(false).unwrap();
    run(true).unwrap();
    fs::write(photos.path().join("b.png"), "bc").unwrap();
    let error = run(true).unwrap_err().to_string();
    assert!(error.contains(".bytes was 1, is 3") && error.contains(".files was 1, is 2"), "{error}");
}

/// Bug: an index that the first training writes beside shards kept the study from going on.
#[test]
fn what_is_written_beside_images_is_no_change_of_them() {
    let (folder, photos) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut options = options("seeds = 1");
    options.stages.entry(Stage::Finetuning).or_default().data = Some(photos.path().to_owned());
    let run = |resume| run(folder.path(), &options, resume, &Toy::new(|run| Ok(plain(run))));
    fs::write(photos.path().join("0.tar"), "a").unwrap();
    run(false).unwrap();
    for name in ["shards.index", ".hidden"] {
        fs::write(photos.path().join(name), "bcd").unwrap();
    }
    run(true).unwrap();
    // An earlier version counted these as well.
    let path = folder.path().join("study.toml");
    let text = fs::read_to_string(&path).unwrap();
    let earlier = text.replace("files = 1", "files = 3").replace("bytes = 1", "bytes = 7");
    assert_ne!(earlier, text);
    fs::write(&path, earlier).unwrap();
    run(true).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

/// Bug: a later version that said more about a study of its own did not go on with it.
#[test]
fn a_study_goes_on_under_other_words_but_not_with_other_runs() {
    let folder = tempfile::tempdir().unwrap();
    let ran = |study: &Study, resume| {
        let toy = Toy::new(|run| Ok(plain(run)));
        let mut folder = StudyFolder::open(folder.path(), study, &options("seeds = 1"), resume)?;
        run_study(&mut folder, 1, &toy, &Notes::default()).map(|outcome| (outcome, toy.ran().len()))
    };
    ran(&study(), false).unwrap();
    let mut said = study();
    said.remarks = "More is known now.".into();
    said.rows[0].paper = vec![PaperValue::Words("high".into())];
    let (outcome, count) = ran(&said, true).unwrap();
    assert_eq!((outcome.study, count), (said.clone(), 0));
    said.runs[0].arguments.push("--mask-ratio=0.5".into());
    let error = ran(&said, true).unwrap_err().to_string();
    assert!(error.contains("other settings: study.runs is another one;"), "{error}");
}
