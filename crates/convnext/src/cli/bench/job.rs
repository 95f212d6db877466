//! Speed of a job whose ranks share each step, and what of it goes into telling each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use convnext::distributed::Ranks;
use serde::Serialize;

/// Speed of the ranks together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct JobSpeed {
    ranks: usize,
    /// Their machines, each once.
    hosts: Vec<String>,
    /// Of all ranks, by the median step of rank 0.
    images_per_second: f64,
    /// Mean share of a step that goes into communication, over all ranks: sending, receiving and waiting for each other.
    share_of_communication: f64,
    /// Speed of the job over that of as many processes that tell each other nothing: what is left of a step.
    efficiency: f64,
}

/// Time of the operations of ranks.
#[derive(Debug, Default, Clone)]
pub(super) struct CommunicationClock(Arc<AtomicU64>);

impl CommunicationClock {
    /// The same ranks, whose operations this clock adds up.
    pub(super) fn of(&self, ranks: &Ranks) -> Ranks {
        let nanoseconds = Arc::clone(&self.0);
        let add = move |time: Duration| {
            nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
        };
        if ranks.is_alone() { ranks.clone() } else { ranks.clone().noted(add) }
    }

    /// Seconds so far.
    pub(super) fn seconds(&self) -> f64 {
        1e-9 * self.0.load(Ordering::Relaxed) as f64
    }
}

impl JobSpeed {
    /// Speed of steps in each of which every rank takes so many images; `communication` and `steps` are the seconds of all
    /// steps on this rank. `None` for one process.
    ///
    /// # Errors
    /// When a rank ended.
    pub(super) fn of(
        ranks: &Ranks,
        images_per_second: f64,
        communication: f64,
        steps: f64,
    ) -> anyhow::Result<Option<Self>> {
        if ranks.is_alone() {
            return Ok(None);
        }
        let all: Vec<(String, f64)> = ranks.all_gather(anyhow::Ok((ranks.host(), communication / steps)))?;
        let share = all.iter().map(|(_, share)| share).sum::<f64>() / all.len() as f64;
        let mut hosts: Vec<String> = all.into_iter().map(|(host, _)| host).collect();
        hosts.sort();
        hosts.dedup();
        Ok(Some(Self {
            ranks: ranks.size(),
            hosts,
            images_per_second: images_per_second * ranks.size() as f64,
            share_of_communication: share,
            efficiency: 1.0 - share,
        }))
    }

    /// The speed in a line.
    pub(super) fn in_words(&self) -> String {
        format!(
            "{:.2} images a second of {} ranks on {}; {:.1} % of a step is communication, efficiency {:.1} %",
            self.images_per_second,
            self.ranks,
            self.hosts.join(", "),
            100.0 * self.share_of_communication,
            100.0 * self.efficiency
        )
    }
}

#[cfg(test)]
mod tests {
    use convnext::distributed::run_threads;

    use super::*;

    #[test]
    fn operations_count_as_communication() {
        let found = run_threads(2, |ranks| {
            let clock = CommunicationClock::default();
            let ranks = clock.of(&ranks);
            let before = clock.seconds();
            ranks.all_gather_bytes(&[1], &mut [0; 2]);
            [before, clock.seconds()]
        });
        assert!(found.iter().all(|[before, after]| *before == 0.0 && *after > 0.0), "{found:?}");
    }

    #[test]
    fn the_speed_of_a_job_is_that_of_all_ranks() {
        let found = run_threads(2, |ranks| {
            let communication = if ranks.is_first() { 1.5 } else { 0.5 };
            JobSpeed::of(&ranks, 10.0, communication, 4.0).unwrap().unwrap()
        });
        assert_eq!(found[0], found[1]);
        let JobSpeed { ranks, ref hosts, images_per_second, share_of_communication, efficiency } = found[0];
        assert_eq!((ranks, images_per_second, share_of_communication, efficiency), (2, 20.0, 0.25, 0.75));
        assert_eq!(*hosts, ["thread 0", "thread 1"]);
        assert_eq!(JobSpeed::of(&Ranks::default(), 1.0, 0.0, 1.0).unwrap(), None);
    }
}
