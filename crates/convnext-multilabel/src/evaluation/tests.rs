//! Measures against scikit-learn.

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Golden {
    logits: Vec<Vec<f32>>,
    sets: Vec<Vec<usize>>,
    loss: f64,
    average_precisions: Vec<f64>,
    mean_average_precision: f64,
    f1: f64,
    class_scores: Vec<[f64; 3]>,
    macro_average: [f64; 3],
}

fn close_scores(found: ClassScores, expected: [f64; 3]) {
    for (found, expected) in [found.precision, found.recall, found.f1].into_iter().zip(expected) {
        close(found.unwrap(), expected);
    }
}

fn close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} instead of {expected}");
}

#[test]
fn measures_are_those_of_scikit_learn() {
    let golden: Golden = serde_json::from_str(include_str!("../../tests/goldens/multi_label.json")).unwrap();
    let images = golden.sets.len();
    let answers = (0..golden.logits[0].len()).map(|class| {
        (0..images).map(|image| (golden.logits[image][class], golden.sets[image].contains(&class))).collect()
    });
    let classes = ClassNames(["a", "b", "c", "d"].map(str::to_owned).into());
    let result = judge_all(images, &classes, answers.collect());
    for (class, expected) in result.classes.iter().zip(&golden.average_precisions) {
        close(class.average_precision.unwrap(), *expected);
    }
    for (class, expected) in result.classes.iter().zip(golden.class_scores) {
        close_scores(class.scores, expected);
    }
    close_scores(result.macro_average, golden.macro_average);
    assert_eq!((result.classes[3].average_precision, result.classes[3].images), (None, 0));
    close(result.metrics()[0].value.unwrap(), golden.mean_average_precision);
    close(result.f1.unwrap(), golden.f1);
    close(result.loss.unwrap(), golden.loss);
}

#[test]
fn constant_outputs_are_worth_the_share_of_the_class() {
    let (_, class) = judge("a".into(), vec![(0.5, true), (0.5, false), (0.5, false), (0.5, true)]);
    assert_eq!((class.average_precision, class.found, class.answered), (Some(0.5), 2, 4));
}

#[test]
fn what_was_not_measured_is_not_a_number_by_accident() {
    let classes = ClassNames(vec!["a".into()]);
    let measured = ValidationResult::from(judge_all(0, &classes, vec![Vec::new()]));
    assert_eq!(measured.kind, "multi-label");
    assert!(measured.metrics.iter().all(|metric| metric.value.is_none()), "{measured:?}");
}
