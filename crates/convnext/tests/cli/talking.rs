//! Lines about a training on standard error, on a terminal or not.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;

/// 24 images: six steps an epoch.
const TRAIN: &str =
    "finetune --data labelled --model micro --recipe plain --image-size 32 --batch-size 4 --epochs 3";

/// `true` if a line has these parts, in their order.
fn has_parts(line: &str, parts: &[&str]) -> bool {
    let rest = parts.iter().try_fold(line, |rest, &part| Some(rest.split_once(part)?.1));
    rest.is_some()
}

/// The only line that begins so.
fn line_of<'a>(said: &'a str, beginning: &str) -> &'a str {
    let found: Vec<&str> = said.lines().filter(|line| line.trim_start().starts_with(beginning)).collect();
    assert_eq!(found.len(), 1, "{beginning} in {said}");
    found[0]
}

#[test]
fn a_run_says_how_long_it_is_and_how_every_epoch_went() {
    let bench = Bench::labelled();
    let output = bench.run(&format!("{TRAIN} --out run")).success();
    let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    let lines: [(&str, &[&str]); 7] = [
        (
            "training micro from scratch on 24 images of 3 classes (6 for validation)",
            &[": 3 epochs, 18 steps of 4 images, 6 steps an epoch"],
        ),
        ("needs about ", &["iB of memory"]),
        ("learning rate ", &[" at most, warm-up of ", " steps, cosine to "]),
        ("about ", &[" for 18 steps, at ", " img/s"]),
        (
            "epoch 1/3: train loss ",
            &[", validation top-1 ", " %, top-5 ", " %, loss ", ", lr ", ", best so far"],
        ),
        ("epoch 2/3: train loss ", &[", validation top-1 ", ", lr ", " left, best "]),
        ("epoch 3/3: train loss ", &[", validation top-1 ", ", lr ", ", best "]),
    ];
    for (beginning, parts) in lines {
        let line = line_of(&said, beginning);
        assert!(has_parts(line, parts), "{parts:?} in {line}");
    }
    assert!(!said.contains("WARN"), "{said}");
    output
        .stdout(contains("wrote run/weights.safetensors, run/weights-best.safetensors (the best: top-1 "))
        .stdout(contains("next: convnext evaluate --data labelled --weights run/weights-best.safetensors"));
    bench.run(&format!("{TRAIN} --out quiet -q")).success().stderr("");
}

/// Bug: what was said to do next was no command where a path has spaces or other signs of a shell.
#[test]
fn what_to_do_next_can_be_pasted() {
    let bench = Bench::labelled();
    let best = "--weights 'a;b/weights-best.safetensors'";
    bench
        .run(&format!("{TRAIN} --out a;b"))
        .success()
        .stdout(contains(format!("--data labelled {best}\n      convnext classify IMAGE {best}\n")));
    bench
        .run("pretrain --data labelled --model micro --image-size 64 --steps 1 --out c;d")
        .success()
        .stdout(contains("--weights 'c;d/weights.safetensors' --out"))
        .stdout(contains("--init 'c;d/weights.safetensors' --out"));
    bench.draw_classes("whole", 4);
    bench.run("data split whole e;f").success().stdout(contains("--data 'e;f'").count(2));
}

#[test]
fn a_resumed_run_says_where_it_goes_on_or_that_it_is_finished() {
    let bench = Bench::labelled();
    bench.succeed(&format!("{TRAIN} --out run"));
    let longer = TRAIN.replace("--epochs 3", "--epochs 4");
    bench
        .run(&format!("{longer} --out run --resume --extend"))
        .success()
        .stderr(contains("resumes at epoch 4/4, step 18 of 24, from checkpoints/step-00000018.safetensors"))
        .stderr(contains("epoch 4/4: train loss"))
        .stderr(contains("epoch 2/").not());
    bench
        .run(&format!("{longer} --out run --resume"))
        .success()
        .stderr(contains("the run is finished already: 4 epochs, 24 steps in "))
        .stderr(contains("--extend"));
}

#[test]
fn an_epoch_that_is_reported_again_has_the_rate_it_was_made_with() {
    let bench = Bench::labelled();
    let rate = |line: &str, beginning: &str| {
        let output = bench.run(&format!("{line} --out run")).success();
        let said = String::from_utf8(output.get_output().stderr.clone()).unwrap();
        let line = line_of(&said, beginning).to_owned();
        line.split(", lr ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().to_owned()
    };
    let made = rate(TRAIN, "epoch 3/3: ");
    let longer = TRAIN.replace("--epochs 3", "--epochs 9");
    assert_eq!(rate(&format!("{longer} --resume --extend"), "epoch 3/9: "), made);
}

#[test]
fn nothing_to_measure_on_is_worth_a_warning() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 1);
    let line = "finetune --data labelled --model micro --image-size 32 --steps 2";
    bench
        .run(&format!("{line} --out run"))
        .success()
        .stderr(contains("no validation images: nothing is measured"))
        .stderr(contains("--patience").not())
        .stdout(contains("wrote run/weights.safetensors and"))
        .stdout(contains("--weights run/weights.safetensors"));
    bench
        .run(&format!("{line} --patience 2 --out patient"))
        .success()
        .stderr(contains("--patience has no effect"));
}

#[test]
fn reasons_are_true_of_the_run() {
    let bench = Bench::labelled();
    bench
        .run("finetune --data labelled --model micro --image-size 32 --epochs 1 --out run")
        .success()
        .stderr(contains("training.batch_size = 16: 24 images: few images get small batches"))
        .stderr(contains("1 epoch, 1 step of 16 images, 1 step an epoch"))
        .stderr(contains("epochs = ").not());
    bench
        .run("finetune --data labelled --model micro --image-size 32 --budget 1s --out timed")
        .success()
        .stderr(contains("epochs = ").not());
}
