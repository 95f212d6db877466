//! What the bench prints; how fast it is, no test decides.

use predicates::str::contains;
use serde_json::Value;

use super::bench::{Bench, convnext};

/// Small enough for a test: one step of one image.
const SMALL: &str = "--model micro --batch-size 1 --image-size 64 --steps 1";

fn measure(flags: &str) -> Value {
    Bench::new().json(&format!("bench {SMALL} --json {flags}"))
}

fn number(found: &Value, field: &str) -> f64 {
    found[field].as_f64().unwrap_or_else(|| panic!("no {field} in {found}"))
}

#[test]
fn every_mode_is_measured() {
    let modes = [
        "infer",
        "train",
        "pretrain",
        "pretrain --encoder dense",
        "pretrain --scope encoder --stem-stride 2",
    ];
    for mode in modes {
        let found = measure(&format!("--mode {mode}"));
        for field in ["images_per_second", "gflops", "share_of_peak", "peak_gflops"] {
            assert!(number(&found, field) > 0.0, "{field}: {found}");
        }
        let held = number(&found, "activation_bytes");
        assert_eq!(held == 0.0, mode == "infer", "{found}");
        if cfg!(target_os = "linux") {
            assert!(number(&found, "peak_memory_bytes") > held, "{found}");
        }
        assert!(found.get("profile").is_none(), "{found}");
    }
}

#[test]
fn segmentation_networks_are_measured() {
    for mode in ["segment-infer", "segment-train"] {
        let measure = |width: usize| {
            let size = "--model micro --batch-size 2 --image-size 64 --steps 1";
            Bench::new().json(&format!("bench --json --mode {mode} {size} --head-width {width}"))
        };
        let (narrow, wide) = (measure(8), measure(16));
        assert_eq!(narrow["mode"], mode);
        let work = |found: &Value| number(found, "gflops") / number(found, "images_per_second");
        assert!(work(&narrow) < 0.9 * work(&wide), "{narrow} {wide}");
    }
}

#[test]
fn detection_networks_are_measured() {
    let size = "--model micro --batch-size 1 --image-size 64 --steps 1 --box-width 16";
    let measure =
        |mode: &str, flags: &str| Bench::new().json(&format!("bench --json --mode {mode} {size} {flags}"));
    for (mode, flags) in [("detect-infer", "--head-width 8"), ("detect-train", "--head-width 8 --regions 16")]
    {
        let found = measure(mode, flags);
        assert!(number(&found, "images_per_second") > 0.0 && found["gflops"].is_null(), "{found}");
    }
    let lines = format!("bench --mode detect-train {size} --head-width 8 --regions 16");
    Bench::new().run(&lines).stdout(contains("an unknown part of the GFLOP/s of"));
}

#[test]
fn steps_neither_gather_memory_nor_ask_the_system_for_it() {
    for mode in ["infer", "train", "pretrain", "pretrain --activations recompute"] {
        let flags =
            format!("bench --json --model micro --batch-size 4 --image-size 64 --steps 20 --mode {mode}");
        let found = Bench::new().json(&flags);
        let [before, after] = [0, 1].map(|place| found["live_bytes"][place].as_f64().unwrap());
        assert!(before > 1e6 && after < 1.01 * before, "{mode}: {before} and then {after} bytes");
        if cfg!(target_os = "linux") {
            assert!(number(&found, "page_faults_a_step") < 2_000.0, "{found}");
        }
    }
}

#[test]
fn a_sparse_encoder_rounding_and_recomputing_hold_less() {
    let held = |flags: &str| number(&measure(&format!("--mode pretrain {flags}")), "activation_bytes");
    let (keep, recompute, dense) = (held(""), held("--activations recompute"), held("--encoder dense"));
    assert!(recompute * 2.0 < keep && keep < dense, "{recompute} {keep} {dense}");
    let halves = [held("--activations save-bf16"), held("--precision bf16")];
    assert_eq!(halves, [keep / 2.0; 2]);
}

