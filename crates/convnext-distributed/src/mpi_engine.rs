//! Ranks as processes that MPI joins, on any number of machines.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use mpi::Threading;
use mpi::collective::SystemOperation;
use mpi::environment::{Universe, processor_name};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Root};
use thiserror::Error;

use crate::collective::Collective;
use crate::ranks::Ranks;

/// Values of all ranks together in one message, at most: MPI counts them in a C `int`, and a longer message is cut. Larger than
/// what [`crate::OrderedSum`] exchanges at a time.
const MESSAGE: usize = 1 << 24;

/// Why MPI cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MpiError {
    /// MPI can be started once in a process.
    #[error("MPI was started before in this process, and it cannot be started twice")]
    StartedBefore,
    /// The installed MPI wants to be used by a single thread.
    #[error(
        "this MPI gives the level of threads {found:?}, and a program of several threads needs Serialized; install one that \
         was built for threads"
    )]
    Threads {
        /// The level that it gives.
        found: Threading,
    },
}

/// MPI, from its start in this process to its end, which is when this is dropped: on the thread that started it, by all ranks
/// in order. A rank that drops it waits for the others, so one that panics must end the process instead of unwinding to here.
pub struct Mpi {
    ranks: Ranks,
    _universe: Universe,
}

impl fmt::Debug for Mpi {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Mpi").field(&self.ranks).finish()
    }
}

impl Mpi {
    /// Starts MPI with the other processes that the launcher started. In a process that no launcher started, see
    /// [`crate::Launch`], some versions of MPI end the program.
    ///
    /// # Errors
    /// Any [`MpiError`].
    pub fn start() -> Result<Self, MpiError> {
        let (universe, found) =
            mpi::initialize_with_threading(Threading::Serialized).ok_or(MpiError::StartedBefore)?;
        if found < Threading::Serialized {
            return Err(MpiError::Threads { found });
        }
        let world = universe.world();
        // MPI counts ranks from 0, in a C `int`.
        let [rank, size, local_size] = [world.rank(), world.size(), world.split_shared(world.rank()).size()]
            .map(|number| number.unsigned_abs() as usize);
        let host = processor_name().unwrap_or_else(|_| "a host without a name".into());
        let ranks = Ranks::new(Processes { rank, size, local_size, host, in_use: Mutex::new(()) });
        Ok(Self { ranks, _universe: universe })
    }

    /// The ranks of the job. Nothing may be asked of them once MPI has ended.
    pub fn ranks(&self) -> Ranks {
        self.ranks.clone()
    }
}

/// The processes of an MPI job. A failure of MPI ends the job, which is what MPI does unless it is told otherwise.
#[derive(Debug)]
struct Processes {
    rank: usize,
    size: usize,
    local_size: usize,
    host: String,
    /// Held during an operation: one thread at a time may be in MPI.
    in_use: Mutex<()>,
}

impl Processes {
    /// Runs an operation of MPI when no other thread is in one. A communicator belongs to the thread that made it.
    fn with_world<T>(&self, operation: impl FnOnce(&SimpleCommunicator) -> T) -> T {
        let _in_use = self.in_use.lock().unwrap_or_else(PoisonError::into_inner);
        operation(&SimpleCommunicator::world())
    }

    /// All-gather of values of any number.
    fn all_gather_in_messages<T: Copy + Default>(
        &self,
        own: &[T],
        all: &mut [T],
        operation: impl Fn(&SimpleCommunicator, &[T], &mut [T]),
    ) {
        assert_eq!(all.len(), own.len() * self.size, "room for the values of all ranks");
        // MPI takes the addresses of two empty vectors for one and the same, and refuses it.
        if own.is_empty() {
            return;
        }
        let part = (MESSAGE / self.size).max(1);
        if own.len() <= part {
            return self.with_world(|world| operation(world, own, all));
        }
        let mut message = vec![T::default(); part * self.size];
        for (number, values) in own.chunks(part).enumerate() {
            let message = &mut message[..values.len() * self.size];
            self.with_world(|world| operation(world, values, message));
            for (all, values) in all.chunks_exact_mut(own.len()).zip(message.chunks_exact(values.len())) {
                all[number * part..][..values.len()].copy_from_slice(values);
            }
        }
    }
}

impl Collective for Processes {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn local_size(&self) -> usize {
        self.local_size
    }

    fn host(&self) -> String {
        self.host.clone()
    }

    fn exchange(&self, pieces: &[f32], received: &mut [f32]) {
        assert_eq!(received.len(), pieces.len(), "room for as many values as are sent");
        let whole = pieces.len() / self.size;
        assert_eq!(pieces.len(), whole * self.size, "pieces of the same length");
        if whole == 0 {
            return;
        }
        let part = (MESSAGE / self.size).max(1);
        if whole <= part {
            return self.with_world(|world| world.all_to_all_into(pieces, received));
        }
        let mut sent = Vec::with_capacity(part * self.size);
        let mut message = vec![0.0; part * self.size];
        for start in (0..whole).step_by(part) {
            let part = part.min(whole - start);
            sent.clear();
            pieces.chunks_exact(whole).for_each(|piece| sent.extend_from_slice(&piece[start..][..part]));
            let message = &mut message[..sent.len()];
            self.with_world(|world| world.all_to_all_into(&sent[..], message));
            for (received, piece) in received.chunks_exact_mut(whole).zip(message.chunks_exact(part)) {
                received[start..][..part].copy_from_slice(piece);
            }
        }
    }

    fn all_gather_values(&self, own: &[f32], all: &mut [f32]) {
        self.all_gather_in_messages(own, all, CommunicatorCollectives::all_gather_into);
    }

    fn all_gather_bytes(&self, own: &[u8], all: &mut [u8]) {
        self.all_gather_in_messages(own, all, CommunicatorCollectives::all_gather_into);
    }

    fn all_reduce_sum(&self, values: &mut [f32]) {
        let mut own = Vec::new();
        for values in values.chunks_mut(MESSAGE) {
            own.clear();
            own.extend_from_slice(values);
            self.with_world(|world| world.all_reduce_into(&own[..], values, SystemOperation::sum()));
        }
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) {
        for bytes in bytes.chunks_mut(MESSAGE) {
            // A number of one of the ranks, which are counted in this type.
            self.with_world(|world| world.process_at_rank(root as i32).broadcast_into(bytes));
        }
    }

    fn abort(&self, code: i32) -> ! {
        match self.in_use.try_lock() {
            Ok(_in_use) => SimpleCommunicator::world().abort(code),
            // Another thread waits in MPI, which is closed to this one; the launcher ends the job of a process that dies.
            Err(_) => std::process::abort(),
        }
    }
}
