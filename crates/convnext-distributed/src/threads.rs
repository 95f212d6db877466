//! Ranks as threads of one process: an engine for tests.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::collective::Collective;
use crate::ranks::Ranks;

/// Runs `work` on so many ranks, each a thread, and returns what each found, in their order.
///
/// # Panics
/// With the panic of the first rank that panicked; the others then end at their next operation instead of waiting for ever.
pub fn run_threads<T: Send>(size: usize, work: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    let meeting = Arc::new(Meeting::new(size));
    let run = |rank| {
        let ranks = Ranks::new(Thread { rank, meeting: Arc::clone(&meeting) });
        let found = catch_unwind(AssertUnwindSafe(|| work(ranks)));
        if found.is_err() {
            meeting.leave();
        }
        found
    };
    let run = &run;
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..size).map(|rank| scope.spawn(move || run(rank))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(Err)).collect()
    });
    // What others say of a rank that is gone is no cause.
    let (gone, mut causes): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|found| matches!(found, Err(panic) if panic.is::<RankIsGone>()));
    causes.extend(gone);
    if let Some(place) = causes.iter().position(Result::is_err)
        && let Err(panic) = causes.swap_remove(place)
    {
        resume_unwind(panic);
    }
    causes.into_iter().filter_map(Result::ok).collect()
}

/// The panic of a rank that waits for one that panicked.
struct RankIsGone;

/// One rank.
#[derive(Debug)]
struct Thread {
    rank: usize,
    meeting: Arc<Meeting>,
}

/// The place where the threads leave their bytes for each other.
#[derive(Debug)]
struct Meeting {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
}

/// An operation and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Exchange(usize),
    AllGather(usize),
    AllGatherBytes(usize),
    AllReduceSum(usize),
    Broadcast(usize, usize),
}

#[derive(Debug, Default)]
struct State {
    /// What each rank brought to the operation in progress, and which that is for it.
    brought: Vec<Option<(Operation, Vec<u8>)>>,
    /// What all brought, once all have.
    all: Arc<Vec<Vec<u8>>>,
    /// Ranks that have taken that; the operation is over when all have.
    taken: usize,
    /// A rank panicked.
    is_broken: bool,
}

impl Meeting {
    fn new(size: usize) -> Self {
        let state = State { brought: vec![None; size], ..State::default() };
        Self { size, state: Mutex::new(state), changed: Condvar::new() }
    }

    fn leave(&self) {
        self.lock().is_broken = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `is_ready`.
    fn wait<'a>(
        &self,
        state: MutexGuard<'a, State>,
        is_ready: impl Fn(&State) -> bool,
    ) -> MutexGuard<'a, State> {
        let state = self.changed.wait_while(state, |state| !is_ready(state) && !state.is_broken);
        let state = state.unwrap_or_else(PoisonError::into_inner);
        if state.is_broken {
            drop(state);
            resume_unwind(Box::new(RankIsGone));
        }
        state
    }

    /// What all ranks brought, in their order. All must call the same operation, which MPI does not notice.
    fn share(&self, rank: usize, operation: Operation, own: Vec<u8>) -> Arc<Vec<Vec<u8>>> {
        // A rank may be here again before the others have taken what was brought last.
        let mut state = self.wait(self.lock(), |state| state.taken == 0 && state.brought[rank].is_none());
        let first = state.brought.iter().flatten().next().map(|(first, _)| *first);
        assert!(
            first.is_none_or(|first| first == operation),
            "rank {rank} calls {operation:?}, others {first:?}"
        );
        state.brought[rank] = Some((operation, own));
        if state.brought.iter().all(Option::is_some) {
            let all = state.brought.iter_mut().filter_map(Option::take).map(|(_, bytes)| bytes).collect();
            (state.all, state.taken) = (Arc::new(all), self.size);
            self.changed.notify_all();
        }
        let mut state = self.wait(state, |state| state.taken > 0);
        let all = Arc::clone(&state.all);
        state.taken -= 1;
        self.changed.notify_all();
        all
    }
}

