use std::collections::BTreeMap;

use convnext_core::ClassNames;
use convnext_detect::{
    DetectedSample, DetectionEvaluation, DetectionScorer, DetectionScores, ImageErrors, PrecisionRecall,
};
use convnext_train::ValidationResult;

use super::{IMAGE, report, run};
use crate::{EvaluationPage, write_evaluation};

const CONFIG: &str = "task = 'detection'\n[model]\nname = 'atto'\n[head]\nmasks = true\n";
const STEPS: &str = r#"{"step":1,"epoch":0,"loss":3.0,"loss_parts":{"box":1.0,"rpn_<class>":2.0},"learning_rate":0.1,"images_per_second":3.0}
{"step":2,"epoch":0,"loss":1.5,"loss_parts":{"box":0.0,"rpn_<class>":1.5},"learning_rate":0.1,"images_per_second":3.0}
"#;

/// An evaluation of boxes, with an error of each kind and one image.
fn evaluation(classes: &[&str]) -> DetectionEvaluation {
    let names = ClassNames(classes.iter().map(|&name| name.to_owned()).collect());
    let mut evaluation = DetectionScorer::new(names).finish();
    evaluation.boxes = DetectionScores { ap: Some(0.25), ap50: Some(0.5), ..DetectionScores::default() };
    evaluation.curves.boxes = PrecisionRecall {
        at_50: vec![1.0, 0.5, 0.0],
        at_75: vec![0.5, 0.25, 0.0],
        mean: vec![0.5, 0.25, 0.0],
    };
    evaluation.confusion[0][0] = 3;
    evaluation.confusion[0][classes.len()] = 1;
    evaluation.errors =
        ImageErrors { right: 3, wrong_class: 0, badly_placed: 2, duplicates: 0, background: 1, missed: 1 };
    let (image, thumbnail) = ("<a>.png".to_owned(), Some("images/worst-01.png".to_owned()));
    evaluation.worst = vec![DetectedSample { image, f1: 0.6, errors: evaluation.errors, thumbnail }];
    evaluation
}

fn page_of_run(evaluation: DetectionEvaluation) -> String {
    let file = serde_json::to_string(&ValidationResult::from(evaluation)).unwrap();
    let folder = run(&[("config.toml", CONFIG), ("metrics.jsonl", STEPS), ("evaluation.json", &file)]);
    std::fs::write(folder.path().join("images/worst-01.png"), IMAGE).unwrap();
    report(&folder)
}

fn check(page: &str, words: &[&str]) {
    for words in words {
        assert!(page.contains(words), "'{words}' is missing");
    }
}

#[test]
fn a_detector_shows_scores_curves_confusion_errors_and_images() {
    let boxes = evaluation(&["<cell>", "car"]);
    let masks = Some(DetectionScores { ap: Some(0.125), ..DetectionScores::default() });
    let mut both = boxes.clone();
    both.curves.masks = Some(boxes.curves.boxes.clone());
    let page = page_of_run(DetectionEvaluation { masks, ..both });
    check(
        &page,
        &[
            "Supervised training run of atto",
            "<dd>object detection and instance segmentation</dd>",
            "<th scope=\"row\">AP</th><td>25.0 %</td><td>12.5 %</td>",
            "<th scope=\"row\">APl</th><td>-</td><td>-</td>",
            "<th scope=\"row\">&lt;cell&gt;</th><td>0</td>",
            "<figcaption>By boxes</figcaption>",
            "<figcaption>By masks</figcaption>",
            "at an IoU of 0.5 and a score of 0.5",
            ">3<br>75 %</td><td style=\"background: rgba(var(--mark), 0.00)\"></td>",
            "<th scope=\"row\">background</th><td style",
            "<th scope=\"row\">badly placed</th><td>2</td><td>33.3 %</td>",
            "<th scope=\"row\">missed</th><td>1</td><td>25.0 %</td>",
            "F1 60.0 %: 3 right, 2 badly placed, 1 background, 1 missed; <span class=\"quiet\">&lt;a&gt;.png</span>",
            "alt=\"&lt;a&gt;.png: image, truth and detections\"",
        ],
    );
    assert!(!page.contains("<cell>") && !page.contains("Best images"));
    let page = page_of_run(boxes);
    assert!(page.contains("By boxes") && !page.contains("By masks") && !page.contains("mask AP"));
}

#[test]
fn parts_of_the_loss_have_a_chart() {
    let page = page_of_run(evaluation(&["cell"]));
    let chart = page.split("<figcaption>Parts of the training loss</figcaption>").nth(1).unwrap();
    let chart = chart.split("</figure>").next().unwrap();
    check(chart, &[" box</li>", " rpn_&lt;class&gt;</li>", "loss, logarithmic"]);
    // A part of 0 has no logarithm: its curve is the one point that is left.
    assert_eq!((chart.matches("<circle").count(), chart.matches("<polyline").count() > 0), (1, true));
    let plain = run(&[("config.toml", CONFIG), ("metrics.jsonl", super::METRICS)]);
    assert!(!report(&plain).contains("Parts of the training loss"));
}

#[test]
fn confusions_of_many_detected_classes_are_listed() {
    let names: Vec<String> = (0..40).map(|class| format!("c{class}")).collect();
    let mut many = evaluation(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for class in 0..40 {
        many.confusion[40][class] = class as u64;
    }
    let page = page_of_run(many);
    check(&page, &["<th scope=\"row\">background</th><td class=\"text\">c39</td><td>39</td><td>5.0 %</td>"]);
    assert_eq!(page.matches("<th scope=\"row\">background</th><td class=\"text\">").count(), 30);
}

#[test]
fn an_evaluation_of_a_detector_has_a_page_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    let page = EvaluationPage {
        facts: vec![("weights", "w".to_owned())],
        result: evaluation(&["cell"]).into(),
        images: BTreeMap::from([("<a>.png".to_owned(), IMAGE.to_vec())]),
    };
    write_evaluation(&path, &page).unwrap();
    let page = std::fs::read_to_string(path).unwrap();
    check(&page, &["<h2>Confusion</h2>", "<h2>Worst images</h2>", "data:image/png;base64,"]);
}
