//! The same work for many files, on several threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::DataError;

/// Calls `look` with every number below `count`, in parallel on so many threads, or on all cores; the results are in
/// order.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    threads: Option<usize>,
    look: impl Fn(usize) -> Result<T, DataError> + Sync,
    mut progress: impl FnMut(usize),
) -> Vec<Result<T, DataError>> {
    let all_cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.map_or_else(all_cores, |threads| threads.max(1)).min(count);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use super::*;

    /// Bug: `data check --threads N` read masks and sizes of images on all cores.
    #[test]
    fn no_more_threads_look_than_are_given() {
        let seen = Mutex::new(HashSet::new());
        let look = |at: usize| {
            seen.lock().unwrap().insert(thread::current().id());
            Ok(at)
        };
        let results = in_parallel(50, Some(1), look, |_| ());
        let numbers: Vec<usize> = results.into_iter().map(Result::unwrap).collect();
        assert_eq!(numbers, (0..50).collect::<Vec<_>>());
        assert_eq!(seen.into_inner().unwrap().len(), 1);
    }
}
