//! Work that ranks share has the bits of one process.

use super::job::{Job, NETWORKS};
use super::trainings::{DETECT, FINETUNE, MULTI_LABEL, PRETRAIN, SEGMENT, check_same, data};
use crate::cli::bench::{Bench, convnext};
use crate::cli::cells::cells;
use crate::cli::colours::colours;

/// Numbers of ranks; not all of them divide the twelve micro-batches evenly among the machine's cores.
const SIZES: [usize; 5] = [1, 2, 3, 4, 6];

fn check_training(bench: &Bench, line: &str) {
    bench.succeed(&format!("{line} --threads 1 --out alone"));
    for network in NETWORKS {
        for size in SIZES {
            let out = format!("shared-{size}-{}", network.len());
            let printed = Job::succeed(bench, size, network, &format!("{line} --out {out}"));
            assert_eq!(printed.matches("wrote ").count(), 1, "{printed}");
            check_same(bench, ["alone", &out]);
        }
    }
}

#[test]
fn a_pretraining_has_the_bits_of_one_process() {
    check_training(&data(), PRETRAIN);
}

#[test]
fn a_finetuning_has_the_bits_of_one_process() {
    check_training(&data(), FINETUNE);
}

#[test]
fn a_segmentation_has_the_bits_of_one_process() {
    check_training(&data(), SEGMENT);
}

#[test]
fn a_detection_has_the_bits_of_one_process() {
    check_training(&cells(), DETECT);
}

#[test]
fn several_classes_of_an_image_have_the_bits_of_one_process() {
    check_training(&colours(), MULTI_LABEL);
}

#[test]
fn the_last_round_of_a_step_may_have_idle_ranks() {
    let bench = data();
    bench.succeed(&format!("{PRETRAIN} --threads 1 --out alone"));
    Job::succeed(&bench, 5, NETWORKS[0], &format!("{PRETRAIN} --out shared"));
    check_same(&bench, ["alone", "shared"]);
}

#[test]
fn evaluations_and_embeddings_are_those_of_one_process() {
    let bench = data();
    bench.succeed(&format!("{FINETUNE} --threads 1 --out classifier"));
    bench.succeed(&format!("{SEGMENT} --threads 1 --out segmenter"));
    for line in [
        "evaluate --data photos --weights classifier/weights.safetensors --batch-size 2 --json",
        "evaluate --data photos --weights classifier/weights.safetensors --batch-size 2 --knn --json",
        "evaluate --data streets --weights segmenter/weights.safetensors --json",
    ] {
        let alone = bench.succeed(&format!("{line} --threads 1"));
        for size in [2, 3, 4] {
            assert_eq!(Job::succeed(&bench, size, NETWORKS[0], line), alone, "{size} ranks: {line}");
        }
    }
    let embed = "embed photos --weights classifier/weights.safetensors --batch-size 2 --out";
    bench.succeed(&format!("{embed} alone.npy --threads 1"));
    for size in [2, 3, 4] {
        Job::succeed(&bench, size, NETWORKS[0], &format!("{embed} shared.npy"));
        assert!(bench.read("alone.npy") == bench.read("shared.npy"), "{size} ranks");
        assert!(bench.read("alone.npy.names.txt") == bench.read("shared.npy.names.txt"), "{size} ranks");
    }
}

const STUDY: &str = r#"
title = "Masks"
question = "Do masks help?"
models = ["micro"]
metrics = [{ name = "top1", label = "top-1", percent = true }]
baseline = "scratch"
epochs = { pretraining = 2, finetuning = 1 }
runs = [
  { name = "masks", stage = "pretraining", arguments = ["--accumulate", "2"] },
  { name = "tuned", stage = "finetuning", from = "masks", arguments = ["--accumulate", "2"] },
  { name = "scratch", stage = "finetuning", arguments = ["--accumulate", "2"] },
  { name = "wild", stage = "finetuning", epochs = 6, arguments = ["--lr", "1e30", "--accumulate", "2"] },
]
rows = [{ name = "FCMAE", run = "tuned" }, { name = "scratch", run = "scratch" }, { name = "wild", run = "wild" }]
"#;

#[test]
fn a_study_has_the_same_results_with_a_launcher() {
    let bench = data();
    bench.write("study.toml", STUDY);
    let line = "study run study.toml --data photos --image-size 32 --stem-stride 1 --batch-size 2 --seeds 1 --threads 1";
    bench.succeed(&format!("{line} --out alone"));
    // Started as one rank of a job, whose variables must not reach the ranks of its runs.
    let launched = convnext()
        .current_dir(bench.path(""))
        .envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")])
        .envs([("OMPI_COMM_WORLD_RANK", "0"), ("OMPI_COMM_WORLD_SIZE", "1"), ("PMIX_RANK", "0")])
        .args(line.split_whitespace())
        .args(["--out", "launched", "--launcher", "mpirun --oversubscribe -n 2"])
        .assert();
    launched.success();
    assert_eq!(bench.read_text("alone/table.md"), bench.read_text("launched/table.md"));
    for weights in ["masks", "tuned", "scratch"].map(|run| format!("{run}-seed0/weights.safetensors")) {
        let read = |study: &str| bench.read(&format!("{study}/runs/{weights}"));
        assert!(read("alone") == read("launched"), "{weights}");
    }
}

#[test]
fn synchronised_batch_norms_belong_to_a_number_of_ranks() {
    let bench = data();
    let line = format!("{SEGMENT} --sync-batch-norm --out run");
    let mut job = Job::start(&bench, 2, NETWORKS[0], &line);
    assert_eq!(job.finish().code(), Some(0), "{}", job.said());
    let config = String::from_utf8(bench.read("run/config.toml")).unwrap();
    assert!(config.contains("sync_batch_norm = 2"), "{config}");
    let mut job = Job::start(&bench, 3, NETWORKS[0], &format!("{line} --resume"));
    assert_eq!(job.finish().code(), Some(65), "{}", job.said());
    assert!(job.said().contains("sync_batch_norm was 2, is 3"), "{}", job.said());
}
