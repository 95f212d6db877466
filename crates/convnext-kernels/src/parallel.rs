//! Work on all threads of the pool: many short pieces, one after the other, with little time between.
//!
//! Rayon puts a thread to sleep that finds no work for some microseconds, and waking it takes longer than
//! many a kernel. So whoever waits here keeps looking for work, and the other threads go on looking for a
//! while after the last piece.

use std::sync::atomic::{AtomicUsize, Ordering::{AcqRel, Acquire, Relaxed, Release}};
use std::time::{Duration, Instant};

use rayon::Yield;

/// How long a thread looks for work before rayon may put it to sleep: longer than what lies between two
/// kernels, shorter than anybody notices.
const PATIENCE: Duration = Duration::from_micros(500);

/// Calls so far: tells the threads that look for work that there will be some.
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Threads that look for work.
static LOOKING: AtomicUsize = AtomicUsize::new(0);

/// Does `work` on each of the items, in any order.
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
                work(item);
                left.fetch_sub(1, Release);
            });
        }
        work(last);
        while left.load(Acquire) > 0 {
            look_for_work();
        }
    });
}

/// What `work` makes of each of the items, in their order.
pub(crate) fn map<T: Send, R: Send>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let items: Vec<T> = items.into_iter().collect();
    let mut found: Vec<Option<R>> = items.iter().map(|_| None).collect();
    for_each(items.into_iter().zip(&mut found), |(item, found)| *found = Some(work(item)));
    found.into_iter().flatten().collect()
}

/// Does a piece of work of anybody, if there is one.
fn look_for_work() -> bool {
    let found = rayon::yield_now() == Some(Yield::Executed);
    if !found {
        std::thread::yield_now();
    }
    found
}

fn keep_threads_awake() {
    CALLS.fetch_add(1, Relaxed);
    let caller = rayon::current_thread_index();
    let others = rayon::current_num_threads() - usize::from(caller.is_some());
    if LOOKING.compare_exchange(0, others, AcqRel, Relaxed).is_ok() {
        rayon::spawn_broadcast(move |thread| {
            if Some(thread.index()) != caller {
                wait_for_calls();
                LOOKING.fetch_sub(1, AcqRel);
            }
        });
    }
}

fn wait_for_calls() {
    let (mut calls, mut since) = (CALLS.load(Relaxed), Instant::now());
    while since.elapsed() < PATIENCE {
        let now = CALLS.load(Relaxed);
        if look_for_work() || now != calls {
            (calls, since) = (now, Instant::now());
        }
    }
}
