//! Trainings that one study takes over from another, with a runner that trains nothing.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod toy;

use std::fs;
use std::path::{Path, PathBuf};

use convnext_study::{
    FinishedRuns, Machine, PlannedRun, Study, StudyError, StudyFolder, StudyOutcome, read_study, reuse,
    run_study,
};
use toy::{Notes, Toy, failure, options, study};

/// Another study that has two of the toy's runs under other names, and a third one that only seems to be there already: it
/// starts from other weights.
const OTHER: &str = r#"
title = "Other"
question = "What is known already?"
models = ["micro"]
metrics = [{ name = "top1", label = "top-1", percent = true }]
epochs = { pretraining = 8, finetuning = 2 }
runs = [
  { name = "fcmae", stage = "pretraining" },
  { name = "from-fcmae", stage = "finetuning", from = "fcmae" },
  { name = "leaky", stage = "pretraining", arguments = ["--encoder", "leaky"] },
  { name = "from-leaky", stage = "finetuning", from = "leaky" },
]
rows = [{ name = "sparse", run = "from-fcmae" }, { name = "leaky", run = "from-leaky" }]
"#;

struct Studies {
    folder: tempfile::TempDir,
}

impl Studies {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The first study, with checkpoints that nobody needs any more.
    fn first(&self, text: &str, toy: &Toy) {
        let mut folder = StudyFolder::open(&self.path("first"), &study(), &options(text), false).unwrap();
        run_study(&mut folder, 1, toy, &Notes::default()).unwrap();
        let run = self.path("first/runs/masks-seed0");
        for (name, content) in
            [("weights.safetensors", "weights"), ("checkpoints/step-00000008.safetensors", "")]
        {
            let file = run.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
    }

    /// Changes a file of the first study.
    fn change(&self, file: &str, changes: &[(&str, &str)]) {
        let path = self.path("first").join(file);
        let text = fs::read_to_string(&path).unwrap();
        let changed = changes.iter().fold(text.clone(), |text, (from, to)| text.replace(*from, to));
        assert_ne!(changed, text, "{file}");
        fs::write(&path, changed).unwrap();
    }

    /// What was run of the other study.
    fn other(
        &self,
        text: &str,
        reused: &[PathBuf],
    ) -> Result<(Vec<String>, StudyOutcome, Notes), StudyError> {
        let study: Study = toml::from_str(OTHER).unwrap();
        let (toy, notes) = (Toy::new(|_| Ok(0.25)), Notes::default());
        let finished = FinishedRuns::of(reused, &study)?;
        let mut folder = StudyFolder::open(&self.path("other"), &study, &options(text), true)?;
        // The one that the toy's runs say they were made on.
        let machine = Machine { processor: "toy".into(), instructions: "avx2, bf16 emulated on avx2".into() };
        reuse(&mut folder, &finished, &machine, &notes)?;
        let outcome = run_study(&mut folder, 1, &toy, &notes)?;
        Ok((toy.ran(), outcome, notes))
    }
}

#[test]
fn what_another_study_has_finished_is_not_run_again() {
    let studies = Studies::new();
    studies.first("seeds = 1", &Toy::new(|_| Ok(0.75)));
    let (ran, outcome, notes) = studies.other("seeds = 2", &[studies.path("first")]).unwrap();
    assert_eq!(
        ran,
        [
            "leaky-seed0",
            "from-leaky-seed0",
            "fcmae-seed1",
            "from-fcmae-seed1",
            "leaky-seed1",
            "from-leaky-seed1"
        ]
    );
    // 75 % of the first study's seed, and 25 % of what was run.
    assert_eq!(outcome.table().rows[0][1], "50.00 ± 35.36");
    let said = notes.0.lock().unwrap().join("\n");
    assert!(said.contains("fcmae-seed0 is that of") && said.contains("masks-seed0"), "{said}");
    let copied = studies.path("other/runs/fcmae-seed0");
    assert_eq!(fs::read_to_string(copied.join("weights.safetensors")).unwrap(), "weights");
    assert!(!copied.join("checkpoints").exists());
    // The copies are runs of this study: with its weights, so that a run goes on whose end was not written down.
    let config = fs::read_to_string(studies.path("other/runs/from-fcmae-seed0/config.toml")).unwrap();
    assert!(config.contains("other/runs/fcmae-seed0/weights.safetensors"), "{config}");
    assert!(config.contains("other/runs/from-fcmae-seed0\"") && config.contains("seed = 0"), "{config}");
    assert!(outcome.legend().contains("2 of 8 runs are those of other studies"), "{}", outcome.legend());
    // Nothing is copied twice, and nothing depends on the first study.
    fs::remove_dir_all(studies.path("first")).unwrap();
    let (ran, again, _) = studies.other("seeds = 2", &[]).unwrap();
    assert_eq!((ran, again.table()), (vec![], outcome.table()));
}

/// Bug: that nothing could be reused was said by nothing but the time that it took.
#[test]
fn other_lengths_images_versions_and_failures_are_not_reused_and_the_difference_is_told() {
    // Images that became more since, a run that did not come to its end, and one of another program.
    let changes = [
        ("files = 0", "files = 7"),
        (r#""status":"finished""#, r#""status":"diverged","error":"""#),
        (env!("CARGO_PKG_VERSION"), "0.0.1"),
    ];
    let (same, longer) = ("seeds = 1", "seeds = 1\n[stages.pretraining]\nepochs = 4");
    for (text, changed, why) in [
        (longer, None, "none of its finished trainings has the same arguments"),
        (same, Some("study.toml"), "its images were others"),
        (same, Some("results.jsonl"), "none of its trainings has finished"),
        (same, Some("runs/masks-seed0/run.json"), "its trainings were made by version 0.0.1 of the program"),
    ] {
        let studies = Studies::new();
        let fails = |run: &PlannedRun| match run.name.as_str() {
            "masks" => Ok(0.75),
            _ => Err(failure("no space", false)),
        };
        studies.first("seeds = 1", &Toy::new(fails));
        if let Some(file) = changed {
            studies.change(file, &changes);
        }
        let (ran, _, notes) = studies.other(text, &[studies.path("first")]).unwrap();
        assert_eq!(ran.len(), 4, "{changed:?}: {ran:?}");
        let said = notes.0.lock().unwrap().join("\n");
        assert!(said.contains(&format!("/first is taken over: {why}")), "{changed:?}: {said}");
    }
}

/// Bug: results of two instruction sets stood beside each other without a word.
#[test]
fn trainings_of_another_machine_are_taken_over_with_a_remark() {
    for (set, remarks) in [("avx2", 0), ("avx512", 1)] {
        let studies = Studies::new();
        studies.first("seeds = 1", &Toy::new(|_| Ok(0.75)));
        for run in ["masks", "tuned"] {
            let of_set = format!(r#""processor":"toy","instruction_set":"{set}""#);
            studies
                .change(&format!("runs/{run}-seed0/run.json"), &[(r#""processor":"toy""#, of_set.as_str())]);
        }
        let (ran, _, notes) = studies.other("seeds = 1", &[studies.path("first")]).unwrap();
        assert_eq!(ran, ["leaky-seed0", "from-leaky-seed0"]);
        let said = notes.0.lock().unwrap().join("\n");
        assert_eq!(
            said.matches("were made on toy with avx512, and others will be").count(),
            remarks,
            "{said}"
        );
    }
}

/// Bug: what other ranks had added up in another order was taken for the same.
#[test]
fn trainings_that_depend_on_their_ranks_are_reused_with_the_same_launcher_alone() {
    let fast = "[stages.pretraining]\narguments = ['--sum', 'fast']";
    let with = |launcher: &str| format!("seeds = 1\nlauncher = {launcher}\n{fast}");
    let (alone, two) = (with("[]"), with("['mpirun', '-n', '2']"));
    // A folder of an earlier version does not say on how many ranks it was made.
    let unknown = format!("seeds = 1\n{fast}");
    for (first, other, ran) in [(&two, &two, 2), (&alone, &two, 4), (&unknown, &two, 4)] {
        let studies = Studies::new();
        studies.first(first, &Toy::new(|_| Ok(0.75)));
        assert_eq!(studies.other(other, &[studies.path("first")]).unwrap().0.len(), ran, "{first} {other}");
    }
}

/// They may have changed since. Bug: a folder that was named by one word was taken for a word.
#[test]
fn runs_whose_arguments_name_files_or_folders_are_not_reused() {
    // Tests run in the folder of the crate.
    for path in [concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "Cargo.toml", "src"] {
        let studies = Studies::new();
        let text = format!("seeds = 1\n[stages.pretraining]\narguments = ['--config', '{path}']");
        studies.first(&text, &Toy::new(|_| Ok(0.75)));
        let (ran, _, notes) = studies.other(&text, &[studies.path("first")]).unwrap();
        assert_eq!(ran.len(), 4, "{ran:?}");
        let said = notes.0.lock().unwrap().join("\n");
        assert!(said.contains(&format!("the arguments name '{path}'")), "{said}");
    }
}

#[test]
fn times_are_not_reused() {
    let studies = Studies::new();
    studies.first("seeds = 1", &Toy::new(|_| Ok(0.75)));
    let timed = read_study("table1").unwrap();
    let error = FinishedRuns::of(&[studies.path("first")], &timed).unwrap_err();
    assert!(error.to_string().contains("leave --reuse out"), "{error}");
    assert!(FinishedRuns::of(&[], &timed).is_ok());
}

#[test]
fn a_run_that_was_begun_goes_on_by_itself() {
    let studies = Studies::new();
    studies.first("seeds = 1", &Toy::new(|_| Ok(0.75)));
    let study: Study = toml::from_str(OTHER).unwrap();
    drop(StudyFolder::open(&studies.path("other"), &study, &options("seeds = 1"), false).unwrap());
    fs::create_dir_all(studies.path("other/runs/fcmae-seed0")).unwrap();
    let (ran, ..) = studies.other("seeds = 1", &[studies.path("first")]).unwrap();
    assert_eq!(ran, ["fcmae-seed0", "leaky-seed0", "from-leaky-seed0"]);
}

#[test]
fn a_folder_without_a_study_is_refused_by_name() {
    let studies = Studies::new();
    let error = studies.other("seeds = 1", &[Path::new("nowhere").to_owned()]).unwrap_err();
    assert!(error.to_string().starts_with("nowhere holds no study"), "{error}");
}
