//! Short tasks on all threads of rayon's pool, many times in a row.
//!
//! Rayon puts a thread to sleep that has found no work for some microseconds, and waking it takes longer
//! than many a kernel. So a waiting caller spins for work, and the other threads spin for a while after their
//! last task; each yields to any other thread of the machine.
//!
//! Calls may be nested: a thread that waits for its own tasks runs those of others.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use rayon::Yield;

/// Values of a task that is cut by values, about.
pub(crate) const TASK_VALUES: usize = 1 << 14;

/// Rows of a task that is cut by rows; even, so that it has whole row pairs.
pub(crate) const TASK_ROWS: usize = 256;

/// Time that a thread spins before rayon may put it to sleep: longer than the gap between two kernels, too
/// short to matter.
const SPIN_TIME: Duration = Duration::from_micros(500);

/// Calls so far: a change tells spinning threads that more work is likely.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Spinning threads.
static SPINNING: AtomicUsize = AtomicUsize::new(0);

/// Runs `work` on each item, in any order.
pub(crate) fn for_each<T: Send>(items: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let mut items: Vec<T> = items.into_iter().collect();
    let Some(last) = items.pop() else { return };
    if items.is_empty() || rayon::current_num_threads() == 1 {
        items.into_iter().for_each(&work);
        return work(last);
    }
    keep_threads_awake();
    let left = AtomicUsize::new(items.len());
    rayon::in_place_scope(|scope| {
        for item in items {
            let (work, left) = (&work, &left);
            scope.spawn(move |_| {
                let _done = Done(left);
                work(item);
            });
        }
        work(last);
        while left.load(Acquire) > 0 {
            run_one_task();
        }
    });
}

/// Maps the items by `work`, in their order.
pub(crate) fn map<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let items: Vec<T> = items.into_iter().collect();
    let mut found: Vec<Option<R>> = items.iter().map(|_| None).collect();
    for_each(items.into_iter().zip(&mut found), |(item, found)| *found = Some(work(item)));
    found.into_iter().flatten().collect()
}

/// Counts a task as done when it is dropped, so that a panic in it reaches the caller as well.
struct Done<'a>(&'a AtomicUsize);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Release);
    }
}

/// Runs one pending task of any caller; `false` if there was none.
fn run_one_task() -> bool {
    let found = rayon::yield_now() == Some(Yield::Executed);
    if !found {
        std::thread::yield_now();
    }
    found
}

/// Makes all other threads of the pool spin, if they do not already.
fn keep_threads_awake() {
    CALLS.fetch_add(1, Relaxed);
    let caller = rayon::current_thread_index();
    let others = rayon::current_num_threads() - usize::from(caller.is_some());
    if SPINNING.compare_exchange(0, others, AcqRel, Relaxed).is_ok() {
        rayon::spawn_broadcast(move |thread| {
            if Some(thread.index()) != caller {
                spin();
                SPINNING.fetch_sub(1, AcqRel);
            }
        });
    }
}

/// Spins until there has been neither a task nor a call for [`SPIN_TIME`].
fn spin() {
    let (mut calls, mut since) = (CALLS.load(Relaxed), Instant::now());
    while since.elapsed() < SPIN_TIME {
        let now = CALLS.load(Relaxed);
        if run_one_task() || now != calls {
            (calls, since) = (now, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn every_task_runs_once_and_results_are_in_order() {
        for threads in [1, 2, 5] {
            for count in [0, 1, 2, 3, 100] {
                let squares = on_threads(threads, || map(0..count, |item: usize| item * item));
                assert_eq!(squares, (0..count).map(|item| item * item).collect::<Vec<_>>());
            }
        }
        // From outside of any pool, too.
        assert_eq!(map(0..10, |item| item + 1), (1..11).collect::<Vec<_>>());
    }

    #[test]
    fn calls_can_be_nested() {
        let table = |rows: usize| map(0..rows, |row| map(0..row, |column| row * column));
        let expected: Vec<Vec<usize>> =
            (0..40).map(|row| (0..row).map(|column| row * column).collect()).collect();
        for threads in [1, 2, 5] {
            assert_eq!(on_threads(threads, || table(40)), expected);
        }
    }

    #[test]
    #[should_panic(expected = "the fifth task")]
    fn a_panic_reaches_the_caller() {
        on_threads(2, || for_each(0..10, |item| assert!(item != 5, "the fifth task")));
    }
}
