//! The same work for many files, on all cores.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::DataError;

/// Calls `look` with every number below `count`, in parallel; the results are in order.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    look: impl Fn(usize) -> Result<T, DataError> + Sync,
    mut progress: impl FnMut(usize),
) -> Vec<Result<T, DataError>> {
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count);
    let next = AtomicUsize::new(0);
    let (sender, found) = crossbeam_channel::bounded(2 * threads.max(1));
    let mut results: Vec<(usize, Result<T, DataError>)> = Vec::with_capacity(count);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next, look) = (sender.clone(), &next, &look);
            scope.spawn(move || {
                let mut at = next.fetch_add(1, Ordering::Relaxed);
                while at < count && sender.send((at, look(at))).is_ok() {
                    at = next.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(sender);
        for (done, result) in (1..).zip(found) {
            results.push(result);
            progress(done);
        }
    });
    results.sort_unstable_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}
