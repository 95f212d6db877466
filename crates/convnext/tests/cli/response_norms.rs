//! Alternatives to GRN and LayerScale beside it: trainings, the way from one to the other, and what is refused.

use std::fs;

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;

const PRETRAIN: &str =
    "pretrain --data photos --model micro --recipe plain --image-size 32 --stem-stride 1 --batch-size 6";
const FINETUNE: &str =
    "finetune --data photos --recipe plain --image-size 32 --stem-stride 1 --batch-size 6 --steps 2";

/// Every alternative to GRN, and blocks with nothing.
const NAMES: [&str; 14] = [
    "grn-average",
    "grn-l1",
    "grn-standardised",
    "grn-sum",
    "grn-no-residual",
    "grn-no-norm",
    "grn-no-pool",
    "identity",
    "lrn",
    "bn",
    "ln",
    "se",
    "cbam",
    "none",
];

fn photos() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("photos", 4);
    bench
}

#[test]
fn each_alternative_is_pretrained_finetuned_and_used() {
    let bench = photos();
    for name in NAMES {
        bench.succeed(&format!("{PRETRAIN} --steps 2 --response-norm {name} --out {name}/a -q"));
        let weights = format!("{name}/a/weights.safetensors");
        bench.succeed(&format!("{FINETUNE} --init {weights} --out {name}/b -q"));
        let metadata = bench.json(&format!("inspect {name}/b/weights.safetensors --json"))["metadata"].take();
        let found = metadata["backbone"]["response_norm"].as_str().unwrap_or("none");
        assert_eq!((found, &metadata["backbone"]["grn"]), (name, &false.into()), "{metadata}");
        let evaluation =
            bench.json(&format!("evaluate --data photos --weights {name}/b/weights.safetensors --json"));
        assert_eq!(evaluation["images"], 12, "{name}: {evaluation}");
        let image = format!("photos/{}/00.png", CLASSES[0]);
        bench.succeed(&format!("reconstruct {image} --weights {weights} --out {name}/images"));
    }
}

