//! Jobs that end when a rank does not answer any more.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::ranks::Ranks;

/// Looks at the clock within the time that is allowed.
const LOOKS: u32 = 20;

/// The time of the last operation of some ranks.
#[derive(Debug)]
struct Clock {
    start: Instant,
    /// Milliseconds from the start to the end of the last operation.
    ended: AtomicU64,
}

impl Clock {
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn since_last(&self) -> Duration {
        Duration::from_millis(self.milliseconds().saturating_sub(self.ended.load(Ordering::Relaxed)))
    }
}

impl Ranks {
    /// The same ranks, watched by a thread. MPI knows no timeout: a machine that stands still is noticed by nobody, and the
    /// others wait for it for ever. When no operation ended for `timeout`, it calls `stalled` once, which should end
    /// the process, and with it the job. That thread asks nothing of the ranks. It ends when the last copy of them is gone.
    #[must_use]
    pub fn watched(self, timeout: Duration, stalled: impl FnOnce(Duration) + Send + 'static) -> Self {
        let clock = Arc::new(Clock { start: Instant::now(), ended: AtomicU64::new(0) });
        let seen = Arc::downgrade(&clock);
        thread::spawn(move || watch(&seen, timeout, stalled));
        self.noted(move |_| clock.ended.store(clock.milliseconds(), Ordering::Relaxed))
    }
}

fn watch(clock: &Weak<Clock>, timeout: Duration, stalled: impl FnOnce(Duration)) {
    loop {
        thread::sleep(timeout / LOOKS);
        let Some(clock) = clock.upgrade() else { return };
        let since_last = clock.since_last();
        if since_last >= timeout {
            return stalled(since_last);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(400);

    #[test]
    fn ranks_that_stand_still_are_noticed_once() {
        let (send, stalled) = channel();
        let ranks = Ranks::default().watched(TIMEOUT, move |time| send.send(time).unwrap());
        // At work for longer than the timeout.
        for _ in 0..12 {
            thread::sleep(TIMEOUT / 8);
            ranks.all_gather_bytes(&[1], &mut [0]);
            assert!(stalled.try_recv().is_err());
        }
        let time = stalled.recv_timeout(20 * TIMEOUT).unwrap();
        assert!(time >= TIMEOUT, "{time:?}");
        // The thread is gone, and what it would have called.
        assert_eq!(stalled.recv_timeout(TIMEOUT), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn nobody_watches_ranks_that_are_gone() {
        let (send, stalled) = channel();
        let ranks = Ranks::default().watched(TIMEOUT, move |time| send.send(time).unwrap());
        drop(ranks);
        assert_eq!(stalled.recv_timeout(20 * TIMEOUT), Err(RecvTimeoutError::Disconnected));
    }

    #[test]
    fn watched_ranks_are_the_same_ranks() {
        let sums = crate::run_threads(2, |ranks| {
            let ranks = ranks.watched(Duration::from_secs(600), |_| ());
            let mut word = [if ranks.is_first() { 7 } else { 0 }];
            ranks.broadcast(&mut word, 0);
            let mut sum = [ranks.rank() as f32 + f32::from(word[0])];
            ranks.all_reduce_sum(&mut sum);
            let mut received = [0.0; 2];
            ranks.exchange(&[sum[0], 10.0 * sum[0]], &mut received);
            let mut all = [0.0; 2];
            ranks.all_gather_values(&[received[0]], &mut all);
            (ranks.size(), ranks.host(), all)
        });
        assert_eq!(sums[1], (2, "thread 1".to_owned(), [15.0, 150.0]));
        assert_eq!(sums[0].2, sums[1].2);
    }
}
