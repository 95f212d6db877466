//! Tables of studies: what a row is compared with, digits, hours, and what was run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod toy;

mod tables {
    mod networks;
}

use std::path::Path;

use convnext_study::{PlannedRun, Study, StudyFolder, StudyOptions, StudyOutcome, plan, run_study};
use toy::{Notes, Rule, Toy, failure, options, study};

/// Two models, hours of pre-training, and a share that is no percentage.
const HOURS: &str = r#"
title = "Hours"
question = "How long?"
models = ["base", "large"]
metrics = [{ name = "top1", label = "accuracy" }, { name = "pretraining_hours", label = "hours" }]
epochs = { pretraining = 8, finetuning = 2 }
runs = [
  { name = "masks", stage = "pretraining" },
  { name = "tuned", stage = "finetuning", from = "masks" },
  { name = "large-masks", stage = "pretraining", model = "{model2}" },
  { name = "large-tuned", stage = "finetuning", from = "large-masks" },
]
rows = [
  { name = "Base", run = "tuned", paper = [0.125, 7.7] },
  { name = "Large", run = "large-tuned", paper = [0.163], against = "Base" },
]
"#;

fn hours() -> Study {
    toml::from_str(HOURS).unwrap()
}

fn ran_with(toy: &Toy, study: &Study, options: &StudyOptions) -> StudyOutcome {
    let folder = tempfile::tempdir().unwrap();
    let mut folder = StudyFolder::open(&folder.path().join("out"), study, options, false).unwrap();
    run_study(&mut folder, 1, toy, &Notes::default()).unwrap()
}

fn ran(study: &Study, rule: Rule, options: &StudyOptions) -> StudyOutcome {
    ran_with(&Toy::new(rule), study, options)
}

#[test]
fn a_table_says_what_each_row_is_compared_with_in_digits_that_tell_them_apart() {
    let rule: Rule = |run| Ok(if run.name.starts_with("large") { 0.163 } else { 0.125 });
    let table = ran(&hours(), rule, &options("seeds = 1")).table();
    assert_eq!(
        table.head,
        [
            "row",
            "against",
            "accuracy",
            "hours",
            "difference",
            "paper, accuracy",
            "paper, hours",
            "paper, difference"
        ]
    );
    assert_eq!(table.numbers_from, 2);
    // Eight epochs of 2.5 seconds each, as the runner reports them, are no 0 hours.
    assert_eq!(table.rows[0], ["Base", "-", "0.125", "0.000694", "-", "0.125", "7.7", "-"]);
    assert_eq!(table.rows[1][..3], ["Large", "Base", "0.163"]);
    assert_eq!(table.rows[1][4..], ["+0.0380", "0.163", "-", "+0.038"]);
}

#[test]
fn hours_of_a_pretraining_stand_though_its_finetuning_failed() {
    let rule: Rule = |run| match run.name.as_str() {
        "tuned" => Err(failure("no space", false)),
        "large-masks" => Err(failure("training has diverged", true)),
        _ => Ok(0.5),
    };
    let table = ran(&hours(), rule, &options("seeds = 1")).table();
    assert_eq!(table.rows[0][2..4], ["failed", "0.000694"]);
    assert_eq!(table.rows[1][2..4], ["diverged", "diverged"]);
}

