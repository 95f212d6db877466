//! `--precision bf16` and what is kept in bf16, through every command that computes.

use predicates::str::contains;

use super::bench::{Bench, convnext};

const PRETRAIN: &str = "pretrain --data photos --model micro --image-size 64 --batch-size 4 --steps 3";

fn photos() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos", 4);
    bench
}

#[test]
fn the_whole_job_runs_in_bf16_and_says_so() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --precision bf16 --out pretrained"));
    bench.succeed("finetune --data photos --init pretrained/weights.safetensors --epochs 2 --batch-size 4 --precision bf16 --out run");
    for run in ["pretrained", "run"] {
        let config: toml::Table = bench.read_text(&format!("{run}/config.toml")).parse().unwrap();
        assert_eq!(config["precision"].as_str(), Some("bf16"), "{config}");
    }
    let weights = "--weights run/weights.safetensors --json";
    let evaluated = |precision: &str| {
        bench.json(&format!("evaluate --data photos {weights} --precision {precision}"))["loss"]
            .as_f64()
            .unwrap()
    };
    let (exact, rounded) = (evaluated("f32"), evaluated("bf16"));
    assert!(exact != rounded && (exact - rounded).abs() < 1e-2 * exact, "{exact} {rounded}");
    let answers = bench.json(&format!("classify photos {weights} --precision bf16"));
    assert_eq!(answers.as_array().unwrap().len(), 12);
    let reconstructed = "reconstruct photos --weights pretrained/weights.safetensors --out images --json";
    let answers = bench.json(&format!("{reconstructed} --precision bf16"));
    assert!(answers[0]["loss"].as_f64().unwrap() > 0.0, "{answers}");
}

#[test]
fn a_run_goes_on_in_the_precision_that_it_began_with() {
    let bench = photos();
    bench.succeed(&format!("{PRETRAIN} --precision bf16 --out rounded"));
    let refused = format!("{PRETRAIN} --resume --out rounded");
    bench.refuse(1, &[(&refused, &["precision was \"bf16\", is not set"])]);
    bench.succeed(&format!("{PRETRAIN} --activations save-bf16 --out kept"));
    let refused = format!("{PRETRAIN} --activations recompute --resume --out kept");
    bench.refuse(1, &[(&refused, &["activations was \"save-bf16\", is not set"])]);
}

#[test]
fn threads_and_recomputing_change_no_bit_in_bf16() {
    let bench = photos();
    let weights = |out: &str, flags: &str| {
        bench.succeed(&format!("{PRETRAIN} --precision bf16 --out {out} {flags}"));
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let first = weights("a", "");
    assert!(first == weights("b", "--threads 1"), "the number of threads changes the weights");
    assert!(first == weights("c", "--activations recompute"), "computing again changes the weights");
}

#[test]
fn what_says_the_same_twice_is_refused() {
    let bench = photos();
    let line = format!("{PRETRAIN} --precision bf16 --activations save-bf16 --out run");
    bench.refuse(1, &[(&line, &["--activations save-bf16", "leave"])]);
    assert!(!bench.exists("run"), "a refused command made its output folder");
}

#[test]
fn an_emulation_is_not_passed_over_in_silence() {
    let line = "bench --mode infer --model micro --batch-size 1 --image-size 64 --steps 1 --precision bf16";
    convnext()
        .env("CONVNEXT_INSTRUCTIONS", "scalar")
        .args(line.split_whitespace())
        .assert()
        .success()
        .stderr(contains("emulated on scalar"));
}
