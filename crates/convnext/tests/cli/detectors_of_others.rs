//! Detectors of torchvision (`convnext-io/tests/fixtures/make_detectors.py`): trained on, and whose rules they keep.

use std::path::{Path, PathBuf};

use predicates::str::contains;
use serde_json::Value;

use super::cells::cells;
use super::detecting::TRAIN;

pub(super) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../convnext-io/tests/fixtures/detectors").join(name)
}

/// The network of the fixture has no norms on its stages and two nameless classes, as many as the data has.
#[test]
fn torchvisions_rules_and_classes_are_kept_by_trainings() {
    let bench = cells();
    bench.write("faster_rcnn.pth", std::fs::read(fixture("faster_rcnn.pth")).unwrap());
    let widths = TRAIN.replace("--model micro --head-width 16 --box-width 32", "--init faster_rcnn.pth");
    let widths = widths.replace("--set from_scratch.warmup_steps=0", "");
    let train = format!("{widths} --steps 2 --batch-size 2 --lr 1e-9 --out run");
    bench.run(&train).success().stderr(contains("masks are torchvision's"));
    bench.run(&format!("{train} --resume --extend --steps 3").replace("--steps 2 ", "")).success();
    let found = bench.json("inspect run/weights.safetensors --json");
    let head = &found["metadata"]["task"]["head"];
    assert_eq!(
        (&head["rules"], &head["stage_norms"]),
        (&Value::from("torchvision"), &Value::from(false)),
        "{found}"
    );
    // Hardly anything was learned: the classifier is still that of the file.
    let detect = |weights: &str| {
        bench.json(&format!(
            "detect cells/val --weights {weights} --out out --overwrite --score 0.05 --resize none --json"
        ))
    };
    let scores = |answers: &Value| -> Vec<f64> {
        let objects =
            answers.as_array().unwrap().iter().flat_map(|answer| answer["objects"].as_array().unwrap());
        objects.map(|object| object["score"].as_f64().unwrap()).collect()
    };
    let [before, after] =
        ["faster_rcnn.pth", "run/weights.safetensors"].map(|weights| scores(&detect(weights)));
    assert!(before.len() > 3 && before.len() == after.len(), "{before:?} {after:?}");
    assert!(before.iter().zip(&after).all(|(one, other)| (one - other).abs() < 0.01), "{before:?} {after:?}");
    bench.refuse(
        1,
        &[
            ("export --weights run --out run.onnx --image-size 64", &["by torchvision's rules"]),
            ("convert run run.pth --to official", &["by torchvision's rules"]),
        ],
    );
}

#[test]
fn what_files_of_others_do_not_say_is_said() {
    let bench = cells();
    bench.write("mmdetection.pth", std::fs::read(fixture("mmdetection.pth")).unwrap());
    let line = "detect cells/val/00.png --weights mmdetection.pth --out out";
    bench.run(line).success().stderr(contains("mean and standard deviation"));
}
