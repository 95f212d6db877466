//! Interface of an engine: the operations that the ranks of a job do together.

use std::fmt::Debug;

/// What the ranks of a job do together. All call the same operations in the same order, with buffers of the same length: an
/// engine need not notice when they do not. No operation returns an error: where one fails, the engine ends the job.
pub trait Collective: Debug + Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks, at least 1.
    fn size(&self) -> usize;

    /// The number of ranks on the machine of this one, itself included: they share its memory.
    fn local_size(&self) -> usize;

    /// Name of the machine that this rank runs on.
    fn host(&self) -> String;

    /// All-to-all: piece r of `pieces` goes to rank r, and `received` holds the pieces of ranks 0, 1, ... in this order. Both
    /// have a multiple of [`Self::size`] values.
    fn exchange(&self, pieces: &[f32], received: &mut [f32]);

    /// All-gather: `all` holds the values of ranks 0, 1, ... in this order, and has room for just these.
    fn all_gather_values(&self, own: &[f32], all: &mut [f32]);

    /// The same for bytes.
    fn all_gather_bytes(&self, own: &[u8], all: &mut [u8]);

    /// The sum over all ranks, added in the engine's own order: all ranks get the same bits, and another number of ranks
    /// gets others.
    fn all_reduce_sum(&self, values: &mut [f32]);

    /// The bytes of the rank `root`, on all.
    fn broadcast(&self, bytes: &mut [u8], root: usize);

    /// Ends all ranks at once with this exit code.
    fn abort(&self, code: i32) -> !;
}
