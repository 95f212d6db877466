//! `convnext export`. What the files compute is tested in `convnext-onnx`.

use predicates::str::contains;

use super::bench::Bench;
use super::weights::{autoencoder, classifier};

#[test]
fn classifiers_and_encoders_are_exported() {
    let bench = Bench::new();
    bench.write("classifier.safetensors", classifier());
    bench.write("pretrained.safetensors", autoencoder());
    for (options, words) in [
        ("--weights classifier.safetensors", ["logits", "checkers"]),
        ("--weights classifier.safetensors --features --image-size 64 --batch 2", ["stage1", "stage4"]),
        ("--weights pretrained.safetensors --features", ["stage1", "stage4"]),
    ] {
        assert_eq!(bench.succeed(&format!("export {options} --out model.onnx")), "model.onnx\n");
        let file = bench.read("model.onnx");
        for word in words {
            assert!(file.windows(word.len()).any(|part| part == word.as_bytes()), "{options}: no {word}");
        }
    }
}

#[test]
fn bad_requests_are_refused() {
    let bench = Bench::new();
    bench.write("pretrained.safetensors", autoencoder());
    let line = "export --weights pretrained.safetensors --out model.onnx";
    bench.run(line).code(1).stderr(contains("an autoencoder has no logits; give --features"));
    bench.run(&format!("{line} --features --image-size 4")).code(1).stderr(contains("pixels"));
    bench.run(&format!("{line} --score 0.3")).code(1).stderr(contains("for detectors"));
    bench.run(&format!("{line} --max 3 --features")).code(2).stderr(contains("--features"));
    // Bug: the largest ones were refused only after the weights had been read.
    for batch in ["0", "1000001", "18446744073709551616"] {
        let said = contains("a whole number from 1 to 1000000, or dynamic");
        bench.run(&format!("{line} --batch {batch}")).code(2).stderr(said);
    }
    assert!(!bench.exists("model.onnx"));
}
