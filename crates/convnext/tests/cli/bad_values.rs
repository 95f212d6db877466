//! Bad input that one word of the command line gives away: code 2, before anything is done.

use super::bench::{Bench, Refusal};

const PRETRAIN: &str = "pretrain --data photos --model micro --out run";
const FINETUNE: &str = "finetune --data photos --init none --model micro --out run";
const EVALUATE: &str = "evaluate --data photos --weights w.safetensors";
const CLASSIFY: &str = "classify photos --weights w.safetensors";
const DETECT: &str = "detect photo.png --weights w.safetensors --out run";
const INFER: &str = "bench --mode infer --model micro";
const BENCH: &str = "bench --mode infer --model micro --batch-size 1";
const RECONSTRUCT: &str = "reconstruct photo.png --weights w.safetensors --out run";

#[test]
fn unknown_words_are_named() {
    Bench::new().refuse(
        2,
        &[
            ("fly", &["'fly'", "--help"]),
            ("models --colour", &["'--colour'", "--help"]),
            ("pretrain --data photos --model giant --out run", &["giant", "known models: atto", "micro"]),
            ("finetune --data photos --init none --model v2 --out run", &["v2", "known models: atto"]),
            (&format!("{PRETRAIN} --encoder dense"), &["dense", "sparse, masked-dense, leaky"]),
            (&format!("{PRETRAIN} --device gpu"), &["gpu", "cpu, wgpu, wgpu:N"]),
            (&format!("{CLASSIFY} --precision f16"), &["f16", "f32, bf16"]),
            (&format!("{FINETUNE} --activations drop"), &["drop", "save, save-bf16, recompute"]),
            ("quickstart --device wgpu:first", &["wgpu:first", "cpu, wgpu, wgpu:N"]),
            (&format!("{FINETUNE} --mask-ratio 0.5"), &["--mask-ratio"]),
            (&format!("{PRETRAIN} --labels-per-class 5"), &["--labels-per-class"]),
            ("inspect one.safetensors two.safetensors", &["two.safetensors"]),
        ],
    );
}

#[test]
fn devices_that_were_not_built_are_named_with_their_feature() {
    for (device, is_built) in [("wgpu", cfg!(feature = "wgpu")), ("cuda", cfg!(feature = "cuda"))] {
        if is_built {
            continue;
        }
        let feature = format!("--features {device}");
        let words = [&feature[..]];
        let lines = [PRETRAIN, FINETUNE, EVALUATE, CLASSIFY, RECONSTRUCT]
            .map(|command| format!("{command} --device {device}:1"));
        let refusals: Vec<Refusal> = lines.iter().map(|line| (&line[..], &words[..])).collect();
        Bench::new().refuse(2, &refusals);
    }
}

#[cfg(feature = "wgpu")]
#[test]
fn a_device_that_the_machine_does_not_have_is_named() {
    let bench = Bench::new();
    bench.refuse(1, &[(&format!("{PRETRAIN} --device wgpu:99"), &["wgpu:99", "driver", "--device cpu"])]);
    assert!(!bench.exists("run"), "a refused command made its output folder");
}

#[test]
fn missing_words_are_named() {
    Bench::new().refuse(
        2,
        &[
            ("pretrain --model micro --out run", &["--data <PATH>"]),
            ("pretrain --data photos --model micro", &["--out <DIR>"]),
            ("finetune --data photos --model micro", &["--out <DIR>"]),
            ("evaluate --data photos", &["--weights <WEIGHTS>"]),
            ("classify --weights w.safetensors", &["<IMAGE|FOLDER>"]),
            ("classify photo.png", &["--weights <WEIGHTS>"]),
            ("reconstruct photo.png --weights w.safetensors", &["--out <DIR>"]),
            ("inspect", &["<WEIGHTS>"]),
        ],
    );
}

