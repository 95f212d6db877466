//! Masks that do not fit, from a file or from a ratio.

use super::bench::Bench;
use super::weights::autoencoder;

fn refuse(mask: &str, words: &[&str]) {
    let bench = Bench::new();
    bench.write("weights.safetensors", autoencoder());
    bench.draw("photo.png", "vertical", 0);
    bench.write("mask.json", mask);
    let line = "reconstruct photo.png --weights weights.safetensors --mask mask.json --out out";
    let words: Vec<&str> = words.iter().copied().chain(["mask.json"]).collect();
    bench.refuse(1, &[(line, &words)]);
    assert!(!bench.exists("out"), "a folder was made for a mask that cannot be used");
}

#[test]
fn indices_that_do_not_fit_are_named() {
    for (mask, problem) in [
        (r#"{"kept": [16]}"#, "patch 16 does not exist, the last is 15"),
        (r#"{"kept": [3, 4, 3]}"#, "patch 3 is duplicated"),
        (r#"{"kept": []}"#, "none is kept"),
        (r#"{"kept": [0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]}"#, "none is removed"),
    ] {
        refuse(mask, &[problem, "grid of 4x4"]);
    }
}

#[test]
fn files_of_another_form_are_told_the_form() {
    for mask in [
        "",
        "kept: 1",
        "[0, 1]",
        "{}",
        r#"{"kept": [-1]}"#,
        r#"{"kept": [0.5]}"#,
        r#"{"kept": ["0"]}"#,
        r#"{"kept": [0], "removed": [1]}"#,
        r#"{"kept": [0]"#,
    ] {
        refuse(mask, &[r#"{"kept": [0, 3, ...]}"#]);
    }
}

#[test]
fn a_missing_mask_file() {
    let bench = Bench::new();
    bench.write("weights.safetensors", autoencoder());
    bench.draw("photo.png", "vertical", 0);
    let line = "reconstruct photo.png --weights weights.safetensors --mask gone.json --out out";
    bench.refuse(1, &[(line, &["gone.json", "check"])]);
}

#[test]
fn a_ratio_that_leaves_nothing_to_see_or_to_predict() {
    let bench = Bench::new();
    bench.write("weights.safetensors", autoencoder());
    bench.draw("photo.png", "vertical", 0);
    let line = "reconstruct photo.png --weights weights.safetensors --out out --mask-ratio";
    bench.refuse(1, &[(&format!("{line} 0.99"), &["keeps 0 of 16 patches", "change the mask ratio"])]);
}
