//! Facts of a run that are no settings: what it was made of, by which program and on which machine.

use std::time::{SystemTime, UNIX_EPOCH};

use burn::tensor::Device;
use convnext_nn::{Precision, is_cpu, kernels};
use serde::{Deserialize, Serialize};
use sysinfo::{CpuRefreshKind, RefreshKind, System};

use crate::run::run_settings::RunSettings;

/// File name of the facts of a run.
pub const RUN_FILE: &str = "run.json";

/// Facts of a run, written when it begins. One that goes on, perhaps elsewhere, keeps them but for its length.
///
/// They stand apart from `config.toml`, which must not change when a run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of convnext.
    pub version: String,
    /// The command with its arguments; empty for a run that a library began.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Time of the beginning, in seconds since 1970 (UTC).
    pub started: u64,
    /// Steps of the whole training.
    pub total_steps: usize,
    /// Images that are trained on.
    pub images: usize,
    /// Images that are validated on.
    pub validation_images: usize,
    /// Machine that the run began on.
    pub machine: MachineRecord,
}

/// Facts of a machine that decide about speed and, in the last bits, about results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineRecord {
    /// Name of the processor, or its architecture where it has none.
    pub processor: String,
    /// Threads that compute and read images.
    pub threads: usize,
    /// Device that the model is on.
    pub device: String,
    /// Instruction set of the kernels; other devices than the CPU run none of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction_set: Option<String>,
    /// Input precision of the linear layers' GEMMs.
    pub precision: String,
}

impl RunRecord {
    /// The facts of a run of so many steps, images and images for validation that begins now.
    pub(crate) fn new(
        settings: &RunSettings,
        device: &Device,
        [steps, images, validation]: [usize; 3],
    ) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: settings.command.clone(),
            started: now.map_or(0, |time| time.as_secs()),
            total_steps: steps,
            images,
            validation_images: validation,
            machine: MachineRecord::new(settings, device),
        }
    }
}

impl MachineRecord {
    fn new(settings: &RunSettings, device: &Device) -> Self {
        let is_cpu = is_cpu(device);
        let instruction_set = is_cpu.then(|| instructions(settings.precision));
        Self {
            processor: processor(),
            threads: settings.threads,
            device: if is_cpu { "CPU".to_owned() } else { format!("{device:?}") },
            instruction_set,
            precision: settings.precision.name().to_owned(),
        }
    }
}

/// Instruction set of the kernels, and of the products in this precision.
pub(crate) fn instructions(precision: Precision) -> String {
    match precision {
        Precision::F32 => kernels::isa_in_use().to_owned(),
        Precision::Bf16 => format!("{}, bf16 {}", kernels::isa_in_use(), kernels::bf16_in_use()),
    }
}

/// Name of this machine's processor; its architecture where the system tells none.
pub fn processor() -> String {
    let system = System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = system.cpus().first().map_or("", |cpu| cpu.brand().trim());
    if brand.is_empty() { std::env::consts::ARCH.to_owned() } else { brand.to_owned() }
}
