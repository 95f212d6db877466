//! One epoch: batches prefetched in background threads and handed out in order.

use std::{
    any::Any,
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::error::DataError;
use crate::loading::corrupt::{CorruptFiles, OnCorrupt};
use crate::loading::corrupt_file::{CorruptFile, most_replaced};
use crate::loading::image_reader::ImageReader;
use crate::loading::image_source::ImageSource;
use crate::loading::loader_config::LoaderConfig;
use crate::loading::order::Order;
use crate::loading::source::{BatchContext, SampleContext, Source};

/// State shared by all threads.
#[derive(Debug)]
pub(crate) struct Shared<S> {
    pub(crate) source: S,
    pub(crate) reader: ImageReader,
    pub(crate) config: LoaderConfig,
    pub(crate) corrupt: CorruptFiles,
}

impl<S: Source> Shared<S> {
    /// One batch; `None` when it was stopped or too many files are corrupt.
    fn batch(&self, plan: &Plan, number: usize, stop: &AtomicBool) -> MadeBatch<S::Batch> {
        let start = number * self.config.batch_size;
        let end = (start + self.config.batch_size).min(plan.order.len());
        let place = BatchContext { seed: self.config.seed, epoch: plan.epoch, number };
        let draw = self.source.draw(place);
        let mut samples = Vec::with_capacity(end - start);
        let mut corrupt = Vec::new();
        for position in start..end {
            match self.good_sample(plan, position, (&draw, stop), &mut corrupt) {
                Ok(Found::Good(sample, ready)) => samples.push((sample, ready)),
                Ok(Found::Skipped) => {}
                Ok(Found::Nothing) => return MadeBatch { batch: Ok(None), corrupt },
                Err(error) => return MadeBatch { batch: Err(error), corrupt },
            }
        }
        MadeBatch { batch: Ok(Some(self.source.collate(place, draw, samples))), corrupt }
    }

    /// Counts and reports corrupt files, each once.
    pub(crate) fn report(&self, files: Vec<CorruptFile>) -> Result<(), DataError> {
        let (total, how) = (self.source.dataset().len(), self.config.on_corrupt);
        files.into_iter().try_for_each(|file| self.corrupt.add(file, total, how))
    }

    /// The image at a position of the order or, if it is corrupt and may be replaced, the next good one
    /// after it (the first position follows the last).
    fn good_sample(
        &self,
        plan: &Plan,
        position: usize,
        (draw, stop): (&S::Draw, &AtomicBool),
        corrupt: &mut Vec<CorruptFile>,
    ) -> Result<Found<S::Sample>, DataError> {
        let total = plan.order.len();
        let mut last_error = None;
        for step in 0..total {
            let sample = plan.order.sample((position + step) % total);
            if stop.load(Ordering::Relaxed) {
                return Ok(Found::Nothing);
            }
            let visit = SampleContext { seed: self.config.seed, epoch: plan.epoch, sample };
            let error = match self.source.load(visit, draw, &self.reader) {
                Ok(ready) => return Ok(Found::Good(sample, ready)),
                Err(error) => error,
            };
            // A damaged shard is no single image that another could stand in for, and other channels are no damage.
            let other = matches!(error, DataError::Archive { .. } | DataError::Channels { .. });
            // What was named itself is wanted, whatever else is left out.
            let is_wanted =
                self.config.on_corrupt == OnCorrupt::Skip && self.source.dataset().is_named(sample);
            if other || is_wanted || self.config.on_corrupt == OnCorrupt::Fail {
                return Err(error);
            }
            let name = self.source.dataset().name(sample);
            if !corrupt.iter().any(|file| file.name == name) {
                corrupt.push(CorruptFile { name, why: error.reason() });
            }
            if matches!(self.config.on_corrupt, OnCorrupt::Skip | OnCorrupt::SkipFew) {
                return Ok(Found::Skipped);
            }
            if corrupt.len() > most_replaced(total) {
                return Ok(Found::Nothing);
            }
            last_error = Some(error);
        }
        // A subset may name one corrupt file many times and nothing else.
        last_error.map_or(Ok(Found::Nothing), Err)
    }
}

/// Result of the search for an image.
enum Found<T> {
    /// The index of a sample, and the sample.
    Good(usize, T),
    /// The image is left out.
    Skipped,
    /// The epoch was stopped, or more files are corrupt than may be.
    Nothing,
}

/// The order of one epoch, and what is wanted of it.
struct Plan {
    epoch: u64,
    order: Order,
    /// The numbers of the batches that are handed out, in this order.
    numbers: Vec<usize>,
}

/// A batch as a thread made it.
#[derive(Debug)]
pub struct MadeBatch<B> {
    /// The batch; `None` when more files are corrupt than may be replaced.
    pub batch: Result<Option<B>, DataError>,
    /// Corrupt files that were met on the way. They are reported with their batch and not when a thread finds them, so
    /// that the order of reports and errors does not depend on the threads.
    pub corrupt: Vec<CorruptFile>,
}

/// The place of a batch in [`Plan::numbers`] and what became of it, or the panic of its thread.
type Answer<B> = (usize, Result<MadeBatch<B>, Box<dyn Any + Send>>);

/// Batches of one epoch in order, prefetched by threads of their own. Dropping it stops and joins
/// them. After an error there are no more batches.
pub struct EpochBatches<S: Source = ImageSource> {
    shared: Arc<Shared<S>>,
    /// Places in [`Plan::numbers`] that a thread is to make next.
    jobs: Option<Sender<usize>>,
    answers: Receiver<Answer<S::Batch>>,
    waiting: BTreeMap<usize, MadeBatch<S::Batch>>,
    /// Places of the batches that were not handed out yet, of which the first `ordered` are in the making.
    left: Range<usize>,
    ordered: usize,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl<S: Source> EpochBatches<S> {
    /// The batches with these numbers.
    pub(crate) fn start(shared: &Arc<Shared<S>>, epoch: u64, numbers: Vec<usize>) -> Self {
        let (jobs, job_queue) = unbounded::<usize>();
        let (answer, answers) = unbounded::<Answer<S::Batch>>();
        let stop = Arc::new(AtomicBool::new(false));
        let config = &shared.config;
        let order = Order::new(shared.source.dataset(), config.shuffle, config.seed, epoch);
        let left = 0..numbers.len();
        let plan = Arc::new(Plan { epoch, order, numbers });
        let threads = (0..shared.config.threads.min(left.len()))
            .map(|_| {
                let (shared, plan, stop) = (Arc::clone(shared), Arc::clone(&plan), Arc::clone(&stop));
                let (job_queue, answer) = (job_queue.clone(), answer.clone());
                std::thread::spawn(move || {
                    for place in job_queue {
                        let make = || shared.batch(&plan, plan.numbers[place], &stop);
                        let made = catch_unwind(AssertUnwindSafe(make));
                        if stop.load(Ordering::Relaxed) || answer.send((place, made)).is_err() {
                            break;
                        }
                    }
                })
            })
            .collect();
        let mut batches = Self {
            shared: Arc::clone(shared),
            jobs: Some(jobs),
            answers,
            waiting: BTreeMap::new(),
            left,
            ordered: 0,
            stop,
            threads,
        };
        batches.order_ahead();
        batches
    }

    /// Keeps `queue` batches in the making.
    fn order_ahead(&mut self) {
        let Some(jobs) = &self.jobs else { return };
        while self.ordered < self.shared.config.queue.min(self.left.len()) {
            // The threads listen until this sender is gone.
            if jobs.send(self.left.start + self.ordered).is_err() {
                return;
            }
            self.ordered += 1;
        }
    }

    /// Waits for a batch, keeping those that are ready before it.
    fn wait_for(&mut self, place: usize) -> Option<MadeBatch<S::Batch>> {
        while !self.waiting.contains_key(&place) {
            let (ready, made) = self.answers.recv().ok()?;
            match made {
                Ok(made) => self.waiting.insert(ready, made),
                Err(panic) => {
                    self.end();
                    resume_unwind(panic)
                }
            };
        }
        self.waiting.remove(&place)
    }

    /// The next batch before its corrupt files are reported. Whoever shares an epoch with others reports them with those
    /// of the others, by [`crate::Loader::report_corrupt`]; the iterator does it by itself.
    pub fn next_made(&mut self) -> Option<MadeBatch<S::Batch>> {
        let place = self.left.next()?;
        let made = self.wait_for(place)?;
        self.ordered -= 1;
        if !matches!(made.batch, Ok(Some(_))) {
            self.end();
        }
        self.order_ahead();
        Some(made)
    }

    /// Ends the epoch here.
    fn end(&mut self) {
        self.left = 0..0;
        self.finish();
    }

    fn finish(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // A panic of a thread has been passed on with its answer.
            let _ = thread.join();
        }
    }
}

impl<S: Source> Iterator for EpochBatches<S> {
    type Item = Result<S::Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let made = self.next_made()?;
        if let Err(error) = self.shared.report(made.corrupt) {
            self.end();
            return Some(Err(error));
        }
        made.batch.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left.len()))
    }
}

impl<S: Source> Drop for EpochBatches<S> {
    fn drop(&mut self) {
        self.finish();
    }
}
