//! Threads, device and precision that a command computes with.

use std::io;

use anyhow::bail;
use burn::tensor::Device;
use convnext::nn::{Precision, is_cpu, kernels};

use super::values::{MachineArguments, PrecisionName};

/// Threads, device and precision of a command.
pub(crate) struct Machine {
    /// The kernels' threads, and those that read images.
    pub(crate) threads: usize,
    /// Device of the models.
    pub(crate) device: Device,
    /// Precision in which linear layers multiply.
    pub(crate) precision: Precision,
}

/// Gets ready to compute: on so many threads, all cores by default, and on the device that was named.
pub(crate) fn set_up(arguments: &MachineArguments) -> anyhow::Result<Machine> {
    let device = arguments.device.open()?;
    let precision = arguments.precision;
    if precision == PrecisionName::Bf16 {
        if !is_cpu(&device) {
            bail!("--precision bf16 is for the CPU; leave it or --device out");
        }
        let in_use = kernels::bf16_in_use();
        match in_use.starts_with("emulated") {
            true => log::warn!("no instructions for bf16 here: products are {in_use}, slower than in f32"),
            false => log::info!("products in bf16 run on {in_use}"),
        }
    }
    let threads =
        arguments.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
    kernels::disable_memory_purging();
    if !kernels::has_wanted_instructions() {
        log::warn!(
            "{} asks for instructions that this processor or program does not have; {} are used",
            kernels::ISA_VARIABLE,
            kernels::isa_in_use()
        );
    }
    // This thread is one of them: it would only wait for the others, and be woken each time.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).use_current_thread();
    pool.build_global().map_err(io::Error::other)?;
    Ok(Machine { threads, device, precision: precision.into() })
}