#[test]
fn what_is_dropped_added_or_replaced_is_said() {
    let bench = photos();
    bench
        .run(&format!("{PRETRAIN} --steps 1 --response-norm se --layer-scale 0.5 --out se"))
        .success()
        .stderr(contains(
            "the model is micro, with squeeze and excite in the place of GRN, and LayerScale (initially 0.5)",
        ))
        .stderr(contains("run without kernels"))
        .stderr(contains("save their input alone"));
    for (shown, page) in [
        (
            bench.succeed("inspect se/weights.safetensors"),
            "blocks with squeeze and excite in the place of GRN",
        ),
        (bench.read_text("se/report.html"), "micro, with squeeze and excite in the place of GRN"),
    ] {
        assert!(shown.contains(page), "{shown}");
    }
    bench.succeed(&format!("{PRETRAIN} --steps 1 --out grn -q"));
    for (number, (init, arguments, words)) in [
        ("grn", "--response-norm none", "GRN of the weights is dropped, and nothing takes its place"),
        (
            "grn",
            "--response-norm grn-l1",
            "GRN of the weights is replaced by GRN by L1 norms, which starts fresh",
        ),
        ("grn", "--layer-scale on", "LayerScale is added to the weights and starts at 1.0"),
        ("se", "--response-norm grn", "squeeze and excite of the weights is replaced by GRN"),
        (
            "se",
            "--layer-scale off",
            "LayerScale of the weights is dropped, and the factors that it learned are lost",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("{FINETUNE} --init {init}/weights.safetensors {arguments} --out {number}");
        bench.run(&line).success().stderr(contains(words));
        // What was typed is recorded, so a run can be repeated.
        bench.succeed(&format!("finetune --config {number} --out again-{number} -q"));
        let [first, again] =
            ["", "again-"].map(|name| bench.read(&format!("{name}{number}/weights.safetensors")));
        assert!(first == again, "{arguments}");
    }
    bench.succeed(&format!("{FINETUNE} --init 0/weights.safetensors --response-norm grn --out added -q"));
    // What a run changed is changed in other weights as well.
    bench
        .run("finetune --config 1 --init se/weights.safetensors --out elsewhere")
        .success()
        .stderr(contains("squeeze and excite of the weights is replaced by GRN by L1 norms"));
    let same =
        bench.run(&format!("{FINETUNE} --init se/weights.safetensors --model micro --out same")).success();
    same.stderr(contains("of the weights").not());
}

#[test]
fn what_makes_no_sense_is_refused() {
    let bench = photos();
    bench.refuse(
        2,
        &[
            (
                &format!("{PRETRAIN} --response-norm gnr --out x"),
                &["'gnr'", "did you mean 'grn'", "cbam, none"],
            ),
            (&format!("{PRETRAIN} --layer-scale 0 --out x"), &["on, off, or a positive number"]),
        ],
    );
    bench.succeed(&format!("{PRETRAIN} --steps 1 --response-norm bn --layer-scale 0.5 --out bn -q"));
    let weights = "bn/weights.safetensors";
    let probe = format!("{FINETUNE} --init {weights} --freeze encoder");
    let one_site =
        "finetune --data photos --init none --model micro --recipe plain --image-size 32 --batch-size 1";
    bench.refuse(
        1,
        &[
            (
                &format!("{FINETUNE} --init {weights} --layer-scale 1 --out x"),
                &["bn/weights", "--layer-scale on"],
            ),
            (
                &format!("{probe} --response-norm grn --out x"),
                &["--freeze encoder", "batch norm of the weights is replaced by GRN", "leave"],
            ),
            (
                &format!("{PRETRAIN} --response-norm se --activations recompute --out x"),
                &["--activations", "squeeze and excite save their input alone"],
            ),
            (
                &format!("{probe} --response-norm none --activations recompute --out x"),
                &["--activations", "with --freeze encoder the blocks save nothing"],
            ),
            (
                "bench --mode train --model micro --batch-size 1 --response-norm se --activations recompute",
                &["--activations", "squeeze and excite"],
            ),
            (
                &format!("{one_site} --response-norm bn --steps 1 --out x"),
                &["--response-norm", "--batch-size", "single value"],
            ),
            (&format!("convert {weights} x --to timm"), &["batch norm (bn) in the place of GRN"]),
            (
                &format!("export --weights {weights} --features --out x.onnx"),
                &["batch norm (bn) in the place of GRN"],
            ),
        ],
    );
    assert!(!bench.exists("x"), "a refused command made its output folder");
    // Nothing fresh is frozen where something is only dropped.
    bench.succeed(&format!("{probe} --response-norm none --out probe -q"));
}

#[test]
fn a_training_with_batch_norms_goes_on_with_the_same_bits() {
    let bench = photos();
    let line = format!("{PRETRAIN} --response-norm bn --epochs 3 --accumulate 2");
    bench.succeed(&format!("{line} --out whole -q"));
    bench.succeed(&format!("{line} --threads 1 --out cut -q"));
    let whole = bench.read("whole/weights.safetensors");
    assert!(whole == bench.read("cut/weights.safetensors"), "threads make a difference");
    // As if the run had been stopped before its last epoch.
    for file in ["weights.safetensors", "summary.json", "checkpoints/step-00000003.safetensors"] {
        fs::remove_file(bench.path(&format!("cut/{file}"))).unwrap();
    }
    bench.succeed(&format!("{line} --resume --out cut -q"));
    assert!(whole == bench.read("cut/weights.safetensors"), "the run goes on otherwise");
}

#[test]
fn a_divergence_with_other_blocks_is_told_with_its_step() {
    let bench = photos();
    bench
        .run(&format!("{PRETRAIN} --response-norm grn-no-pool --lr 1000 --steps 60 --out run"))
        .failure()
        .code(1)
        .stderr(contains("diverged").and(contains("step")));
}

#[test]
fn blocks_are_measured_by_the_bench() {
    let bench = Bench::new();
    let line = "bench --mode pretrain --model micro --image-size 64 --batch-size 2 --steps 1 --json";
    let measured = bench.json(&format!("{line} --response-norm cbam --layer-scale on"));
    assert_eq!((&measured["response_norm"], &measured["layer_scale"]), (&"cbam".into(), &1e-6.into()));
    let plain = bench.json(line);
    assert!(plain["response_norm"] == "grn" && plain["layer_scale"].is_null(), "{plain}");
    let infer = "bench --mode infer --model micro --image-size 64 --batch-size 2 --steps 1 --precision bf16";
    bench
        .run(&format!("{infer} --response-norm cbam"))
        .success()
        .stdout(contains("blocks with CBAM in the place of GRN"))
        .stderr(contains("blocks with CBAM compute in f32").count(1));
    bench.run(infer).success().stderr(contains("compute in f32").not());
    // Bug: what has kernels was refused a choice of activations.
    let train = "bench --mode train --model micro --image-size 64 --batch-size 2 --steps 1";
    bench.succeed(&format!("{train} --response-norm grn-standardised --activations recompute"));
}