#[test]
fn a_speedup_is_the_ratio_of_another_rows_hours() {
    let speedup = r#"label = "hours" }, { name = "pretraining_hours", label = "speedup", over = "Large" }"#;
    let text = HOURS.replace(r#"label = "hours" }"#, speedup);
    // Twice as many steps as the others.
    let text = text.replace(r#""{model2}" }"#, r#""{model2}", arguments = ["--steps", "8"] }"#);
    let with = |rule: Rule| {
        let table = ran(&toml::from_str(&text).unwrap(), rule, &options("seeds = 2")).table();
        assert_eq!(table.head[4], "speedup");
        [table.rows[0][4].clone(), table.rows[1][4].clone()]
    };
    assert_eq!(with(|_| Ok(0.5)), ["2.000 ± 0.000", "1.000 ± 0.000"]);
    let diverging: Rule = |run| match run.name.as_str() {
        "large-masks" => Err(failure("training has diverged", true)),
        _ => Ok(0.5),
    };
    assert_eq!(with(diverging), ["not measured", "diverged"]);
}

#[test]
fn hours_stand_once_for_all_numbers_of_labels() {
    let toy = Toy::new(|_| Ok(0.5));
    let outcome = ran_with(&toy, &hours(), &options("seeds = 1\nlabels = [10, 100]"));
    assert_eq!(toy.ran().iter().filter(|run| run.contains("masks")).count(), 2);
    let head = outcome.table().head;
    assert_eq!(
        head.iter().filter(|title| title.contains("hours") && !title.contains("paper")).count(),
        1,
        "{head:?}"
    );
    assert!(outcome.table().rows.iter().all(|row| row.len() == head.len()));
}

#[test]
fn a_table_says_what_was_run() {
    let sizes = "[stages.pretraining]\nimage_size = '32'\narguments = ['--lr', '1']";
    let text = format!("seeds = 1\nmodels = ['micro']\nstem_stride = 1\nlabels = [10]\n{sizes}");
    let table = ran(&study(), |_| Ok(0.5), &options(&text)).markdown();
    for expected in [
        "- models: micro\n",
        "- recipes: made for model and images (auto)\n",
        "- images: 32 px\n",
        "- stem stride: 1\n",
        "- lengths: pre-training 8 epochs; fine-tuning 2 epochs (tuned-10-labels, scratch-10-labels), 4 epochs (slow-10-labels)\n",
        "- further arguments: pre-training --lr 1\n",
        "Rows are compared with 'scratch'.",
        "The weights are the last ones.",
    ] {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}

#[test]
fn rows_and_models_that_were_asked_for_are_not_left_out_without_a_word() {
    let refused = |text: &str| {
        let planned: Result<Vec<PlannedRun>, _> =
            plan(&hours(), &options(&format!("seeds = 1\n{text}")), Path::new("out"));
        planned.unwrap_err().to_string()
    };
    let without = refused("models = ['micro']\nonly = ['Large', 'Base']");
    assert!(without.contains("row 'Large' is of model 2, and --model names 1"), "{without}");
    let unused = refused("models = ['micro', 'atto']\nonly = ['Base']");
    assert!(unused.contains("no run that is wanted is of 'atto'"), "{unused}");
}

#[test]
fn times_of_other_conditions_do_not_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let open = |threads: usize, resume| {
        let timing = format!("timing = {{ processor = 'P', threads = {threads} }}");
        StudyFolder::open(folder.path(), &hours(), &options(&format!("seeds = 1\n{timing}")), resume)
    };
    drop(open(2, false).unwrap());
    let error = open(1, true).unwrap_err().to_string();
    assert!(error.contains("options.timing.threads was 2, is 1"), "{error}");
    assert!(open(2, true).is_ok());
}

/// Bug: a study of speeds went on with other instructions.
#[test]
fn times_of_other_instructions_do_not_go_on() {
    for recorded in ["", "timing = { processor = 'P', threads = 2 }"] {
        let folder = tempfile::tempdir().unwrap();
        let open = |timing: &str, resume| {
            StudyFolder::open(folder.path(), &hours(), &options(&format!("seeds = 1\n{timing}")), resume)
        };
        // A folder of an earlier version does not say them, and not even these were speeds for all of them.
        drop(open(recorded, false).unwrap());
        let with = |set: &str| format!("timing = {{ processor = 'P', threads = 2, instructions = '{set}' }}");
        drop(open(&with("avx2"), true).unwrap());
        let error = open(&with("avx512"), true).unwrap_err().to_string();
        assert!(error.contains(r#"options.timing.instructions was "avx2", is "avx512""#), "{error}");
    }
}

/// Bug: a study whose gradients depend on the ranks went on with others.
#[test]
fn results_that_depend_on_the_ranks_do_not_go_on_with_another_launcher() {
    let folder = tempfile::tempdir().unwrap();
    let open = |launcher: &str, resume| {
        StudyFolder::open(folder.path(), &hours(), &options(&format!("seeds = 1\n{launcher}")), resume)
    };
    // A folder of an earlier version does not say it.
    drop(open("", false).unwrap());
    drop(open("launcher = ['mpirun', '-n', '2']", true).unwrap());
    let error = open("launcher = []", true).unwrap_err().to_string();
    assert!(error.contains(r#"options.launcher was ["mpirun", "-n", "2"], is []"#), "{error}");
}

#[test]
fn images_that_nothing_takes_are_refused() {
    let bench = HOURS.replace("stage = \"pretraining\"", "stage = \"bench\"");
    let bench: String =
        bench.lines().filter(|line| !line.contains("finetuning")).map(|line| format!("{line}\n")).collect();
    let bench = bench.replace("run = \"tuned\"", "run = \"masks\"").replace("large-tuned", "large-masks");
    let error = plan(&toml::from_str(&bench).unwrap(), &options("seeds = 1"), Path::new("out"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("--data has no effect"), "{error}");
}
