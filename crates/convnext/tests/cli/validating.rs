//! Validations within an epoch and over several, through the program.

use predicates::str::contains;
use serde_json::Value;

use super::bench::Bench;

/// 24 images: six steps an epoch.
const TRAIN: &str = "finetune --data labelled --init none --model micro --recipe plain --image-size 32 --batch-size 4 \
                     --epochs 2 --set training.ema=0.5";

fn labelled() -> Bench {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 8);
    bench.draw_classes("labelled/val", 4);
    bench
}

/// Every report of an epoch that has a measured accuracy: its step, and how many epochs were made.
fn measured(bench: &Bench, run: &str) -> Vec<(u64, f64)> {
    let text = bench.read_text(&format!("{run}/metrics.jsonl"));
    let lines = text.lines().map(|line| line.parse::<Value>().unwrap());
    let with_accuracy = lines.filter(|line| line.get("validation_top1").is_some());
    with_accuracy.map(|line| (line["step"].as_u64().unwrap(), line["epochs"].as_f64().unwrap())).collect()
}

/// Places on the horizontal axis of the first curve under a title.
fn places(page: &str, title: &str) -> Vec<f64> {
    let (_, figure) = page.split_once(&format!("<figcaption>{title}</figcaption>")).unwrap();
    let (_, curve) = figure.split_once("stroke-width=\"2\" points=\"").unwrap();
    let (points, _) = curve.split_once('"').unwrap();
    points.split_whitespace().map(|point| point.split_once(',').unwrap().0.parse().unwrap()).collect()
}

#[test]
fn a_curve_has_its_points_where_the_weights_were_measured() {
    let bench = labelled();
    bench
        .run(&format!("{TRAIN} --set training.validate_every.steps=4 --out run -v"))
        .success()
        .stderr(contains("epoch 1/2, step 4: train loss"))
        .stderr(contains("epoch 2/2: train loss"));
    let measured = measured(&bench, "run");
    assert_eq!(measured, [(4, 4.0 / 6.0), (8, 8.0 / 6.0), (12, 2.0)]);
    let page = bench.read_text("run/report.html");
    let places = places(&page, "Top-1 on the validation images");
    // The second of three points, from the first at 0 to the last at 1.
    let along = (places[1] - places[0]) / (places[2] - places[0]);
    assert!(places.len() == 3 && (along - 0.5).abs() < 0.01, "{places:?}");

    let summary: Value = bench.read_text("run/summary.json").parse().unwrap();
    let best = &summary["best"];
    let said = format!("step {} in epoch {}", best["step"], best["epoch"].as_u64().unwrap() + 1);
    assert!(page.contains(&said), "'{said}' is missing");
    assert!(bench.exists(&format!("run/{}", best["checkpoint"].as_str().unwrap())), "{best}");
    let line = "evaluate --data labelled --weights run/weights-best.safetensors --json";
    assert_eq!(bench.json(line)["top1"], best["value"]);
}

#[test]
fn the_time_between_validations_is_given_in_steps_or_epochs() {
    let bench = labelled();
    for (every, expected) in
        [("epochs=0.5", &[3, 6, 9, 12][..]), ("steps=9", &[9, 12]), ("steps=1000", &[12])]
    {
        bench.succeed(&format!("{TRAIN} --set training.validate_every.{every} --out {every}"));
        let steps: Vec<u64> = measured(&bench, every).into_iter().map(|(step, _)| step).collect();
        assert_eq!(steps, expected, "{every}");
    }
    let refused = "validate_every is 0, but must be above 0";
    bench.refuse(
        1,
        &[
            (&format!("{TRAIN} --set training.validate_every.steps=0 --out none"), &[refused]),
            (&format!("{TRAIN} --set training.validate_every={{epochs=0}} --out none"), &[refused]),
            (&format!("{TRAIN} --set training.validate_every=4 --out none"), &["give { steps = N }"]),
            (
                &format!("{TRAIN} --resume --set training.validate_every.steps=8 --out steps=9"),
                &["recipe.training.validate_every.steps was 9, is 8"],
            ),
        ],
    );
}