#[test]
fn bf16_is_measured_beside_what_it_can_reach() {
    for (instructions, expected) in [("", ""), ("scalar", "emulated on scalar")] {
        let line = format!("bench --mode train {SMALL} --precision bf16 --json");
        let mut command = convnext();
        let output = command.env("CONVNEXT_INSTRUCTIONS", instructions).args(line.split_whitespace());
        let found: Value = serde_json::from_slice(&output.output().unwrap().stdout).unwrap();
        assert_eq!(found["precision"], "bf16");
        let in_use = found["instructions"].as_str().unwrap();
        assert!(in_use.contains("avx512bf16") || in_use.contains("emulated on"), "{in_use}");
        assert!(in_use.ends_with(expected), "{in_use}");
        assert!(number(&found, "share_of_peak") > 0.0, "{found}");
    }
}

#[test]
fn a_profile_names_the_kernels() {
    let found = measure("--mode train --profile");
    let rows = found["profile"].as_array().unwrap();
    let share: f64 = rows.iter().map(|row| row["share"].as_f64().unwrap()).sum();
    assert!((share - 1.0).abs() < 1e-9, "{share}");
    let row = rows.iter().find(|row| row["kernel"] == "depthwise weight gradient").unwrap();
    assert!(row["seconds"].as_f64().unwrap() > 0.0, "{row}");
    let text = Bench::new().succeed(&format!("bench --mode infer {SMALL} --profile"));
    assert!(text.contains("images a second") && text.contains("GELU and GRN forward"), "{text}");
}

#[test]
fn combinations_that_mean_nothing_are_refused() {
    let bench = Bench::new();
    bench.refuse(
        1,
        &[
            ("bench --mode infer --model micro --batch-size 1 --scope encoder", &["--scope"]),
            ("bench --mode infer --model micro --batch-size 1 --encoder dense", &["--encoder"]),
            ("bench --mode infer --model micro --batch-size 1 --activations recompute", &["--activations"]),
            ("bench --mode infer --model micro --batch-size 1 --sum fast", &["--sum"]),
            ("bench --mode pretrain --scope encoder --model micro --batch-size 1 --sum fast", &["--sum"]),
            (
                "bench --mode train --model micro --batch-size 1 --activations save-bf16 --precision bf16",
                &["--activations save-bf16"],
            ),
            ("bench --mode pretrain --model micro --batch-size 1 --image-size 65", &["65"]),
            (
                "bench --mode train --model micro --batch-size 1 --head-width 8",
                &["--head-width", "segment-*"],
            ),
            (
                "bench --mode segment-train --model micro --batch-size 2 --box-width 8",
                &["--box-width", "detect-train"],
            ),
            (
                "bench --mode detect-infer --model micro --batch-size 1 --regions 8",
                &["--regions", "detect-train"],
            ),
            (
                "bench --mode detect-train --model micro --batch-size 1 --image-size 100",
                &["100", "multiples of 32"],
            ),
            ("bench --mode detect-train --model micro --batch-size 1 --stem-stride 2", &["stem stride", "4"]),
            (
                "bench --mode segment-train --model micro --batch-size 1 --image-size 64",
                &["at least 2 images"],
            ),
        ],
    );
    bench.refuse(2, &[("bench --mode guess --model micro --batch-size 1", &["guess"])]);
}

#[test]
fn instructions_that_are_not_there_are_not_passed_over_in_silence() {
    let measure = |wanted: &str| {
        let line = format!("bench --mode infer {SMALL}");
        convnext().env("CONVNEXT_INSTRUCTIONS", wanted).args(line.split_whitespace()).assert().success()
    };
    for absent in ["mmx", "avx512bf61"] {
        measure(absent).stderr(contains("CONVNEXT_INSTRUCTIONS"));
    }
    measure("scalar").stderr("").stdout(contains("with scalar"));
}
