use super::{METRICS, PRETRAINING, report, run};

const LOSSES: &str = r#"{"epoch":0,"step":2,"epochs":1.0,"train_loss":0.9195}
{"epoch":1,"step":4,"epochs":2.0,"train_loss":0.99}
"#;

/// Runs of earlier versions do not say it in their summary.
#[test]
fn a_finished_run_whose_loss_rose_and_stayed_high_is_called_unstable() {
    let summary = r#"{"steps":4,"epochs":2,"images":9,"seconds":7.5,"last":{"epoch":1,"step":4,"train_loss":0.99},"corrupt":[]}"#;
    let unfinished = [("config.toml", PRETRAINING), ("metrics.jsonl", LOSSES)];
    let [first, second] = unfinished;
    let page = report(&run(&[first, second, ("summary.json", summary)]));
    let expected = "unstable: the mean training loss rose from 0.9195 in epoch 1 to 0.9900 in epoch 2";
    assert!(page.contains(expected), "{page}");
    // It may still come down again.
    assert!(!report(&run(&unfinished)).contains("unstable"));
    let falls = LOSSES.replace("0.99", "0.7");
    let page = report(&run(&[first, ("metrics.jsonl", falls.as_str()), ("summary.json", summary)]));
    assert!(!page.contains("unstable"));
}

/// Bug: a run that had diverged was reported as one in progress, with the time that was left.
#[test]
fn a_run_that_diverged_is_not_in_progress() {
    let record = r#"{"version":"0.1.0","command":[],"started":0,"total_steps":40,"images":1,"validation_images":0,
        "machine":{"processor":"Z80","threads":1,"device":"CPU","instruction_set":null,"precision":"f32"}}"#;
    let metrics = format!("{METRICS}{}\n", r#"{"step":3,"diverged":"the loss (NaN)"}"#);
    let files = [("config.toml", PRETRAINING), ("metrics.jsonl", metrics.as_str()), ("run.json", record)];
    let runs = [run(&files), run(&files[..1])];
    let state = "diverged at step 3: the loss (NaN) is not finite";
    let page = report(&runs[0]);
    assert!(page.contains(&format!("<dt>state</dt><dd>{state}; 2 of 40 steps made</dd>")), "{page}");
    let folders = runs.each_ref().map(|run| run.path().to_owned());
    let comparison = super::compare_runs(&folders).unwrap();
    assert_eq!(comparison.runs[0].diverged.as_deref(), Some(state));
    let (_, rows) = comparison.table();
    assert_eq!([&rows[0][1], &rows[1][1]], ["1 (diverged)", "0 (not finished)"]);
}
