//! Checks that ranks train the same: before the first step, and at each checkpoint.

use burn::module::Module;
use convnext_distributed::{RankFailure, Ranks};
use convnext_nn::{for_each_parameter, kernels, tensor_values};
use serde::{Deserialize, Serialize};
use toml::Table;
use xxhash_rust::xxh3::Xxh3;

use crate::error::TrainError;
use crate::run::run_changes::{ResumeMode, changes};
use crate::run::run_record::instructions;
use crate::run::run_settings::RunSettings;

/// What must be the same on all ranks before the first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Facts {
    host: String,
    version: String,
    instruction_set: String,
    /// The resolved configuration in TOML, marks of the images included.
    config: String,
}

/// Checks that all ranks run the same program with the same instructions, settings and images.
///
/// # Errors
/// [`TrainError::Rank`] with the first rank that differs from rank 0, and in what.
pub(crate) fn check_start(settings: &RunSettings, config: &str) -> Result<(), TrainError> {
    let ranks = &settings.ranks;
    if ranks.is_alone() {
        return Ok(());
    }
    let facts = Facts {
        host: ranks.host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        instruction_set: instructions(settings.precision),
        config: config.to_owned(),
    };
    let all = ranks.gather(Ok::<_, TrainError>(facts))?;
    let different = |(rank, facts): (usize, &Facts)| {
        let message = difference(&all[0], facts)?;
        Some(RankFailure { rank, host: facts.host.clone(), message })
    };
    match all.iter().enumerate().find_map(different) {
        Some(failure) => Err(failure.into()),
        None => Ok(()),
    }
}

/// In what a rank differs from rank 0; `None` where it does not.
fn difference(first: &Facts, other: &Facts) -> Option<String> {
    let than = |what: &str, first: &str, other: &str, advice: &str| {
        (first != other).then(|| format!("{what} is {other}, but {first} on rank 0; {advice}"))
    };
    let version = than("its version of convnext", &first.version, &other.version, "install one version");
    let instructions = || {
        let advice = format!("set {} to one that all have", kernels::ISA_VARIABLE);
        than("its instruction set", &first.instruction_set, &other.instruction_set, &advice)
    };
    version.or_else(instructions).or_else(|| {
        let [first, other] = [first, other].map(|facts| facts.config.parse::<Table>().unwrap_or_default());
        // Both ways, because what an earlier version did not record counts as no change.
        let mut found = changes(&first, &other, ResumeMode::Resumed);
        if found.is_empty() {
            found = changes(&other, &first, ResumeMode::Resumed);
        }
        let words = "give all ranks the same command, images and weights";
        (!found.is_empty()).then(|| format!("seen from rank 0, {}; {words}", found.join(", ")))
    })
}

/// Checks that all ranks have the same weights, bit for bit: processors and libraries that differ, and memory that errs, show
/// here.
///
/// # Errors
/// [`TrainError::Rank`] with the first rank whose weights are not those of rank 0.
pub(crate) fn check_replicas<M: Module>(ranks: &Ranks, model: &M) -> Result<(), TrainError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let mut hash = Xxh3::new();
    for_each_parameter(model, |parameter| {
        hash.update(parameter.name().as_bytes());
        tensor_values(parameter.values()).iter().for_each(|value| hash.update(&value.to_le_bytes()));
    });
    let all = ranks.gather(Ok::<_, TrainError>((ranks.host(), hash.digest())))?;
    let found = all.iter().enumerate().find(|(_, (_, hash))| *hash != all[0].1);
    let Some((rank, (host, _))) = found else { return Ok(()) };
    let message = "its weights are not those of rank 0: processor, program or weights to start from differ, or its memory \
                   is faulty";
    Err(RankFailure { rank, host: host.clone(), message: message.to_owned() }.into())
}
