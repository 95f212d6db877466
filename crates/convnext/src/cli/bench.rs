//! `convnext bench`

mod arguments;
mod step;

use std::time::{Duration, Instant};

use anyhow::bail;
use convnext::core::ImageSize;
use convnext::nn::{Precision, is_cpu, kernels, peak_activation_bytes};
use serde::Serialize;

pub(crate) use self::arguments::BenchArguments;
use self::arguments::{Mode, Scope, Sites};
use self::step::Subject;
use super::machine::{Machine, set_up};
use super::output::{print_json, print_text, table};
use crate::allocator::ALLOCATOR;

/// Steps before the first one that is timed: memory is found, caches are warm.
const WARM_UP: usize = 3;

/// Duration of each measurement of the processor's peak, one before the steps and one after them.
const PEAK_TIME: Duration = Duration::from_millis(300);

/// Results of the benchmark.
#[derive(Debug, Serialize)]
struct Measurement {
    mode: Mode,
    model: &'static str,
    batch_size: usize,
    image_size: ImageSize,
    encoder: Sites,
    scope: Scope,
    precision: &'static str,
    device: String,
    threads: usize,
    steps: usize,
    /// Of the CPU's kernels; unknown on other devices, like the peak.
    instructions: Option<String>,
    /// Of the median step.
    images_per_second: f64,
    /// Seconds of a step: the smallest, the quartiles, the largest.
    step_seconds: [f64; 5],
    /// The largest that this process ever was; unknown outside of Linux.
    peak_memory_bytes: Option<u64>,
    /// Peak of the activations that the blocks save for their backward pass.
    activation_bytes: u64,
    /// In use by the program before the first step that is timed, and after the last one.
    live_bytes: [u64; 2],
    /// Of the steps that are timed, on average; unknown outside of Linux.
    page_faults_a_step: Option<f64>,
    /// Of the median step, counting multiply-adds of convolutions and linear layers as two.
    gflops: f64,
    /// Of all threads together.
    peak_gflops: Option<f64>,
    share_of_peak: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<KernelTime>,
}

/// The time of a kernel, summed over threads.
#[derive(Debug, Serialize)]
struct KernelTime {
    kernel: &'static str,
    seconds: f64,
    /// Of the time of all threads.
    share: f64,
}

pub(crate) fn run(arguments: &BenchArguments) -> anyhow::Result<()> {
    arguments.activations.check(arguments.machine.precision)?;
    let Machine { threads, device, precision } = set_up(&arguments.machine)?;
    let on_cpu = is_cpu(&device);
    if arguments.profile && !on_cpu {
        bail!("--profile tells the time of the CPU's kernels; leave it or --device out");
    }
    let Subject { mut step, macs } = Subject::new(arguments, &device, precision)?;
    let peak = || on_cpu.then(|| kernels::peak_flops(precision, PEAK_TIME));
    // Other devices than the CPU only note what they shall do.
    let mut step = move || -> anyhow::Result<()> {
        step()?;
        Ok(device.sync()?)
    };
    let peak_before = peak();
    for _ in 0..WARM_UP {
        step()?;
    }
    if arguments.profile {
        kernels::start_profile();
    }
    let mut seconds = Vec::with_capacity(arguments.steps);
    let (live, faults) = (ALLOCATOR.allocated() as u64, page_faults());
    for _ in 0..arguments.steps {
        let clock = Instant::now();
        step()?;
        seconds.push(clock.elapsed().as_secs_f64());
    }
    let live_bytes = [live, ALLOCATOR.allocated() as u64];
    let page_faults_a_step =
        faults.zip(page_faults()).map(|(before, after)| (after - before) / arguments.steps as f64);
    let profile = if arguments.profile { kernel_times(&seconds, threads) } else { Vec::new() };
    let peak = peak_before.zip(peak()).map(|(before, after)| f64::midpoint(before, after));
    seconds.sort_by(f64::total_cmp);
    let quantile = |share: f64| seconds[((seconds.len() - 1) as f64 * share).round() as usize];
    let median = quantile(0.5);
    let gflops = 2e-9 * macs * arguments.batch_size as f64 / median;
    let measurement = Measurement {
        mode: arguments.mode,
        model: arguments.model.name,
        batch_size: arguments.batch_size,
        image_size: arguments.image_size,
        encoder: arguments.encoder,
        scope: arguments.scope,
        precision: precision.name(),
        device: arguments.machine.device.to_string(),
        threads,
        steps: arguments.steps,
        instructions: on_cpu.then(|| instructions(precision)),
        images_per_second: arguments.batch_size as f64 / median,
        step_seconds: [0.0, 0.25, 0.5, 0.75, 1.0].map(quantile),
        peak_memory_bytes: peak_memory(),
        activation_bytes: peak_activation_bytes(),
        live_bytes,
        page_faults_a_step,
        gflops,
        peak_gflops: peak.map(|peak| 1e-9 * peak),
        share_of_peak: peak.map(|peak| 1e9 * gflops / peak),
        profile,
    };
    if arguments.json { print_json(&measurement) } else { print_text(&describe(&measurement)) }
}

fn instructions(precision: Precision) -> String {
    match precision {
        Precision::F32 => kernels::isa_in_use().to_owned(),
        Precision::Bf16 => kernels::bf16_in_use(),
    }
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

/// The largest resident size of this process.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

/// Page faults of this process so far, minor and major; `None` outside of Linux.
fn page_faults() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in brackets, which may hold anything, minor faults are the eighth value and major ones the tenth.
    let (_, values) = status.rsplit_once(')')?;
    let mut values = values.split_whitespace().skip(7).step_by(2).map(str::parse::<f64>);
    Some(values.next()?.ok()? + values.next()?.ok()?)
}

/// Share of the processor's peak in words, or the device where that peak is unknown.
fn describe_share(found: &Measurement) -> String {
    let Measurement { share_of_peak, peak_gflops, instructions, threads, device, .. } = found;
    match (share_of_peak, peak_gflops, instructions) {
        (Some(share), Some(peak), Some(instructions)) => {
            let share = 100.0 * share;
            format!(", {share:.1} % of the {peak:.1} that {threads} threads reach with {instructions}")
        }
        _ => format!(" on {device}"),
    }
}

fn describe(found: &Measurement) -> String {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let [.., first, median, third, _] = found.step_seconds;
    let mut text = format!(
        "{:.2} images a second ({:.1} ms a step, quartiles {:.1} and {:.1})\n\
         {:.1} GFLOP/s{}\n\
         {} of memory at most, {} held for the backward\n\
         {} in use before the steps, {} after; {} page faults a step",
        found.images_per_second,
        1e3 * median,
        1e3 * first,
        1e3 * third,
        found.gflops,
        describe_share(found),
        found.peak_memory_bytes.map_or_else(|| "an unknown amount".to_owned(), mib),
        mib(found.activation_bytes),
        mib(found.live_bytes[0]),
        mib(found.live_bytes[1]),
        found
            .page_faults_a_step
            .map_or_else(|| "an unknown number of".to_owned(), |count| format!("{count:.1}")),
    );
    if !found.profile.is_empty() {
        let row = |time: &KernelTime| {
            vec![
                time.kernel.to_owned(),
                format!("{:.1} ms", 1e3 * time.seconds / found.steps as f64),
                format!("{:.1} %", 100.0 * time.share),
            ]
        };
        let head = ["kernel", "a step, all threads", "share"];
        text += &format!("\n\n{}", table(&head, 1, found.profile.iter().map(row).collect()));
    }
    text
}
