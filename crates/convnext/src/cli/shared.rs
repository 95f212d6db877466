//! The set-up of commands whose work the ranks of a job share.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use convnext::core::counted;
use convnext::distributed::{Ranks, unconnected_processes};
use convnext::train::{check_program, duration_in_words};
use serde::{Deserialize, Serialize};

use super::ending::speak_in_turn;
use super::launched::Launched;
use super::length::minutes_above_zero;
use super::machine::{Machine, set_up};
use super::output::print_progress;
use super::progress::TrainingProgress;
use super::signals::Signals;
use super::values::MachineArguments;

/// Arguments about the other ranks of a job.
#[derive(Debug, Args)]
pub(crate) struct RankArguments {
    /// End a job of several machines when its ranks have not met for so long, because one stands still [default: never]
    #[arg(long, value_name = "MINUTES", value_parser = minutes_above_zero)]
    stall_timeout: Option<Duration>,
}

/// What a command computes with, and the ranks that it shares its work with.
pub(crate) struct SharedMachine {
    pub(crate) machine: Machine,
    pub(crate) ranks: Ranks,
    /// `true` where progress is not shown.
    pub(crate) quiet: bool,
    is_launched: bool,
    /// `true` for a training, which goes on with --resume where its job ended; whoever watches the ranks reads it.
    is_training: Arc<AtomicBool>,
    /// Caught from the beginning on.
    signals: Option<Signals>,
}

impl SharedMachine {
    /// Gets ready on all ranks, and shows them once, where there are several.
    pub(crate) fn set_up(
        machine: &MachineArguments,
        arguments: &RankArguments,
        launched: &Launched,
        quiet: bool,
    ) -> anyhow::Result<Self> {
        if let Some(processes) = unconnected_processes() {
            log::warn!(
                "srun started {processes} processes that do not know of each other, so that each does the whole work; to share \
                 it, start them with srun --mpi=pmix"
            );
        }
        let ranks = launched.ranks().clone();
        let is_training = Arc::new(AtomicBool::new(false));
        let ranks = match arguments.stall_timeout {
            Some(timeout) if !ranks.is_alone() => watched(ranks, timeout, Arc::clone(&is_training)),
            _ => ranks,
        };
        let machine = ranks.meet(set_up(machine))?;
        let here = RankPlace::of_this_process(ranks.host(), machine.threads);
        let all = ranks.all_gather(anyhow::Ok(here))?;
        if ranks.is_first() && !ranks.is_alone() {
            if !quiet {
                print_progress(&in_words(&all));
            }
            if let Some(warning) = warning_of_bound_ranks(&all) {
                log::warn!("{warning}");
            }
        }
        check_program(&ranks, machine.precision)?;
        let is_launched = launched.is_launched();
        Ok(Self { machine, ranks, quiet, is_launched, is_training, signals: None })
    }

    /// The work of each rank before they share any, such as opening the data: on rank 0 first, whose downloads and indices
    /// are there for the others.
    pub(crate) fn prepare<T>(&self, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        self.ranks.first_then_others(work)
    }

    /// Checks that all ranks have the same weights, by the checksum of their file.
    pub(crate) fn check_weights(&self, checksum: u32) -> anyhow::Result<()> {
        let advice = "give all ranks the same file";
        Ok(self.ranks.check_same("checksum of the weights", &checksum.to_string(), advice)?)
    }

    /// Shows a training, and ends it on signals.
    pub(crate) fn progress(&self) -> anyhow::Result<TrainingProgress> {
        let signals = self.signals.clone().map_or_else(|| self.ranks.meet(self.catch()), Ok)?;
        Ok(TrainingProgress::new(self.quiet, signals))
    }

    /// The same for a training, which a launcher may ask to save before it has begun: signals are kept until then. Without a
    /// launcher they end the program as long as there is nothing to save.
    pub(crate) fn for_training(mut self) -> anyhow::Result<Self> {
        self.is_training.store(true, Ordering::Relaxed);
        if self.is_launched {
            self.signals = Some(self.ranks.meet(self.catch())?);
        }
        Ok(self)
    }

    fn catch(&self) -> anyhow::Result<Signals> {
        Ok(Signals::catch(self.is_launched)?)
    }
}

/// Ranks that end their job when they have not met for so long.
fn watched(ranks: Ranks, timeout: Duration, is_training: Arc<AtomicBool>) -> Ranks {
    let place = format!("rank {} on {}", ranks.rank(), ranks.host());
    let own = ranks.rank();
    ranks.watched(timeout, move |time| {
        speak_in_turn(own);
        print_progress(&stall_in_words(&place, time, is_training.load(Ordering::Relaxed)));
        std::process::abort();
    })
}

/// What a rank says before it ends its job because the ranks have not met for `time`.
fn stall_in_words(place: &str, time: Duration, is_training: bool) -> String {
    format!(
        "error: {place} has not met the others for {}, longer than --stall-timeout; one of them stands still, so the job ends{}",
        duration_in_words(time.as_secs_f64()),
        if is_training { ", and goes on with --resume" } else { "" }
    )
}

