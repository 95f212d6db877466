//! Studies: the list, the commands of each, and one that is run, fails in part, is killed and goes on.
#![cfg(unix)]

use std::io::{self, BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread::{sleep, spawn};
use std::time::Duration;

use convnext::study::{Stage, read_study};
use predicates::prelude::*;
use predicates::str::contains;

use super::bench::{Bench, convnext};

pub(super) const MINE: &str = r#"
title = "Masks"
question = "Do masks help?"
models = ["micro"]
metrics = [{ name = "top1", label = "top-1", percent = true }]
baseline = "scratch"
epochs = { pretraining = 2, finetuning = 1 }
runs = [
  { name = "masks", stage = "pretraining" },
  { name = "tuned", stage = "finetuning", from = "masks" },
  { name = "scratch", stage = "finetuning" },
  { name = "wild", stage = "finetuning", epochs = 6, arguments = ["--lr", "1e30"] },
  { name = "wilder", stage = "finetuning", from = "wild" },
]
rows = [
  { name = "FCMAE", run = "tuned", paper = [84.6] },
  { name = "scratch", run = "scratch", paper = [83.8] },
  { name = "wild", run = "wild" },
  { name = "wilder", run = "wilder" },
  { name = "MAE", paper = [83.6] },
]
"#;

pub(super) const RUN: &str =
    "study run mine.toml --data photos --image-size 32 --stem-stride 1 --batch-size 4 --seeds 2";

fn studies() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos/train", 4);
    bench.draw_classes("photos/val", 2);
    bench.write("mine.toml", MINE);
    bench
}

#[test]
fn studies_are_listed_and_shown() {
    let bench = Bench::new();
    let listed = bench.json("study list --json");
    assert_eq!(listed.as_array().unwrap().len(), 23);
    bench.write("mine.toml", bench.succeed("study show section3"));
    let commands = bench.succeed("study run mine.toml --data photos --seeds 1 --out out --dry-run");
    assert_eq!(commands.lines().count(), 6);
    assert!(
        commands.starts_with("convnext pretrain --data /")
            && commands.contains("/photos --model v1-base --epochs 800 --seed 0"),
        "{commands}"
    );
    assert!(!bench.exists("out"));
    bench
        .run("study run mine.toml --data photos --out out --dry-run")
        .success()
        .stderr(contains("/photos, with the images of each fine-tuning, does not exist"));
    bench.write("masks.toml", MINE);
    bench.write("typo.toml", MINE.replace("question", "questions"));
    bench.refuse(
        1,
        &[
            ("study show table2g", &["no study 'table2g'", "did you mean 'table2", "transfer-init"]),
            ("study run typo.toml --data photos --out out", &["typo.toml", "questions"]),
            ("study run section3 --out out", &["--pretraining-data PATH"]),
            ("study run section3 --data photos --model base,tiny --out out", &["2 models are named"]),
            ("study run section3 --data photos --out out", &["photos", "does not exist"]),
            (
                "study run section3 --data photos --downstream-epochs 3 --out out",
                &["--downstream-epochs has no effect"],
            ),
            (
                "study run section3 --data photos --arguments finetuning=--recipe=papers --out out --dry-run",
                &["cannot be run", "papers"],
            ),
            (
                "study run section3 --data photos --model tiny --recipe paper --out out --dry-run",
                &["no recipe 'paper-v1-tiny-100'", "leave the row out with --only, or take --recipe auto"],
            ),
            ("study run figure6 --data photos --out out --dry-run", &["--data has no effect"]),
            (
                "study run masks.toml --data photos --pretraining-data photos --only scratch --out out",
                &["--pretraining-data has no effect, because no pre-training is run"],
            ),
            ("study run figure6 --launcher mpirun --out out", &["--launcher has no effect"]),
            ("study run figure6 --parallel 2 --out out --dry-run", &["'images a second'", "--parallel"]),
            ("study show .", &["cannot read"]),
        ],
    );
    bench.refuse(
        2,
        &[
            ("study run section3 --arguments training=--quick --out out", &["--arguments"]),
            (
                "study run section3 --data photos --model bse --out out",
                &["'bse'", "--model", "did you mean 'base'"],
            ),
            (
                "study run section3 --data photos --model base,tny --out out",
                &["'tny'", "did you mean 'tiny'"],
            ),
        ],
    );
}

