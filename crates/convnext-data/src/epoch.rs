//! One epoch: batches made ahead in background threads and handed out in order.

use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use convnext_core::Purpose;
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::{
    Batch, Cache, CorruptFile, DataError, Dataset, Decoding, LoaderConfig, OnCorrupt, Transform,
    cache::PictureCache,
    corrupt::{CorruptFiles, most_replaced},
    order::Order,
    prepare_for_evaluation,
};

/// What all threads look at.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) dataset: Dataset,
    pub(crate) transform: Transform,
    /// What files are decoded to.
    pub(crate) decoding: Decoding,
    pub(crate) config: LoaderConfig,
    pub(crate) cache: PictureCache,
    pub(crate) corrupt: CorruptFiles,
}

impl Shared {
    /// Reads an image and makes the values of a model's input of it.
    fn values(&self, epoch: u64, sample: usize) -> Result<Vec<f32>, DataError> {
        let picture = || self.cache.picture(&self.dataset, sample, &self.decoding);
        match &self.transform {
            Transform::Evaluation(preprocessing) => Ok(prepare_for_evaluation(&*picture()?, preprocessing)),
            Transform::Train(train) => {
                let mut rng = self.config.seed.stream(Purpose::Augmentation, epoch, sample as u64);
                // What is kept is whole.
                if self.config.fast_decode && self.config.cache == Cache::Off {
                    // The name may have to be read, so only messages have it.
                    let values =
                        train.apply_to_file(&self.dataset.read(sample)?, "", &self.decoding, &mut rng);
                    return values.map_err(|error| error.named(self.dataset.name(sample)));
                }
                Ok(train.apply(&*picture()?, &mut rng))
            }
        }
    }

    /// One batch; `None` when it was stopped or too many files are corrupt.
    fn batch(&self, plan: &Plan, number: usize, stop: &AtomicBool) -> Made {
        let start = number * self.config.batch_size;
        let end = (start + self.config.batch_size).min(plan.order.len());
        let (side, channels) = (self.transform.image_size(), self.transform.channels());
        let mut batch = Batch {
            images: Vec::with_capacity((end - start) * channels * side * side),
            channels,
            height: side,
            width: side,
            labels: Vec::with_capacity(end - start),
            samples: Vec::with_capacity(end - start),
            epoch: plan.epoch,
            mix: None,
        };
        let mut corrupt = Vec::new();
        for position in start..end {
            let (sample, values) = match self.good_values(plan, position, stop, &mut corrupt) {
                Ok(Found::Good(sample, values)) => (sample, values),
                Ok(Found::Skipped) => continue,
                Ok(Found::Nothing) => return Made { batch: Ok(None), corrupt },
                Err(error) => return Made { batch: Err(error), corrupt },
            };
            batch.images.extend(values);
            batch.labels.push(self.dataset.label(sample));
            batch.samples.push(sample);
        }
        if let Some(mixing) = self.config.mixing {
            mixing
                .apply(&mut batch, &mut self.config.seed.stream(Purpose::Mixing, plan.epoch, number as u64));
        }
        Made { batch: Ok(Some(batch)), corrupt }
    }

