//! A folder in place of a weight file: of a run, of another program, or with something else in it.

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;
use super::weights::{autoencoder, classifier, with_header};

fn bench() -> Bench {
    let bench = Bench::new();
    bench.draw("image.png", CLASSES[2], 1);
    bench
}

fn classify(bench: &Bench, weights: &str) -> String {
    bench.json(&format!("classify image.png --weights {weights} --json"))[0]["predictions"].to_string()
}

/// The classifier with other names for its classes, so that one knows which file was read.
fn renamed(name: &str) -> Vec<u8> {
    with_header(classifier(), |header| {
        let text = &mut header["__metadata__"]["convnext"];
        *text = text.as_str().unwrap().replace(CLASSES[0], name).into();
    })
}

#[test]
fn of_a_run_the_best_weights_are_taken_and_it_is_said() {
    let bench = bench();
    bench.draw_classes("labelled", 6);
    bench.succeed(
        "finetune --data labelled --init none --model micro --image-size 32 --stem-stride 1 --steps 2 --batch-size 6 \
         --out run",
    );
    assert_eq!(classify(&bench, "run"), classify(&bench, "run/weights-best.safetensors"));
    bench.write("run/weights-best.safetensors", renamed("the-best"));
    let said = bench.run("-v classify image.png --weights run --json").success();
    said.stdout(contains("the-best"))
        .stderr(contains("weights-best.safetensors is used, not weights.safetensors"));
    for line in [
        "inspect run",
        "convert run out.pt --to timm",
        "embed image.png --weights run --out v.npy",
        "export --weights run --out x.onnx",
        "evaluate --data labelled --weights run --knn",
        "finetune --data labelled --init run --steps 1 --batch-size 6 --out second",
    ] {
        bench.run(line).success();
    }
    bench.make_folder("pretrained");
    bench.write("pretrained/weights.safetensors", autoencoder());
    bench.succeed("reconstruct image.png --weights pretrained --out images");
    bench.write("pretrained/config.toml", "");
    bench.succeed("inspect pretrained");
}

#[test]
fn folders_of_other_programs_and_of_convert_are_weights() {
    let bench = bench();
    bench.write("own.safetensors", classifier());
    let own = classify(&bench, "own.safetensors");
    for to in ["timm", "hf"] {
        bench.succeed(&format!("convert own.safetensors {to} --to {to}"));
        assert_eq!(classify(&bench, to), own, "{to}");
    }
    // Training states lie beside the weights of transformers' Trainer.
    bench.write("hf/optimizer.pt", "");
    bench.write("hf/training_args.bin", "");
    assert_eq!(classify(&bench, "hf"), own);
    bench.make_folder("old");
    bench.succeed("convert own.safetensors old/pytorch_model.bin --to hf");
    bench.write("old/config.json", bench.read("hf/config.json"));
    assert!(classify(&bench, "old").contains(CLASSES[0]));
    // Any other folder with one weight file.
    bench.write("one/epoch=3.ckpt", bench.read("old/pytorch_model.bin"));
    bench.write("one/log.txt", "loss");
    bench.succeed("inspect one");
}

#[test]
fn folders_without_weights_or_with_several_are_refused() {
    let bench = bench();
    bench.make_folder("empty");
    bench.write("photos/a.jpg", "");
    bench.write("several/last.pth.tar", "");
    bench.write("several/model_best.pth.tar", "");
    bench.write("begun/config.toml", "");
    bench.write("begun/checkpoints/step-10.safetensors", "");
    for (folder, words) in [
        ("empty", &["empty holds no weights, only nothing"][..]),
        ("photos", &["photos holds no weights, only a.jpg", "name a weight file"]),
        ("several", &["holds several weight files; name one of them: last.pth.tar, model_best.pth.tar"]),
        ("begun", &["has not written its weights yet", "step-10.safetensors"]),
    ] {
        for line in [
            "classify image.png --weights W",
            "inspect W",
            "convert W out.pt --to timm",
            "finetune --data photos --init W --out out",
            "pretrain --data photos --init W --out out",
        ] {
            bench.refuse(1, &[(&line.replace('W', folder)[..], words)]);
        }
    }
    bench.run("inspect gone").code(1).stderr(contains("gone does not exist").and(contains("panicked").not()));
}
