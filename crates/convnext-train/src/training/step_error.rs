//! The errors of the batches of a step.

use thiserror::Error;

/// Why the batches of a step cannot be made, or shared by ranks.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StepError {
    /// A step asks for more batches than an epoch has.
    #[error(
        "a step of {accumulate} batches does not fit an epoch of {batches}; use a smaller --accumulate or --batch-size, or more images"
    )]
    Accumulate {
        /// Batches of a step.
        accumulate: usize,
        /// Whole batches of an epoch.
        batches: usize,
    },
    /// There are more ranks than micro-batches of a step.
    #[error(
        "{ranks} ranks share the {micro_batches} batches of a step, so that some would have nothing to do; give --accumulate \
         at least {ranks}, or start fewer ranks"
    )]
    Ranks {
        /// Number of ranks.
        ranks: usize,
        /// Batches of a step.
        micro_batches: usize,
    },
    /// A budget was given to a job of several ranks.
    #[error(
        "--budget times the steps of one process, but {ranks} ranks share the job; give --epochs or --steps instead"
    )]
    BudgetOfRanks {
        /// Number of ranks.
        ranks: usize,
    },
    /// A training of several ranks was only to be planned.
    #[error(
        "--dry-run times the steps of one process, but {ranks} ranks share the job; start it without a launcher"
    )]
    PlanOfRanks {
        /// Number of ranks.
        ranks: usize,
    },
}