#[test]
fn values_out_of_range_are_named_with_their_range() {
    let share = "between 0 and 1";
    let count = "expected a whole number";
    let above = "above 0";
    let stride = "1, 2 or 4";
    let tile = "from 32 to 16384, or 0";
    let overlap = "from 0 to 0.9";
    let in_tiles = [EVALUATE, DETECT].map(|command| format!("{command} --tile 64"));
    let rows = [
        (PRETRAIN, "--mask-ratio", &["1.5", "0", "1", "-0.5", "nan", "half"][..], share),
        (PRETRAIN, "--stem-stride", &["3", "0", "8", "-1"], stride),
        (PRETRAIN, "--batch-size", &["0", "-4", "1.5"], count),
        (PRETRAIN, "--epochs", &["0", "-1"], count),
        (PRETRAIN, "--steps", &["0"], count),
        (PRETRAIN, "--image-size", &["0", "16385", "18446744073709551584", "big"], count),
        (PRETRAIN, "--decoder-depth", &["0"], count),
        (PRETRAIN, "--decoder-width", &["0", "18446744073709551615"], count),
        (PRETRAIN, "--lr", &["-1", "0", "inf", "nan", "fast"], above),
        (PRETRAIN, "--threads", &["0", "1025"], count),
        (PRETRAIN, "--seed", &["-1", "1.5", "x"], "--seed"),
        (FINETUNE, "--lr", &["-1"], above),
        (FINETUNE, "--image-size", &["0", "18446744073709551584"], count),
        (FINETUNE, "--stem-stride", &["3"], stride),
        (FINETUNE, "--labels-per-class", &["0"], count),
        (FINETUNE, "--val-fraction", &["0", "1", "2"], share),
        (EVALUATE, "--batch-size", &["0"], count),
        (EVALUATE, "--val-fraction", &["1.5"], share),
        (CLASSIFY, "--top-k", &["0", "-1"], count),
        (RECONSTRUCT, "--mask-ratio", &["1.5", "0"], share),
        (EVALUATE, "--tile", &["5"], tile),
        (DETECT, "--tile", &["5", "31", "16385", "-64", "18446744073709551615", "x"], tile),
        // Bug: room was made for all steps at once, which panicked.
        (BENCH, "--steps", &["0", "1000000000000", "18446744073709551615"], "from 1 to 1000000"),
        (INFER, "--batch-size", &["0", "65537", "18446744073709551615"], "from 1 to 65536"),
        (in_tiles[0].as_str(), "--overlap", &["0.95"], overlap),
        (in_tiles[1].as_str(), "--overlap", &["0.95", "-0.1", "nan"], overlap),
    ];
    let mut lines = Vec::new();
    for (command, flag, values, range) in rows {
        lines.extend(values.iter().map(|value| (format!("{command} {flag} {value}"), [flag, *value, range])));
    }
    let refusals: Vec<(&str, &[&str])> = lines.iter().map(|(line, words)| (&line[..], &words[..])).collect();
    let bench = Bench::new();
    bench.refuse(2, &refusals);
    assert!(!bench.exists("run"), "a refused command made its output folder");
}

#[test]
fn flags_that_exclude_each_other_are_named() {
    Bench::new().refuse(
        2,
        &[
            (&format!("{PRETRAIN} --epochs 1 --steps 1"), &["--epochs", "--steps", "cannot be used with"]),
            (&format!("{FINETUNE} --epochs 1 --steps 1"), &["--epochs", "--steps", "cannot be used with"]),
            (&format!("{CLASSIFY} --json --csv a.csv"), &["--json", "--csv", "cannot be used with"]),
            (&format!("{RECONSTRUCT} --mask m.json --mask-ratio 0.5"), &["--mask", "--mask-ratio"]),
            (&format!("{EVALUATE} --seed 1"), &["--val-fraction"]),
            (&format!("{CLASSIFY} --overwrite"), &["--copy-to <DIR>"]),
            ("models -q -v", &["--quiet", "--verbose"]),
        ],
    );
}
