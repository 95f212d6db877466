//! Unstable trainings, and analyses of several networks, with a runner that trains nothing.

use convnext_study::{Ending, Study, StudyOutcome};

use crate::toy::{Rule, failure, options};

const NETWORKS: &str = r#"
title = "Networks"
question = "Do they differ?"
models = ["micro"]
metrics = [{ name = "/models/*/layers/*/d", label = "distance" }]
epochs = { pretraining = 8 }
runs = [
  { name = "plain", stage = "pretraining" },
  { name = "rising", stage = "pretraining", model = "v1-{model}" },
  { name = "features", stage = "analysis", from = ["rising", "plain"] },
]
rows = [
  { name = "V1", run = "features", of = "rising" },
  { name = "V2", run = "features", of = "plain" },
]
"#;

const RISING: &str = r#"
title = "Rising"
question = "Is it stable?"
models = ["micro"]
metrics = [{ name = "top1", label = "top-1", percent = true }, { name = "pretraining_hours", label = "hours" }]
baseline = "plain"
epochs = { pretraining = 8, finetuning = 2 }
runs = [
  { name = "rising", stage = "pretraining" },
  { name = "tuned", stage = "finetuning", from = "rising" },
  { name = "plain", stage = "finetuning" },
]
rows = [{ name = "unsure", run = "tuned" }, { name = "plain", run = "plain" }]
"#;

fn ran(text: &str, rule: Rule, seeds: u64) -> StudyOutcome {
    let study: Study = toml::from_str(text).unwrap();
    crate::ran(&study, rule, &options(&format!("seeds = {seeds}")))
}

#[test]
fn what_starts_from_an_unstable_training_is_marked() {
    let outcome = ran(RISING, |_| Ok(0.5), 1);
    let table = outcome.table();
    // Hours are those of the training, whatever became of it.
    assert_eq!(table.rows[0][1..4], ["50.00, unstable", "0.000694", "+0.00"]);
    assert_eq!(table.rows[1][1], "50.00");
    assert!(outcome.legend().contains("Unstable: of the run"), "{}", outcome.legend());
    let rising = outcome.results[0].as_ref().unwrap();
    let line = serde_json::to_value(rising).unwrap();
    assert_eq!((&line["run"], &line["unstable"]["lowest"]["loss"]), (&"rising-seed0".into(), &0.25.into()));
    // One of two seeds.
    let failing: Rule = |run| match (run.name.as_str(), run.seed) {
        ("tuned", 1) => Err(failure("no space", false)),
        _ => Ok(0.5),
    };
    assert_eq!(ran(RISING, failing, 2).table().rows[0][1], "50.00, unstable, 1 failed");
}

#[test]
fn rows_show_the_networks_of_one_analysis() {
    let outcome = ran(NETWORKS, |_| Ok(0.5), 1);
    let analysis = outcome.plan.last().unwrap();
    let words = analysis.arguments.join(" ");
    let weights = |run: &str| format!("runs/{run}-seed0/weights.safetensors");
    let first = words.find(&weights("rising")).unwrap();
    assert!(
        first < words.find(&weights("plain")).unwrap() && words.matches("--weights").count() == 1,
        "{words}"
    );
    assert_eq!((analysis.needs.as_slice(), outcome.plan.len()), (&[1, 0][..], 3));
    // The mean of 0.5 and 0.25, and half of both.
    let table = outcome.table();
    assert_eq!([&table.rows[0][1], &table.rows[1][1]], ["0.375, unstable", "0.188"]);
    let plots = outcome.plots();
    let by_layer = plots.iter().find(|plot| plot.title.ends_with("by layer")).unwrap();
    assert_eq!(by_layer.lines[0].1, [(1.0, 0.5), (2.0, 0.25)]);
    assert_eq!(by_layer.lines[1].1, [(1.0, 0.25), (2.0, 0.125)]);
}

/// Bug: the layers after one without a value were drawn a place too early, and nothing told that the mean was without it.
#[test]
fn layers_without_a_value_keep_their_places_and_are_counted() {
    let mut outcome = ran(NETWORKS, |_| Ok(0.5), 2);
    let analyses = outcome.results.iter_mut().flatten().filter(|result| result.name == "features");
    for (result, first) in analyses.zip([None, Some(0.5)]) {
        let Ending::Finished { values, .. } = &mut result.ending else { panic!("it ended") };
        values.insert("/models/0/layers/*/d".to_owned(), vec![first, None, Some(0.3)]);
        values.insert("/models/1/layers/*/d".to_owned(), vec![None, None]);
    }
    let plots = outcome.plots();
    let by_layer = plots.iter().find(|plot| plot.title.ends_with("by layer")).unwrap();
    assert_eq!(by_layer.lines[0].1, [(1.0, 0.5), (3.0, 0.3)]);
    assert!(by_layer.lines[1].1.is_empty());
    let table = outcome.table();
    // A mean of 0.3 and 0.4.
    assert_eq!(table.rows[0][1], "0.350 ± 0.071, unstable, 3 of 6 layers without a value");
    assert_eq!(table.rows[1][1], "not measured, 4 of 4 layers without a value");
    assert!(outcome.legend().contains("Layers without a value, such as those"), "{}", outcome.legend());
}

#[test]
fn an_analysis_does_without_a_network_that_diverged() {
    let diverging: Rule = |run| match run.name.as_str() {
        "rising" => Err(failure("training has diverged", true)),
        _ => Ok(0.5),
    };
    let outcome = ran(NETWORKS, diverging, 1);
    let table = outcome.table();
    assert_eq!([&table.rows[0][1], &table.rows[1][1]], ["diverged", "0.375"]);
    let analysis = outcome.results[2].as_ref().unwrap();
    assert_eq!(analysis.without, ["rising"]);
    assert!(!analysis.command.contains("rising") && analysis.command.contains("runs/plain-seed0/weights"));
    // Without any there is nothing to look at.
    let none: Rule = |_| Err(failure("training has diverged", true));
    let table = ran(NETWORKS, none, 1).table();
    assert_eq!([&table.rows[0][1], &table.rows[1][1]], ["diverged", "diverged"]);
    // One that failed is tried again, and the analysis waits for it.
    let failing: Rule = |run| match run.name.as_str() {
        "rising" => Err(failure("no space", false)),
        _ => Ok(0.5),
    };
    let table = ran(NETWORKS, failing, 1).table();
    assert_eq!([&table.rows[0][1], &table.rows[1][1]], ["failed", "not run"]);
}

#[test]
fn hours_are_those_of_the_row_s_own_network() {
    let text =
        NETWORKS.replace("metrics = [", "metrics = [{ name = \"pretraining_hours\", label = \"hours\" }, ");
    let twice = "\"plain\", stage = \"pretraining\", arguments = [\"--steps\", \"8\"]";
    let text = text.replace("\"plain\", stage = \"pretraining\"", twice);
    let table = ran(&text, |_| Ok(0.5), 1).table();
    assert_eq!([&table.rows[0][1], &table.rows[1][1]], ["0.000694", "0.00139"]);
}

#[test]
fn a_row_alone_needs_its_own_network_alone() {
    let study: Study = toml::from_str(NETWORKS).unwrap();
    let outcome = crate::ran(&study, |_| Ok(0.5), &options("seeds = 1\nonly = ['V2']"));
    assert_eq!(outcome.plan.iter().map(|run| run.name.as_str()).collect::<Vec<_>>(), ["plain", "features"]);
    assert_eq!(outcome.table().rows[1][1], "0.375");
}
