//! Images and patches that do not go together, and models that are not named: code 1, since no single
//! value is wrong.

use super::bench::Bench;
use super::weights::autoencoder;

fn refuse(line: &str, words: &[&str]) {
    let bench = Bench::new();
    bench.write("weights.safetensors", autoencoder());
    bench.draw_classes("labelled", 2);
    bench.refuse(1, &[(&format!("{line} --data labelled --steps 1 --out out"), words)]);
    assert!(!bench.exists("out"), "{line} made an output folder");
}

#[test]
fn what_no_memory_holds_is_refused_before_the_first_step() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 3);
    let words = ["GiB of memory are available", "--batch-size"];
    bench.refuse(
        1,
        &[
            ("pretrain --data labelled --model micro --image-size 16384 --out run", &words),
            ("finetune --data labelled --model huge --image-size 4096 --out run", &words),
        ],
    );
    assert!(!bench.exists("run"));
}

#[test]
fn images_must_be_whole_patches() {
    refuse(
        "pretrain --model micro --image-size 36 --stem-stride 1",
        &["36x36", "patch of 8 pixels", "choose an image size such as"],
    );
    refuse("pretrain --model micro --image-size 100", &["100x100", "patch of 32 pixels", "such as 96"]);
    refuse("pretrain --init weights.safetensors --image-size 33", &["33x33", "patch of 8 pixels"]);
}

#[test]
fn images_must_leave_patches_to_keep() {
    refuse(
        "pretrain --model micro --image-size 32",
        &["mask ratio 0.6 keeps 0 of 1 patches", "use larger images"],
    );
    refuse(
        "pretrain --model micro --image-size 64 --mask-ratio 0.9",
        &["keeps 0 of 4", "change the mask ratio"],
    );
}

#[test]
fn images_must_reach_the_last_stage() {
    refuse(
        "finetune --init none --model micro --image-size 16",
        &["16x16 is too small", "at least 32 pixels"],
    );
    refuse("finetune --init weights.safetensors --image-size 4", &["4x4 is too small", "at least 8 pixels"]);
}

#[test]
fn a_model_must_be_chosen() {
    for line in ["pretrain", "finetune", "finetune --init none"] {
        refuse(line, &["no model was chosen", "--model NAME", "--init WEIGHTS"]);
    }
}
