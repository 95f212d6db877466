use super::{PRETRAINING, report, run};

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
