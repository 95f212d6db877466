//! What a budget is found with: images and folders that were looked at before, and nothing that is left behind.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;

const FINETUNE: &str = "finetune --data labelled --model micro --image-size 32 --batch-size 4";

#[test]
fn files_and_folders_are_looked_at_before_steps_are_timed() {
    let bench = Bench::labelled();
    bench.write("used/notes.txt", "mine");
    // No training fits into such a time, which timing would find.
    bench.refuse(1, &[(&format!("{FINETUNE} --budget 1us --out used"), &["used is not empty"])]);
    let broken = ["checkers/00.png", "horizontal/02.png", "vertical/04.png"];
    broken.iter().for_each(|name| bench.write(&format!("labelled/train/{name}"), "Dear reader,\n"));
    let words = ["3 of 24 training images", broken[0], broken[1], broken[2]];
    bench.refuse(
        1,
        &[
            (&format!("{FINETUNE} --budget 2s --out run"), &words),
            (&format!("{FINETUNE} --budget 2s --strict --out run"), &words),
        ],
    );
    assert!(!bench.exists("run"), "the run began");
}

#[test]
fn other_images_than_those_of_the_repeated_run_are_told_once() {
    let bench = Bench::labelled();
    bench.succeed(&format!("{FINETUNE} --steps 1 --out first"));
    bench.draw("labelled/train/checkers/more.png", "checkers", 9);
    bench
        .run("finetune --config first --budget 1s --out second")
        .success()
        .stderr(contains("are not those of first").count(1));
}

#[test]
fn checkpoints_count_and_those_that_were_timed_are_gone() {
    let bench = Bench::labelled();
    bench.make_folder("temporary");
    let temporary = bench.path("temporary").display().to_string();
    let every_step = format!("{FINETUNE} --checkpoint-every 0 --budget 2s --dry-run --out run");
    bench
        .run_with(&every_step, &[("TMPDIR", &temporary)])
        .success()
        .stdout(contains(" validations of ").and(contains(" checkpoints of ")))
        .stdout(contains(" each, about "));
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    // Without room for them there is still an answer.
    bench
        .run_with(&every_step, &[("TMPDIR", &bench.path("missing").display().to_string())])
        .success()
        .stderr(contains("the time of checkpoints and weights is not counted").count(1))
        .stdout(contains("--budget 2.0 s: "));
}

#[test]
fn a_dry_run_writes_no_index_beside_shards() {
    let bench = Bench::labelled();
    bench.succeed("data pack labelled packed --labelled");
    let indices = || ["train", "val"].map(|part| bench.exists(&format!("packed/{part}/shards.index")));
    let size = "--model micro --image-size 32 --stem-stride 1 --batch-size 4 --steps 2 --out run";
    for command in ["finetune --data packed", "pretrain --data packed/train"] {
        bench.run(&format!("{command} {size} --dry-run")).success().stdout(contains("nothing was written"));
        assert_eq!(indices(), [false, false], "{command}");
    }
    // Neither does the recipe that would be used.
    for shown in ["--data packed", "--data packed/train --task pretraining"] {
        bench.succeed(&format!("recipes show auto {shown} --model micro"));
        assert_eq!(indices(), [false, false], "{shown}");
    }
    bench.succeed(&format!("finetune --data packed {size}"));
    assert_eq!(indices(), [true, true]);
}