#[test]
fn the_commands_of_every_study_are_understood() {
    let bench = Bench::new();
    for study in bench.json("study list --json").as_array().unwrap() {
        let name = study["name"].as_str().unwrap();
        let runs = read_study(name).unwrap().runs;
        let of_stages =
            [(Stage::Intermediate, "--intermediate-data b"), (Stage::Downstream, "--downstream-data c")];
        let is_run = |(stage, _): &(Stage, &str)| runs.iter().any(|run| run.stage == *stage);
        let data: Vec<&str> = of_stages.into_iter().filter(is_run).map(|(_, flags)| flags).collect();
        let (recipes, labelled) = match runs.iter().any(|run| run.stage.is_training()) {
            true => (&["auto", "paper"][..], "--data a"),
            false => (&["auto"][..], ""),
        };
        for recipe in recipes {
            let line = format!(
                "study run {name} {labelled} {} --recipe {recipe} --out out --dry-run",
                data.join(" ")
            );
            assert!(bench.succeed(&line).lines().count() >= 4, "{name}");
        }
    }
}

/// Bug: sizes that the paper has besides 224 px were refused with any other.
#[test]
fn sizes_of_their_own_keep_the_papers_ratio() {
    let bench = Bench::new();
    let small = "--stem-stride 1 --seeds 1 --data a --intermediate-data b --out out --dry-run";
    let commands = bench.succeed(&format!("study run table5 --model micro,micro --image-size 64 {small}"));
    let sized = |commands: &str, size: &str| commands.matches(&format!("--image-size {size} ")).count();
    assert_eq!(["64", "112", "144"].map(|size| sized(&commands, size)), [1, 4, 1], "{commands}");
    let commands =
        bench.succeed(&format!("study run table7 --downstream-data c --downstream-image-size 64 {small}"));
    assert_eq!(["64", "80"].map(|size| sized(&commands, size)), [7, 1], "{commands}");
}

#[test]
fn a_study_ends_with_a_table_whatever_becomes_of_single_runs() {
    let bench = studies();
    let said =
        bench.run(&format!("{RUN} --parallel 2 --threads 1 --out study")).success().get_output().clone();
    let (table, progress) =
        (String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap());
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows: Vec<String> = table.lines().map(words).collect();
    assert!(
        rows[1].starts_with("FCMAE") && rows[1].contains('±') && rows[1].ends_with(" 84.6 +0.8"),
        "{table}"
    );
    assert!(rows[3].starts_with("wild") && rows[3].contains("diverged"), "{table}");
    assert!(rows[4].starts_with("wilder") && rows[4].contains("diverged"), "{table}");
    assert!(rows[5].starts_with("MAE") && rows[5].ends_with(" 83.6 -0.2"), "{table}");
    assert!(progress.contains("run 1 of 10: masks-seed0, pre-training"), "{progress}");
    assert!(progress.contains("wilder-seed1 is left out, because it needs wild-seed1"), "{progress}");
    let results = bench.read_text("study/results.jsonl");
    let ended =
        |name: &str| results.lines().filter(|line| line.contains(&format!("\"run\":\"{name}\""))).count();
    assert_eq!(results.lines().count(), 8, "{results}");
    assert_eq!((ended("masks-seed0"), ended("wild-seed1"), ended("wilder-seed0")), (1, 1, 0));
    assert!(
        results.contains("\"status\":\"diverged\",\"error\":\"training has diverged at step"),
        "{results}"
    );
    let page = bench.read_text("study/report.html");
    assert!(page.contains("Do masks help?") && page.contains("top-1 by epoch"), "the page is not whole");
    for words in ["<th class=\"text\" scope=\"col\">row</th>", "<th scope=\"row\">FCMAE</th><td>"] {
        assert!(page.contains(words), "words stand to the left, numbers to the right: {words}");
    }
    assert!(bench.exists("study/runs/tuned-seed1/report.html"));
    // Nothing is left to do, and nothing is done again.
    let elsewhere = RUN.replace("--data photos", "--data ./photos/../photos");
    let again = bench.succeed(&format!("{elsewhere} --parallel 2 --threads 1 --out study --resume -q"));
    assert_eq!((again, bench.read_text("study/results.jsonl")), (table, results));
    // Another study takes over what is the same.
    let reusing = format!("{RUN} --only FCMAE --out other --reuse study");
    bench.run(&reusing).success().stderr(contains("tuned-seed1 is that of").and(contains("run 1 of").not()));
    let tuned = |study: &str| bench.read(&format!("{study}/runs/tuned-seed1/weights.safetensors"));
    assert!(tuned("other") == tuned("study"), "the weights are others");
    // What was copied and not written down goes on, and finds that it has ended.
    bench.write("other/results.jsonl", "");
    bench.succeed(&format!("{reusing} --resume"));
    assert!(tuned("other") == tuned("study"), "the weights are others");
    bench.refuse(
        1,
        &[
            (&format!("{RUN} --out study"), &["study is not empty", "--resume"]),
            (&format!("{RUN} --out third --reuse photos"), &["photos holds no study"]),
            (
                &format!("{RUN} --finetuning-epochs 3 --out study --resume"),
                &["options.stages.finetuning.epochs was not set, is 3"],
            ),
        ],
    );
    assert!(!bench.exists("third"));
}

