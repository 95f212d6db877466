//! Runs that are stopped in every way and go on: nothing is lost, and the bits are the same.
#![cfg(unix)]

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::bench::{Bench, convnext};
use super::images::CLASSES;

pub(super) const PRETRAIN: &str = "pretrain --data photos --model micro --recipe plain --image-size 32 --stem-stride 1 --batch-size 4 \
                        --epochs 6 --set training.ema=0.9";
const FINETUNE: &str = "finetune --data photos --model micro --recipe plain --image-size 32 --stem-stride 1 --batch-size 4 \
                        --epochs 8 --set training.ema=0.9 --set regularization.drop_path=0.3";
const WEIGHTS: [&str; 2] = ["weights.safetensors", "weights-ema.safetensors"];
const BEST: &str = "weights-best.safetensors";
const KILLS: usize = 10;

pub(super) fn photos() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos/train", 6);
    bench.draw_classes("photos/val", 1);
    bench.write("labels.csv", label_lists());
    bench
}

/// Each image's class, and a second one of every other image; one image has none.
fn label_lists() -> String {
    let mut rows = String::from("path,label,split\n");
    for (split, count) in [("train", 6), ("val", 1)] {
        for class in CLASSES {
            for number in 0..count {
                let (ending, list) = match number {
                    5 => ("jpg", String::new()),
                    _ if number % 2 == 0 => ("png", format!("{class};even")),
                    _ => ("jpg", class.to_owned()),
                };
                rows += &format!("{split}/{class}/{number:02}.{ending},{list},{split}\n");
            }
        }
    }
    rows
}

fn start(bench: &Bench, line: &str) -> Child {
    let mut command = Command::new(convnext().get_program());
    command.current_dir(bench.path("")).args(line.split_whitespace());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn signal(child: &Child, name: &str) {
    Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
}

/// Kills a run at random moments and starts it again, until it ends by itself; how often it was killed.
fn kill_until_it_ends(bench: &Bench, line: &str, random: &mut u64) -> usize {
    for kills in 0..1000 {
        let mut child = start(bench, line);
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // Longer and longer, so that the slowest machine ends some day.
        sleep(Duration::from_millis(20 + (*random >> 33) % 250 + 4 * kills as u64));
        match child.try_wait().unwrap() {
            Some(status) => {
                assert!(status.success(), "{line}: {status}");
                return kills;
            }
            None => child.kill().unwrap(),
        }
        child.wait().unwrap();
    }
    panic!("{line} never ends");
}

/// A run that is killed again and again, with all threads, ends like one left alone, with one.
pub(super) fn check_killed(bench: &Bench, line: &str) {
    bench.succeed(&format!("{line} --threads 1 --out alone"));
    let (mut kills, mut round, mut random) = (0, 0, 7);
    // A fast machine may end a round before it was killed often enough.
    while kills < KILLS {
        let out = format!("killed-{round}");
        kills += kill_until_it_ends(
            bench,
            &format!("{line} --resume --checkpoint-every 0 --out {out}"),
            &mut random,
        );
        for weights in WEIGHTS.into_iter().chain(bench.exists(&format!("alone/{BEST}")).then_some(BEST)) {
            assert!(
                bench.read(&format!("alone/{weights}")) == bench.read(&format!("{out}/{weights}")),
                "{weights} after {kills} kills"
            );
        }
        let [alone, killed] = ["alone", out.as_str()].map(|run| reports(bench, run));
        assert_eq!(alone, killed, "metrics after {kills} kills");
        round += 1;
        assert!(round < 50, "{kills} kills only");
    }
}

/// Losses of all steps, and all reports of epochs; their times differ.
pub(super) fn reports(bench: &Bench, run: &str) -> Vec<String> {
    let text = bench.read_text(&format!("{run}/metrics.jsonl"));
    let without_speed = |line: &str| line.split(",\"images_per_second\"").next().unwrap().to_owned();
    text.lines().map(without_speed).collect()
}

#[test]
fn a_pretraining_killed_at_random_moments_ends_with_the_same_bits() {
    check_killed(&photos(), PRETRAIN);
}

#[test]
fn a_finetuning_killed_at_random_moments_ends_with_the_same_bits() {
    // Four steps an epoch, so that most validations come within one.
    check_killed(&photos(), &format!("{FINETUNE} --set training.validate_every.steps=3"));
}

#[test]
fn a_training_with_several_labels_killed_at_random_moments_ends_with_the_same_bits() {
    check_killed(&photos(), &format!("{FINETUNE} --task multi-label --labels labels.csv"));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let bench = photos();
    for (kind, line) in [("pretrained", PRETRAIN), ("finetuned", FINETUNE)] {
        for threads in 1..=3 {
            bench.succeed(&format!("{line} --accumulate 2 --threads {threads} --out {kind}-{threads}"));
            for weights in WEIGHTS {
                let read = |threads| bench.read(&format!("{kind}-{threads}/{weights}"));
                assert!(read(1) == read(threads), "{kind}: {weights} with {threads} threads");
            }
        }
    }
}

fn end(child: &mut Child) -> ExitStatus {
    for _ in 0..600 {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("the program does not end");
}

/// Waits until a run has made steps.
fn wait_for_steps(bench: &Bench, run: &str) {
    let metrics = bench.path(&format!("{run}/metrics.jsonl"));
    for _ in 0..1200 {
        if std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 2) {
            return;
        }
        sleep(Duration::from_millis(50));
    }
    panic!("{run} makes no steps");
}

#[test]
fn signals_end_a_run_with_a_checkpoint() {
    let bench = photos();
    let long = PRETRAIN.replace("--epochs 6", "--epochs 4000");
    for (name, run, code) in
        [("-INT", "by-ctrl-c", 130), ("-TERM", "by-sigterm", 130), ("-USR1", "by-sigusr1", 75)]
    {
        let mut child = start(&bench, &format!("{long} --out {run}"));
        wait_for_steps(&bench, run);
        signal(&child, name);
        assert_eq!(end(&mut child).code(), Some(code), "{name}");
        let steps = reports(&bench, run).iter().filter(|line| line.contains("\"loss\"")).count();
        let checkpoint = format!("{run}/checkpoints/step-{steps:08}.safetensors");
        assert!(bench.exists(&checkpoint), "{checkpoint} is missing");
        // A checkpoint can be used as a weight file.
        bench.succeed(&format!(
            "reconstruct photos/val/{}/00.png --weights {checkpoint} --out {run}-images",
            CLASSES[0]
        ));
        let mut child = start(&bench, &format!("{long} --resume --out {run}"));
        sleep(Duration::from_millis(300));
        child.kill().unwrap();
        child.wait().unwrap();
        let after = reports(&bench, run);
        assert!(after.len() >= steps, "steps before the signal were lost: {} of {steps}", after.len());
    }
}

#[test]
fn a_run_that_makes_room_again_and_again_ends_with_the_same_bits() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --out alone"));
    let mut requeued = 0;
    for attempt in 0.. {
        let mut child = start(&bench, &format!("{PRETRAIN} --resume --out requeued"));
        if requeued < 3 {
            sleep(Duration::from_millis(60 + 20 * attempt));
            signal(&child, "-USR1");
            // A scheduler that waits no longer: it is saved all the same.
            signal(&child, "-TERM");
        }
        match end(&mut child).code() {
            Some(75) => requeued += 1,
            // It came before signals were caught.
            None => {}
            code => {
                assert_eq!(code, Some(0));
                break;
            }
        }
    }
    assert!(requeued > 0);
    for weights in WEIGHTS {
        assert!(bench.read(&format!("alone/{weights}")) == bench.read(&format!("requeued/{weights}")));
    }
    assert_eq!(reports(&bench, "alone"), reports(&bench, "requeued"));
}

