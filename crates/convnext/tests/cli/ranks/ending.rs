//! Jobs that end early, all ranks of them, with one message.

use std::time::Duration;

use super::job::{Job, NETWORKS};
use super::trainings::{PRETRAIN, SEGMENT, check_newest_checkpoint, data};
use crate::cli::bench::Bench;

/// A training that does not end by itself.
fn long() -> String {
    PRETRAIN.replace("--epochs 3", "--epochs 4000") + " --out run"
}

/// Starts a long training on so many ranks, and waits until it has made steps.
fn start<'b>(bench: &'b Bench, size: usize, more: &str) -> Job<'b> {
    let mut job = Job::start(bench, size, NETWORKS[0], &format!("{} {more}", long()));
    job.wait_for_steps("run");
    job
}

#[test]
fn all_ranks_are_gone_soon_after_the_death_of_one() {
    // The kernel out of memory, and a panic, which aborts.
    for (number, name) in [(0, "-KILL"), (1, "-KILL"), (1, "-ABRT")] {
        let bench = data();
        let mut job = start(&bench, 3, "");
        assert!(job.signal_rank(number, name));
        assert!(!job.end_promptly().success(), "{name} of rank {number}");
        check_newest_checkpoint(&bench, "run");
    }
}

#[test]
fn all_ranks_are_gone_soon_after_the_death_of_the_launcher() {
    let bench = data();
    let mut job = start(&bench, 3, "");
    job.signal("-KILL");
    assert!(!job.end_promptly().success());
    check_newest_checkpoint(&bench, "run");
}

#[test]
fn a_rank_that_stands_still_ends_the_job() {
    let bench = data();
    // Three seconds.
    let mut job = start(&bench, 3, "--stall-timeout 0.05");
    assert!(job.signal_rank(1, "-STOP"));
    assert!(!job.end(Duration::from_secs(15)).success());
    assert!(job.said().contains("--stall-timeout"), "{}", job.said());
    check_newest_checkpoint(&bench, "run");
}

#[test]
fn an_image_that_one_rank_cannot_read_ends_all_with_one_message() {
    let bench = data();
    bench.draw_truncated("photos/train/checkers/99.jpg");
    let mut job = Job::start(&bench, 3, NETWORKS[0], &format!("{} --strict", long()));
    assert_eq!(job.finish().code(), Some(65), "{}", job.said());
    let said = job.said();
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(said.contains("error: rank ") && said.contains("99.jpg"), "{said}");
}

#[test]
fn errors_of_all_ranks_are_said_once() {
    let bench = data();
    for (line, code, words) in [
        ("pretrain --data nothing --model micro --out run", 65, "nothing"),
        ("pretrain --data photos --epochs x", 2, "--epochs"),
        ("report run", 2, "--threads"),
        ("quickstart --out run", 65, "without a launcher"),
        (&PRETRAIN.replace("--accumulate 12", "--accumulate 2 --out run"), 65, "--accumulate"),
        (&format!("{PRETRAIN} --dry-run --out run"), 65, "--dry-run"),
        (&format!("{PRETRAIN} --out streets"), 65, "streets"),
        (
            &SEGMENT.replace("--accumulate 12", "--accumulate 4 --sync-batch-norm --out run"),
            65,
            "multiple of the ranks",
        ),
        // Bug: the backbone's running statistics came from the first rank alone.
        (&format!("{SEGMENT} --sync-batch-norm --response-norm bn --out run"), 65, "--response-norm"),
    ] {
        let mut job = Job::start(&bench, 3, NETWORKS[0], line);
        assert_eq!(job.finish().code(), Some(code), "{line}: {}", job.said());
        let said = job.said();
        assert!(said.matches("error: ").count() == 1 && said.contains(words), "{line}: {said}");
    }
}

#[test]
fn a_signal_saves_and_stops_all_ranks() {
    let bench = data();
    let mut job = start(&bench, 3, "");
    // The scheduler's signal comes to all, and more than once.
    job.signal("-USR1");
    job.signal("-USR1");
    assert_eq!(job.finish().code(), Some(75), "{}", job.said());
    assert_eq!(job.said().matches("stopped after step").count(), 1, "{}", job.said());
    check_newest_checkpoint(&bench, "run");

    // One rank that is asked is enough, and a second signal ends nothing at once.
    let mut job = Job::start(&bench, 2, NETWORKS[0], &format!("{} --resume", long()));
    std::thread::sleep(Duration::from_secs(3));
    assert!(job.is_running());
    assert!(job.signal_rank(1, "-INT") && job.signal_rank(1, "-INT"));
    assert_eq!(job.finish().code(), Some(130), "{}", job.said());
}