#[test]
fn a_run_that_fails_is_told_and_stops_no_other() {
    let bench = studies();
    // Found only when it is run.
    bench.write("mine.toml", MINE.replace("\"--lr\", \"1e30\"", "\"--recipe\", \"paper\""));
    let line = format!("{RUN} --seeds 1 --out study").replace("--seeds 2 ", "");
    bench
        .run(&line)
        .code(1)
        .stderr(contains("1 of 5 runs failed"))
        .stderr(contains("wild-seed0: recipe paper"));
    let table = bench.read_text("study/table.md");
    assert!(table.contains("| wild | failed |") && table.contains("| FCMAE | "), "{table}");
}

fn start(bench: &Bench, line: &str) -> Child {
    let mut command = Command::new(convnext().get_program());
    command.current_dir(bench.path("")).args(line.split_whitespace());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until a study says something: from then on it knows what to do when it is asked to stop.
fn wait_for_a_word(study: &mut Child) {
    let mut said = BufReader::new(study.stderr.take().unwrap());
    said.read_line(&mut String::new()).unwrap();
    // The rest is read as well, so that the pipe never fills.
    spawn(move || io::copy(&mut said, &mut io::sink()));
}

#[test]
fn a_study_that_is_killed_goes_on_with_the_same_bits() {
    let bench = studies();
    bench.succeed(&format!("{RUN} --out alone"));
    let line = format!("{RUN} --out killed --resume");
    let mut kills = 0;
    loop {
        // The command that it ran goes on alone, and is waited for. The delays grow, so that it ends some day.
        let mut child = start(&bench, &line);
        wait_for_a_word(&mut child);
        sleep(Duration::from_millis(60 + 90 * kills));
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        match kills % 2 {
            0 => child.kill().unwrap(),
            _ => {
                Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
            }
        }
        let status = child.wait().unwrap();
        assert!(kills % 2 == 0 || [Some(130), Some(0)].contains(&status.code()), "{status}");
        kills += 1;
    }
    assert!(kills > 1, "it was too fast to be killed");
    for run in ["masks-seed0", "tuned-seed0", "scratch-seed0", "masks-seed1", "tuned-seed1", "scratch-seed1"]
    {
        let weights = |study: &str| bench.read(&format!("{study}/runs/{run}/weights.safetensors"));
        assert!(weights("alone") == weights("killed"), "{run} after {kills} kills");
    }
    assert_eq!(bench.read_text("alone/table.md"), bench.read_text("killed/table.md"));
}

#[test]
fn a_budget_is_kept_when_a_study_goes_on() {
    let bench = studies();
    let long = MINE.replace("pretraining = 2, finetuning = 1", "pretraining = 2000, finetuning = 1000");
    bench.write("mine.toml", long.replace(", arguments = [\"--lr\", \"1e30\"]", ""));
    let line = format!("{RUN} --seeds 1 --budget 20s --out study").replace("--seeds 2 ", "");
    let said = bench.run(&line).success().get_output().stderr.clone();
    let said = String::from_utf8(said).unwrap();
    assert!(
        said.contains("timing 5 runs of 4 steps") && said.contains("times the epochs of the study"),
        "{said}"
    );
    let chosen = bench.read_text("study/study.toml");
    assert!(chosen.contains("[steps]\n") && !bench.exists("study/timing"), "{chosen}");
    bench.succeed(&format!("{line} --resume"));
    assert_eq!(bench.read_text("study/study.toml"), chosen);
}