impl Thread {
    fn share(&self, operation: Operation, own: &[f32]) -> Vec<Vec<f32>> {
        let bytes = own.iter().flat_map(|value| value.to_le_bytes()).collect();
        let floats =
            |bytes: &Vec<u8>| bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        self.meeting.share(self.rank, operation, bytes).iter().map(floats).collect()
    }
}

impl Collective for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.meeting.size
    }

    fn local_size(&self) -> usize {
        self.meeting.size
    }

    fn host(&self) -> String {
        format!("thread {}", self.rank)
    }

    fn exchange(&self, pieces: &[f32], received: &mut [f32]) {
        let length = pieces.len() / self.size();
        let own = self.rank * length..(self.rank + 1) * length;
        for (received, pieces) in
            received.chunks_mut(length.max(1)).zip(self.share(Operation::Exchange(pieces.len()), pieces))
        {
            received.copy_from_slice(&pieces[own.clone()]);
        }
    }

    fn all_gather_values(&self, own: &[f32], all: &mut [f32]) {
        assert_eq!(all.len(), own.len() * self.size(), "room for all ranks");
        for (all, own) in
            all.chunks_mut(own.len().max(1)).zip(self.share(Operation::AllGather(own.len()), own))
        {
            all.copy_from_slice(&own);
        }
    }

    fn all_gather_bytes(&self, own: &[u8], all: &mut [u8]) {
        assert_eq!(all.len(), own.len() * self.size(), "room for all ranks");
        let shared = self.meeting.share(self.rank, Operation::AllGatherBytes(own.len()), own.to_vec());
        for (all, own) in all.chunks_mut(own.len().max(1)).zip(shared.iter()) {
            all.copy_from_slice(own);
        }
    }

    fn all_reduce_sum(&self, values: &mut [f32]) {
        // From the last rank down, as some engines do: whoever relies on an order is found out.
        let all = self.share(Operation::AllReduceSum(values.len()), values);
        values.fill(0.0);
        for vector in all.iter().rev() {
            values.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value);
        }
    }

    fn broadcast(&self, bytes: &mut [u8], root: usize) {
        let own = if self.rank == root { bytes.to_vec() } else { Vec::new() };
        let operation = Operation::Broadcast(bytes.len(), root);
        bytes.copy_from_slice(&self.meeting.share(self.rank, operation, own)[root]);
    }

    fn abort(&self, code: i32) -> ! {
        self.meeting.leave();
        resume_unwind(Box::new(format!("rank {} aborted with code {code}", self.rank)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_follow_each_other_without_mixing() {
        let found = run_threads(3, |ranks| {
            let mut sums = Vec::new();
            for round in 0..200_u8 {
                let mut all = [0; 3];
                ranks.all_gather_bytes(&[round ^ ranks.rank() as u8], &mut all);
                assert_eq!(all, [round, round ^ 1, round ^ 2]);
                let mut word = [if ranks.rank() == 2 { round } else { 0 }];
                ranks.broadcast(&mut word, 2);
                assert_eq!(word, [round]);
                let mut sum = [ranks.rank() as f32, 1.0];
                ranks.all_reduce_sum(&mut sum);
                sums.push(sum);
            }
            sums
        });
        assert!(found.iter().flatten().all(|sum| *sum == [3.0, 3.0]));
    }

    #[test]
    fn ranks_that_call_other_operations_are_found_out() {
        let found = catch_unwind(|| {
            run_threads(2, |ranks| match ranks.is_first() {
                true => ranks.all_gather_bytes(&[0], &mut [0; 2]),
                false => ranks.all_gather_bytes(&[0, 0], &mut [0; 4]),
            })
        });
        let panic = found.unwrap_err();
        assert!(panic.downcast_ref::<String>().unwrap().contains("AllGatherBytes"));
    }

    #[test]
    fn a_panic_of_one_rank_ends_all() {
        let found = catch_unwind(|| {
            run_threads(3, |ranks| {
                assert!(ranks.rank() != 1, "rank 1 falls");
                ranks.all_gather_bytes(&[0], &mut [0; 3]);
            })
        });
        let panic = found.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"rank 1 falls"));
    }
}
