//! Checks that ranks train the same: before the first step, and at each checkpoint.

use burn::module::Module;
use convnext_distributed::{RankFailure, Ranks};
use convnext_nn::{Precision, for_each_parameter, kernels, tensor_values};
use toml::Table;
use xxhash_rust::xxh3::Xxh3;

use crate::error::TrainError;
use crate::run::run_changes::{ResumeMode, changes};
use crate::run::run_record::instructions;

/// Checks that all ranks run the same program with the same instructions, for products in this precision.
///
/// # Errors
/// A [`RankFailure`] with the first rank that differs from rank 0, and in what.
pub fn check_program(ranks: &Ranks, precision: Precision) -> Result<(), RankFailure> {
    let advice = "install one version on all machines";
    ranks.check_same("version of convnext", env!("CARGO_PKG_VERSION"), advice)?;
    let advice = format!("set {} to one that all have", kernels::ISA_VARIABLE);
    ranks.check_same("instruction set", &instructions(precision), &advice)
}

/// Checks that all ranks have the same resolved configuration, in TOML, marks of the images included.
///
/// # Errors
/// [`TrainError::Rank`] with the first rank that differs from rank 0, and in what.
pub(crate) fn check_settings(ranks: &Ranks, config: &str) -> Result<(), TrainError> {
    if ranks.is_alone() {
        return Ok(());
    }
    let all = ranks.all_gather(Ok::<_, TrainError>((ranks.host(), config.to_owned())))?;
    let (_, first) = &all[0];
    for (rank, (host, other)) in all.iter().enumerate() {
        if let Some(message) = difference(first, other) {
            return Err(RankFailure { rank, host: host.clone(), message }.into());
        }
    }
    Ok(())
}

/// In what a configuration differs from that of rank 0; `None` where it does not.
fn difference(first: &str, other: &str) -> Option<String> {
    let [first, other] = [first, other].map(|config| config.parse::<Table>().unwrap_or_default());
    // Both ways, because what an earlier version did not record counts as no change.
    let mut found = changes(&first, &other, ResumeMode::Resumed);
    if found.is_empty() {
        found = changes(&other, &first, ResumeMode::Resumed);
    }
    let advice = "give all ranks the same command, images and weights";
    (!found.is_empty()).then(|| format!("seen from rank 0, {}; {advice}", found.join(", ")))
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
        let values = tensor_values(parameter.values());
        hash.update(&values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>());
    });
    let all = ranks.all_gather(Ok::<_, TrainError>((ranks.host(), hash.digest())))?;
    let found = all.iter().enumerate().find(|(_, (_, hash))| *hash != all[0].1);
    let Some((rank, (host, _))) = found else { return Ok(()) };
    let message = "its weights are not those of rank 0: processor, program or weights to start from differ, or its memory \
                   is faulty";
    Err(RankFailure { rank, host: host.clone(), message: message.to_owned() }.into())
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;
    use convnext_core::Seed;
    use convnext_distributed::run_threads;
    use convnext_nn::{LayerNorm, Scope, replace_parameters};

    use super::*;

    #[test]
    fn weights_that_differ_in_a_bit_are_found_by_all() {
        for other in [None, Some(2)] {
            let found = run_threads(4, |ranks| {
                let model = LayerNorm::new(3, &Scope::root(Seed(0), &Device::flex()));
                let is_other = Some(ranks.rank()) == other;
                let model = replace_parameters(model, |parameter| {
                    (is_other && parameter.name() == "bias").then(|| parameter.values().neg())
                });
                check_replicas(&ranks, &model).map_err(|error| error.to_string())
            });
            for found in found {
                match other {
                    None => assert_eq!(found, Ok(())),
                    Some(_) => assert!(found.unwrap_err().starts_with("rank 2 on thread 2: its weights")),
                }
            }
        }
    }

    #[test]
    fn settings_that_one_rank_alone_has_are_named() {
        let (without, with) = ("seed = 1", "seed = 1\nvalidation_checksum = 5");
        assert_eq!(difference(with, with), None);
        for (first, other) in [(without, with), (with, without)] {
            let message = difference(first, other).unwrap();
            assert!(message.contains("validation_checksum was"), "{message}");
        }
    }
}
