//! Places that cannot be written to, or hold something already. Root runs tests in places, so the
//! unwritable ones lie under a regular file.

use super::bench::Bench;
use super::weights::{autoencoder, classifier};

const PRETRAIN: &str = "pretrain --data labelled --model micro --image-size 64 --steps 1";
const FINETUNE: &str = "finetune --data labelled --init none --model micro --image-size 32 --steps 1";

fn bench() -> Bench {
    let bench = Bench::new();
    bench.write("autoencoder.safetensors", autoencoder());
    bench.write("classifier.safetensors", classifier());
    bench.write("taken", "I was here first.\n");
    bench.draw_classes("labelled", 2);
    bench
}

#[test]
fn a_file_in_the_way_is_named_and_kept() {
    let bench = bench();
    let reconstruct = "reconstruct labelled/vertical/00.png --weights autoencoder.safetensors";
    let mut lines = Vec::new();
    for command in [PRETRAIN, FINETUNE, reconstruct] {
        lines.extend(["taken", "taken/run"].map(|out| format!("{command} --out {out}")));
    }
    lines.push("classify labelled --weights classifier.safetensors --csv taken/answers.csv".into());
    let words = ["taken", "check that"];
    let refusals: Vec<(&str, &[&str])> = lines.iter().map(|line| (&line[..], &words[..])).collect();
    bench.refuse(1, &refusals);
    assert_eq!(bench.read_text("taken"), "I was here first.\n");
}

#[test]
fn a_table_needs_its_folder() {
    let line = "classify labelled --weights classifier.safetensors --csv gone/answers.csv";
    bench().refuse(1, &[(line, &["gone/answers.csv", "check that"])]);
}

#[test]
fn a_used_folder_is_refused_and_kept() {
    let bench = bench();
    bench.write("run/notes.txt", "the last run\n");
    let words = ["output folder run is not empty", "--out"];
    bench
        .refuse(1, &[(&format!("{PRETRAIN} --out run"), &words), (&format!("{FINETUNE} --out run"), &words)]);
    assert_eq!(bench.read_text("run/notes.txt"), "the last run\n");
    assert!(!bench.exists("run/config.toml"), "something was written into a used folder");
}

#[test]
fn an_empty_folder_and_a_deep_one_are_fine() {
    let bench = bench();
    bench.make_folder("empty");
    for out in ["empty", "deep/deeper/run"] {
        bench.succeed(&format!("{PRETRAIN} --out {out}"));
        assert!(bench.exists(&format!("{out}/weights.safetensors")));
    }
}

#[test]
fn a_page_takes_the_place_of_pages_only() {
    let bench = bench();
    let before = bench.read("classifier.safetensors");
    for line in [
        "data check labelled --out classifier.safetensors",
        "evaluate --data labelled --weights classifier.safetensors --html classifier.safetensors",
        "compare a b --out classifier.safetensors",
    ] {
        bench.refuse(2, &[(line, &["ends in .html"])]);
    }
    assert!(bench.read("classifier.safetensors") == before);
}

/// Bug: the weights of a run were replaced by the answers or embeddings of another command, and its report by another page.
#[test]
fn what_a_run_wrote_is_not_replaced() {
    let bench = bench();
    bench.succeed(&format!("{FINETUNE} --out run"));
    let files = [
        "run/weights.safetensors",
        "run/metrics.jsonl",
        "run/checkpoints/step-00000001.safetensors",
        "run/report.html",
    ];
    let before = files.map(|file| bench.read(file));
    let embed = "embed labelled --weights autoencoder.safetensors --out run";
    let classify = "classify labelled --weights classifier.safetensors --csv run/metrics.jsonl";
    let evaluate = "evaluate --data labelled --weights classifier.safetensors --html run/report.html";
    let of_run = ["is there already", "in the folder of the run"];
    bench.refuse(
        1,
        &[
            (&format!("{embed}/weights.safetensors"), &of_run),
            (&format!("{embed}/checkpoints/step-00000001.safetensors"), &of_run),
            (classify, &of_run),
            (evaluate, &of_run),
            ("convert run run/weights.safetensors --to timm", &["is there already", "--overwrite"]),
        ],
    );
    assert!(before == files.map(|file| bench.read(file)));
    bench.succeed(&format!("{embed}/vectors.npy"));
    assert!(bench.exists("run/vectors.npy"));
}