/// Where a rank computes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct RankPlace {
    host: String,
    threads: usize,
    /// Cores that the rank may use, of those of the machine; where the system tells.
    cores: Option<[usize; 2]>,
}

impl RankPlace {
    fn of_this_process(host: String, threads: usize) -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        let online = fs::read_to_string("/sys/devices/system/cpu/online").ok();
        let cores = allowed.and_then(count_of_list).zip(online.as_deref().and_then(count_of_list));
        Self { host, threads, cores: cores.map(<[usize; 2]>::from) }
    }
}

/// How many numbers a list of Linux, such as `0-3,8`, has.
fn count_of_list(list: &str) -> Option<usize> {
    let count = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        (last.parse::<usize>().ok()? + 1).checked_sub(first.parse().ok()?)
    };
    list.trim().split(',').map(count).sum()
}

/// Such as `4 ranks on 2 machines: node1 (2 ranks, 8 threads each), node2 (2 ranks, 8 threads each)`.
fn in_words(all: &[RankPlace]) -> String {
    let hosts: BTreeSet<&str> = all.iter().map(|place| place.host.as_str()).collect();
    let of = |host: &str| {
        let here: Vec<&RankPlace> = all.iter().filter(|place| place.host == host).collect();
        let threads: BTreeSet<usize> = here.iter().map(|place| place.threads).collect();
        let threads: Vec<String> = threads.iter().map(usize::to_string).collect();
        let (ranks, threads) = (counted(here.len(), "rank", "ranks"), threads.join(" or "));
        let noun = if threads == "1" { "thread" } else { "threads" };
        format!("{host} ({ranks}, {threads} {noun}{})", if here.len() == 1 { "" } else { " each" })
    };
    let shown: Vec<String> = hosts.iter().map(|host| of(host)).collect();
    format!(
        "{} on {}: {}",
        counted(all.len(), "rank", "ranks"),
        counted(hosts.len(), "machine", "machines"),
        shown.join(", ")
    )
}

/// A warning of ranks that a launcher keeps on one core each, on a machine that has more of them than ranks.
fn warning_of_bound_ranks(all: &[RankPlace]) -> Option<String> {
    let has_idle_cores = |place: &&RankPlace| {
        let ranks = all.iter().filter(|other| other.host == place.host).count();
        place.cores.is_some_and(|[allowed, online]| allowed == 1 && online > ranks)
    };
    let place = all.iter().find(has_idle_cores)?;
    let [_, online] = place.cores?;
    Some(format!(
        "ranks on {} are bound to one core each, of {online}: start them with --bind-to none, or bind them to sockets",
        place.host
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str, threads: usize, cores: [usize; 2]) -> RankPlace {
        RankPlace { host: host.into(), threads, cores: Some(cores) }
    }

    #[test]
    fn ranks_are_shown_by_machine() {
        let all = [place("b", 8, [8, 16]), place("a", 4, [8, 8]), place("b", 8, [8, 16])];
        let expected = "3 ranks on 2 machines: a (1 rank, 4 threads), b (2 ranks, 8 threads each)";
        assert_eq!(in_words(&all), expected);
        let all = [place("a", 1, [1, 2]), place("a", 1, [1, 2])];
        assert_eq!(in_words(&all), "2 ranks on 1 machine: a (2 ranks, 1 thread each)");
        assert!(in_words(&[place("a", 1, [1, 2]), place("a", 2, [1, 2])]).ends_with("1 or 2 threads each)"));
    }

    /// Bug: commands without --resume advised it.
    #[test]
    fn only_trainings_go_on_with_resume() {
        let said = |is_training| stall_in_words("rank 1 on a", Duration::from_secs(60), is_training);
        assert!(said(true).ends_with("so the job ends, and goes on with --resume"), "{}", said(true));
        assert!(said(false).ends_with("so the job ends"), "{}", said(false));
    }

    #[test]
    fn ranks_on_one_core_of_many_are_warned_of() {
        let warned = |all: &[RankPlace]| warning_of_bound_ranks(all).is_some();
        assert!(warned(&[place("a", 1, [1, 4]), place("a", 1, [1, 4])]));
        assert!(warned(&[place("a", 8, [8, 8]), place("b", 1, [1, 2])]));
        // As many ranks as cores, whole machines and parts of them.
        assert!(!warned(&[place("a", 1, [1, 2]), place("a", 1, [1, 2])]));
        assert!(!warned(&[place("a", 8, [8, 8]), place("b", 4, [4, 8])]));
        assert!(!warned(&[RankPlace { cores: None, ..place("a", 1, [1, 4]) }]));
    }

    #[test]
    fn lists_of_cores_are_counted() {
        for (list, count) in
            [("0", Some(1)), ("0-3", Some(4)), (" 0-3,8,10-11\n", Some(7)), ("", None), ("3-x", None)]
        {
            assert_eq!(count_of_list(list), count, "{list:?}");
        }
        assert_eq!(count_of_list("4-2"), None);
    }
}
