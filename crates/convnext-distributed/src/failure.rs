//! A failure of one rank, as all ranks know it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A failure of one rank that all ranks were told of at [`crate::Ranks::all_gather`], so that all end: rank 0 alone shows it.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("rank {rank} on {host}: {message}")]
pub struct RankFailure {
    /// The rank; of several that failed, the first.
    pub rank: usize,
    /// Its machine.
    pub host: String,
    /// The failure in words.
    pub message: String,
}
