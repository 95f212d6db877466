//! A training that is stopped in every way and goes on with another number of ranks each time.

use std::thread::sleep;
use std::time::Duration;

use super::job::{Job, NETWORKS};
use super::trainings::{PRETRAIN, check_newest_checkpoint, check_same, data};
use crate::cli::bench::Bench;

/// How often it is stopped.
const STOPS: usize = 20;

/// Longer than the others, so that it takes many stops.
fn line() -> String {
    PRETRAIN.replace("--epochs 3", "--epochs 40")
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn a_training_stopped_in_every_way_ends_with_the_bits_of_one_process() {
    let bench = data();
    bench.succeed(&format!("{} --threads 1 --out alone", line()));
    let (mut random, mut stops, mut round) = (Random(26), 0, 0);
    // A fast machine may end a round before it was stopped often enough.
    while stops < STOPS {
        let out = format!("stopped-{round}");
        stops += stop_until_it_ends(&bench, &out, &mut random);
        check_same(&bench, ["alone", &out]);
        round += 1;
        assert!(round < 20, "{stops} stops only");
    }
}

/// Stops the run at random moments and goes on with it, until it ends by itself; how often it was stopped.
fn stop_until_it_ends(bench: &Bench, out: &str, random: &mut Random) -> usize {
    for stops in 0..200 {
        let size = [1, 2, 3, 4, 6][random.below(5)];
        let network = NETWORKS[random.below(2)];
        let mut job = Job::start(bench, size, network, &format!("{} --resume --out {out}", line()));
        // Longer and longer, so that the slowest machine ends some day.
        sleep(Duration::from_millis(1000 + random.below(1500) as u64 + 20 * stops as u64));
        let rank = random.below(size);
        let way = random.below(4);
        if job.is_running() {
            match way {
                0 => drop(job.signal_rank(rank, "-KILL")),
                1 => job.signal("-KILL"),
                2 => job.signal("-TERM"),
                _ => job.signal("-USR1"),
            }
        }
        let status = job.finish();
        if status.success() {
            return stops;
        }
        // Saved where it was asked to, or killed.
        let is_expected = way != 3 || status.code() == Some(75) || !job.said().contains("ranks on");
        assert!(is_expected, "{size} ranks, way {way}: {status}\n{}", job.said());
        check_newest_checkpoint(bench, out);
    }
    panic!("{out} never ends");
}