#[test]
fn an_interrupted_quickstart_goes_on_where_it_was() {
    let bench = Bench::new();
    let run = "started/seed-0/pretrained";
    let mut child = start(&bench, "quickstart --quick --out started");
    wait_for_steps(&bench, run);
    signal(&child, "-INT");
    assert_eq!(end(&mut child).code(), Some(130));
    let before = reports(&bench, run);
    // Bug: it advised a flag that a quickstart does not have.
    let advice = "; give the same --quick and --precision, or choose another --out";
    // Bug: of another precision it advised the same --quick.
    let precision = "precision was not set, is \"bf16\"";
    bench.refuse(
        1,
        &[
            ("quickstart --resume --out started", &[advice]),
            ("quickstart --quick --resume --precision bf16 --out started", &[precision, advice]),
        ],
    );
    let mut child = start(&bench, "quickstart --quick --resume --out started");
    let more = || reports(&bench, run).len() > before.len();
    assert!(
        (0..600).any(|_| more() || {
            sleep(Duration::from_millis(50));
            false
        }),
        "no step was made"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(reports(&bench, run)[..before.len()], before);
}

#[test]
fn a_finished_run_is_left_as_it_is_and_can_be_extended() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --out run"));
    let before = [bench.read("run/weights.safetensors"), bench.read("run/metrics.jsonl")];
    bench.succeed(&format!("{PRETRAIN} --resume --out run"));
    assert!(before == [bench.read("run/weights.safetensors"), bench.read("run/metrics.jsonl")]);

    let longer = PRETRAIN.replace("--epochs 6", "--epochs 7");
    let shorter = PRETRAIN.replace("--epochs 6", "--epochs 5");
    bench.refuse(
        1,
        &[
            (&format!("{longer} --resume --out run"), &["recipe.training.epochs was 6.0, is 7.0"]),
            (
                &format!("{shorter} --resume --extend --out run"),
                &["recipe.training.epochs was 6.0, is 5.0; give at least what it had"],
            ),
        ],
    );
    bench.refuse(2, &[(&format!("{longer} --extend --out run"), &["--resume"])]);
    bench.succeed(&format!("{longer} --resume --extend --out run"));
    let epochs = reports(&bench, "run").iter().filter(|line| line.contains("train_loss")).count();
    assert_eq!(epochs, 7);
    assert!(before[0] != bench.read("run/weights.safetensors"));
}

#[test]
fn changed_settings_are_refused_by_name_and_nothing_is_lost() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --out run"));
    let before = bench.read("run/weights.safetensors");
    for (settings, words) in [
        ("--seed 1", "seed was 0, is 1"),
        ("--lr 0.5", "recipe.training.learning_rate was 0.001, is 0.5"),
        ("--mask-ratio 0.5", "recipe.masking.ratio was 0.6, is 0.5"),
        ("--set augmentation.flip=0.5", "recipe.augmentation.flip was 0.0, is 0.5"),
    ] {
        bench.refuse(1, &[(&format!("{PRETRAIN} --resume --out run {settings}"), &["run", words])]);
    }
    bench.draw("photos/train/vertical/more.png", "vertical", 9);
    bench.refuse(1, &[(&format!("{PRETRAIN} --resume --out run"), &["data_checksum was"])]);
    assert!(before == bench.read("run/weights.safetensors"));
    // More threads compute the same, so they are no change.
    std::fs::remove_file(bench.path("photos/train/vertical/more.png")).unwrap();
    bench.succeed(&format!("{PRETRAIN} --resume --out run --threads 3"));
}
