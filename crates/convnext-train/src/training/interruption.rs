//! The early end of a job that somebody asks for.

use serde::{Deserialize, Serialize};

/// Why a training is to end before its last step. Where both are asked for, the later one in this order is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Interruption {
    /// It is to stop, until somebody goes on with it.
    Stop,
    /// Its machine is needed for something else, and what started it starts it again, as the scheduler of a cluster does. Such a
    /// scheduler may ask for this and, a while later, for a stop as well.
    Requeue,
}