    /// The image at a position of the order or, if it is corrupt and may be replaced, the next good one
    /// after it (the first position follows the last).
    fn good_values(
        &self,
        plan: &Plan,
        position: usize,
        stop: &AtomicBool,
        corrupt: &mut Vec<CorruptFile>,
    ) -> Result<Found, DataError> {
        let total = plan.order.len();
        let mut last_error = None;
        for step in 0..total {
            let sample = plan.order.sample((position + step) % total);
            if stop.load(Ordering::Relaxed) {
                return Ok(Found::Nothing);
            }
            let error = match self.values(plan.epoch, sample) {
                Ok(values) => return Ok(Found::Good(sample, values)),
                Err(error) => error,
            };
            // A damaged shard is no single image that another could stand in for, and other channels are no damage.
            let other = matches!(error, DataError::Archive { .. } | DataError::Channels { .. });
            if other || self.config.on_corrupt == OnCorrupt::Fail {
                return Err(error);
            }
            let name = self.dataset.name(sample);
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

/// What came of the search for an image.
enum Found {
    /// A sample and its values.
    Good(usize, Vec<f32>),
    /// The image is left out.
    Skipped,
    /// The epoch was stopped, or more files are corrupt than may be.
    Nothing,
}

/// The order of one epoch.
struct Plan {
    epoch: u64,
    order: Order,
}

/// What a thread made of one batch.
struct Made {
    batch: Result<Option<Batch>, DataError>,
    /// Files that were replaced. They are reported with their batch and not when a thread finds them, so
    /// that the order of reports and errors does not depend on the threads.
    corrupt: Vec<CorruptFile>,
}

/// The number of a batch and what became of it, or the panic of its thread.
type Answer = (usize, Result<Made, Box<dyn Any + Send>>);

/// The batches of one epoch in order, made ahead by threads of their own. Dropping it stops and joins
/// them. After an error there are no more batches.
pub struct EpochBatches {
    shared: Arc<Shared>,
    jobs: Option<Sender<usize>>,
    answers: Receiver<Answer>,
    waiting: BTreeMap<usize, Made>,
    next_job: usize,
    next_batch: usize,
    end: usize,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl EpochBatches {
    pub(crate) fn start(shared: &Arc<Shared>, epoch: u64, first_batch: usize, end: usize) -> Self {
        let (jobs, job_queue) = unbounded::<usize>();
        let (answer, answers) = unbounded::<Answer>();
        let stop = Arc::new(AtomicBool::new(false));
        let config = &shared.config;
        let plan =
            Arc::new(Plan { epoch, order: Order::new(&shared.dataset, config.shuffle, config.seed, epoch) });
        let threads = (0..shared.config.threads.min(end.saturating_sub(first_batch)))
            .map(|_| {
                let (shared, plan, stop) = (Arc::clone(shared), Arc::clone(&plan), Arc::clone(&stop));
                let (job_queue, answer) = (job_queue.clone(), answer.clone());
                std::thread::spawn(move || {
                    for number in job_queue {
                        let made = catch_unwind(AssertUnwindSafe(|| shared.batch(&plan, number, &stop)));
                        if stop.load(Ordering::Relaxed) || answer.send((number, made)).is_err() {
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
            next_job: first_batch,
            next_batch: first_batch,
            end,
            stop,
            threads,
        };
        batches.order_ahead();
        batches
    }

    /// Keeps `queue` batches in the making.
    fn order_ahead(&mut self) {
        let until = (self.next_batch + self.shared.config.queue).min(self.end);
        if let Some(jobs) = &self.jobs {
            // The threads listen until this sender is gone.
            while self.next_job < until && jobs.send(self.next_job).is_ok() {
                self.next_job += 1;
            }
        }
    }

    /// Waits for a batch, keeping those that are ready before it.
    fn wait_for(&mut self, number: usize) -> Option<Made> {
        while !self.waiting.contains_key(&number) {
            let (ready, made) = self.answers.recv().ok()?;
            self.waiting.insert(ready, made.unwrap_or_else(|panic| resume_unwind(panic)));
        }
        self.waiting.remove(&number)
    }

    /// The batch of one answer, once its corrupt files are reported.
    fn accept(&self, made: Made) -> Result<Option<Batch>, DataError> {
        for file in made.corrupt {
            self.shared.corrupt.add(file, self.shared.dataset.len(), self.shared.config.on_corrupt)?;
        }
        made.batch
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

impl Iterator for EpochBatches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next_batch >= self.end {
            return None;
        }
        let made = self.wait_for(self.next_batch)?;
        self.next_batch += 1;
        let batch = self.accept(made);
        if !matches!(batch, Ok(Some(_))) {
            self.end = self.next_batch;
            self.finish();
        }
        self.order_ahead();
        batch.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end.saturating_sub(self.next_batch)))
    }
}

impl Drop for EpochBatches {
    fn drop(&mut self) {
        self.finish();
    }
}
