//! `convnext bench`

mod arguments;
mod detection;
mod job;
mod measurement;
mod process;
mod segmentation;
mod step;
mod subject;

use std::time::{Duration, Instant};

use anyhow::bail;
use convnext::nn::{is_cpu, kernels};

pub(crate) use self::arguments::BenchArguments;
use self::job::{CommunicationClock, JobSpeed};
use self::measurement::{KernelTime, Measurement, Timed, describe};
use self::process::page_faults;
use self::subject::{Step, Subject};
use super::launched::Launched;
use super::machine::Machine;
use super::output::{print_json, print_text};
use super::shared::SharedMachine;
use crate::allocator::ALLOCATOR;

/// Steps before the first one that is timed: memory is found, caches are warm.
const WARM_UP: usize = 3;

/// Duration of each measurement of the processor's peak, one before the steps and one after them.
const PEAK_TIME: Duration = Duration::from_millis(300);

pub(crate) fn run(arguments: &BenchArguments, launched: &Launched, quiet: bool) -> anyhow::Result<()> {
    let shared = SharedMachine::set_up(&arguments.machine, &arguments.ranks, launched, quiet)?;
    let (machine, ranks) = (&shared.machine, &shared.ranks);
    ranks.meet(check(arguments, machine))?;
    let communication = CommunicationClock::default();
    let Subject { step, macs } = ranks.meet(Subject::new(arguments, &shared, communication.of(ranks)))?;
    let timed = time_steps(arguments, machine, &communication, step)?;
    let (in_communication, in_steps) = (timed.communication, timed.seconds.iter().sum());
    let mut measurement = Measurement::new(arguments, machine, macs, timed);
    measurement.job = JobSpeed::of(ranks, measurement.images_per_second, in_communication, in_steps)?;
    if !ranks.is_first() {
        return Ok(());
    }
    if arguments.json { print_json(&measurement) } else { print_text(&describe(&measurement)) }
}

/// Refuses what the device cannot do.
fn check(arguments: &BenchArguments, machine: &Machine) -> anyhow::Result<()> {
    arguments.activations.check(arguments.machine.precision)?;
    if arguments.profile && !is_cpu(&machine.device) {
        bail!("--profile tells the time of the CPU's kernels; leave it or --device out");
    }
    Ok(())
}

/// Takes the steps, a few before those that are timed, and measures the processor's peak before and after them.
fn time_steps(
    arguments: &BenchArguments,
    machine: &Machine,
    communication: &CommunicationClock,
    mut step: Step,
) -> anyhow::Result<Timed> {
    let on_cpu = is_cpu(&machine.device);
    let peak = || on_cpu.then(|| kernels::peak_flops(machine.precision, PEAK_TIME));
    // Other devices than the CPU only note what they shall do.
    let mut step = || -> anyhow::Result<()> {
        step()?;
        Ok(machine.device.sync()?)
    };
    let peak_before = peak();
    for _ in 0..WARM_UP {
        step()?;
    }
    if arguments.profile {
        kernels::start_profile();
    }
    let mut seconds = Vec::new();
    let (live, faults) = (ALLOCATOR.allocated() as u64, page_faults());
    let communication_before = communication.seconds();
    for _ in 0..arguments.steps {
        let clock = Instant::now();
        step()?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    let communication = communication.seconds() - communication_before;
    let live_bytes = [live, ALLOCATOR.allocated() as u64];
    let page_faults_a_step =
        faults.zip(page_faults()).map(|(before, after)| (after - before) / arguments.steps as f64);
    let profile = if arguments.profile { kernel_times(&seconds, machine.threads) } else { Vec::new() };
    let peak = peak_before.zip(peak()).map(|(before, after)| f64::midpoint(before, after));
    seconds.sort_by(f64::total_cmp);
    Ok(Timed { seconds, communication, live_bytes, page_faults_a_step, peak, profile })
}

fn kernel_times(seconds: &[f64], threads: usize) -> Vec<KernelTime> {
    let all = threads as f64 * seconds.iter().sum::<f64>();
    let mut times: Vec<KernelTime> = (kernels::end_profile().into_iter())
        .map(|(kernel, seconds)| KernelTime { kernel, seconds, share: seconds / all })
        .collect();
    times.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let rest = all - times.iter().map(|time| time.seconds).sum::<f64>();
    times.push(KernelTime { kernel: "everything else, and waiting", seconds: rest, share: rest / all });
    times
}
