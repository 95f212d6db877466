//! Result of the bench, as JSON and as text.

use convnext::core::{ImageSize, ResponseNorm, STAGES, counted};
use convnext::nn::{Precision, is_cpu, kernels, peak_activation_bytes};
use serde::Serialize;

use super::arguments::{BenchArguments, Mode, Scope, Sites};
use super::job::JobSpeed;
use super::process::peak_memory;
use crate::cli::machine::Machine;
use crate::cli::output::table;

/// Steps as they were timed.
pub(super) struct Timed {
    /// Of each step, in ascending order.
    pub(super) seconds: Vec<f64>,
    /// Seconds of all of them together that went into communication with other ranks.
    pub(super) communication: f64,
    /// In use by the program before the first of them, and after the last one.
    pub(super) live_bytes: [u64; 2],
    /// On average; unknown outside of Linux.
    pub(super) page_faults_a_step: Option<f64>,
    /// Floating-point operations a second of all threads together; unknown on other devices than the CPU.
    pub(super) peak: Option<f64>,
    /// Empty if it was not asked for.
    pub(super) profile: Vec<KernelTime>,
}

/// Results of the benchmark.
#[derive(Debug, Serialize)]
pub(super) struct Measurement {
    mode: Mode,
    model: String,
    /// Blocks and channels of each stage.
    depths: [usize; STAGES],
    widths: [usize; STAGES],
    /// By its name on the command line; `none` of blocks without one.
    response_norm: &'static str,
    /// Initial value; `None` of blocks without LayerScale.
    layer_scale: Option<f64>,
    /// What the blocks have that those of the model have not, in words.
    #[serde(skip)]
    block_differences: Option<String>,
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
    /// Of the median step of this process.
    pub(super) images_per_second: f64,
    /// Speed of all ranks together; `None` of one process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) job: Option<JobSpeed>,
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
    /// Of the median step, counting multiply-adds of convolutions and linear layers as two; unknown where their number
    /// depends on what is found.
    gflops: Option<f64>,
    /// Of all threads together.
    peak_gflops: Option<f64>,
    share_of_peak: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    profile: Vec<KernelTime>,
}

/// The time of a kernel, summed over threads.
#[derive(Debug, Serialize)]
pub(super) struct KernelTime {
    pub(super) kernel: &'static str,
    pub(super) seconds: f64,
    /// Of the time of all threads.
    pub(super) share: f64,
}

impl Measurement {
    /// Results of steps of so many multiply-adds for each image.
    pub(super) fn new(
        arguments: &BenchArguments,
        machine: &Machine,
        macs: Option<f64>,
        timed: Timed,
    ) -> Self {
        let Timed { seconds, live_bytes, page_faults_a_step, peak, profile, .. } = timed;
        let quantile = |share: f64| seconds[((seconds.len() - 1) as f64 * share).round() as usize];
        let median = quantile(0.5);
        let backbone = arguments.backbone();
        let gflops = macs.map(|macs| 2e-9 * macs * arguments.batch_size as f64 / median);
        Self {
            mode: arguments.mode,
            depths: backbone.depths,
            widths: backbone.widths,
            response_norm: backbone.response_norm.map_or(ResponseNorm::NONE, ResponseNorm::name),
            layer_scale: backbone.layer_scale,
            block_differences: backbone.block_differences(),
            model: backbone.name,
            batch_size: arguments.batch_size,
            image_size: arguments.image_size,
            encoder: arguments.encoder,
            scope: arguments.scope,
            precision: machine.precision.name(),
            device: arguments.machine.device.to_string(),
            threads: machine.threads,
            steps: arguments.steps,
            instructions: is_cpu(&machine.device).then(|| instructions(machine.precision)),
            images_per_second: arguments.batch_size as f64 / median,
            job: None,
            step_seconds: [0.0, 0.25, 0.5, 0.75, 1.0].map(quantile),
            peak_memory_bytes: peak_memory(),
            activation_bytes: peak_activation_bytes(),
            live_bytes,
            page_faults_a_step,
            gflops,
            peak_gflops: peak.map(|peak| 1e-9 * peak),
            share_of_peak: peak.zip(gflops).map(|(peak, gflops)| 1e9 * gflops / peak),
            profile,
        }
    }
}

fn instructions(precision: Precision) -> String {
    match precision {
        Precision::F32 => kernels::isa_in_use().to_owned(),
        Precision::Bf16 => kernels::bf16_in_use(),
    }
}

/// Speed in words, as a share of the processor's peak where that is known.
fn describe_speed(found: &Measurement) -> String {
    let Measurement { gflops, share_of_peak, peak_gflops, instructions, threads, device, .. } = found;
    let peak = peak_gflops.zip(instructions.as_deref());
    let reached = |(peak, instructions): (f64, &str)| {
        let reach = counted(*threads, "thread reaches", "threads reach");
        format!("{peak:.1} that {reach} with {instructions}")
    };
    match (gflops, peak, share_of_peak) {
        (Some(gflops), Some(peak), Some(share)) => {
            format!("{gflops:.1} GFLOP/s, {:.1} % of the {}", 100.0 * share, reached(peak))
        }
        (Some(gflops), ..) => format!("{gflops:.1} GFLOP/s on {device}"),
        (None, Some(peak), _) => format!("an unknown part of the GFLOP/s of {}", reached(peak)),
        (None, None, _) => format!("on {device}"),
    }
}

/// The results for people.
pub(super) fn describe(found: &Measurement) -> String {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20));
    let [.., first, median, third, _] = found.step_seconds;
    let mut text = format!(
        "{:.2} images a second ({:.1} ms a step, quartiles {:.1} and {:.1})\n\
         {}\n\
         {} of memory at most, {} held for the backward\n\
         {} in use before the steps, {} after; {} page faults a step",
        found.images_per_second,
        1e3 * median,
        1e3 * first,
        1e3 * third,
        describe_speed(found),
        found.peak_memory_bytes.map_or_else(|| "an unknown amount".to_owned(), mib),
        mib(found.activation_bytes),
        mib(found.live_bytes[0]),
        mib(found.live_bytes[1]),
        found
            .page_faults_a_step
            .map_or_else(|| "an unknown number of".to_owned(), |count| format!("{count:.1}")),
    );
    if let Some(job) = &found.job {
        text += &format!("\n{}", job.in_words());
    }
    if let Some(differences) = &found.block_differences {
        text += &format!("\nblocks with {differences}");
    }
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
