//! Batches of a data set, made in background threads.

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

use convnext_core::{Preprocessing, Purpose, Seed};
use crossbeam_channel::{Receiver, Sender, unbounded};
use rand::seq::SliceRandom;

use crate::{
    CorruptFile, DataError, Dataset, OnCorrupt, Orientation, Picture, TrainTransform,
    corrupt::{CorruptFiles, most_replaced},
    prepare_for_evaluation,
    transform::validate_preprocessing,
};

/// Some images, ready for a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Shape `[len, channels, height, width]`, normalised.
    pub images: Vec<f32>,
    /// Always 3.
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The class of each image.
    pub labels: Vec<Option<usize>>,
    /// The index of each image in the data set. Random streams are keyed by it.
    pub samples: Vec<usize>,
    /// The epoch that the batch belongs to.
    pub epoch: u64,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// `true` when there is no image.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }
}

/// What happens to each picture.
#[derive(Debug, Clone, PartialEq)]
pub enum Transform {
    /// Random crops and flips.
    Train(TrainTransform),
    /// The centre of the picture, always the same.
    Evaluation(Preprocessing),
}

impl Transform {
    /// Side of the square that comes out, in pixels.
    fn image_size(&self) -> usize {
        match self {
            Self::Train(train) => train.image_size,
            Self::Evaluation(preprocessing) => preprocessing.image_size,
        }
    }

    fn validate(&self) -> Result<(), DataError> {
        match self {
            Self::Train(train) => train.validate(),
            Self::Evaluation(preprocessing) => validate_preprocessing(preprocessing),
        }
    }
}

/// How a [`Loader`] goes through its data set.
#[derive(Debug, Clone)]
pub struct LoaderConfig {
    /// Images in a batch, at least 1.
    pub batch_size: usize,
    /// Background threads, at least 1. Each makes one batch at a time.
    pub threads: usize,
    /// Batches that are finished or being made ahead of their use, at least 1, such as 4. Fewer than
    /// `threads` leave some threads idle.
    pub queue: usize,
    /// Another order in each epoch; otherwise the order of the data set.
    pub shuffle: bool,
    /// Leave out the last batch when it is not full.
    pub drop_last: bool,
    /// What to do with the orientation that a camera wrote into a file.
    pub orientation: Orientation,
    /// What to do about images that cannot be read.
    pub on_corrupt: OnCorrupt,
    /// The seed of the run.
    pub seed: Seed,
}

/// Reads, transforms and batches a data set in background threads.
///
/// What comes out depends on the seed, the epoch and the index of a sample, never on the number of
/// threads.
#[derive(Debug, Clone)]
pub struct Loader {
    shared: Arc<Shared>,
}

impl Loader {
    /// A loader for a data set.
    ///
    /// # Errors
    /// [`DataError::OutOfRange`] for a setting that makes no sense, [`DataError::TooFewSamples`] when
    /// there is not a single batch.
    pub fn new(dataset: Dataset, transform: Transform, config: LoaderConfig) -> Result<Self, DataError> {
        for (what, value) in [
            ("batch size", config.batch_size),
            ("number of loader threads", config.threads),
            ("loader queue", config.queue),
        ] {
            DataError::check(value > 0, what, value, "at least 1")?;
        }
        transform.validate()?;
        let (samples, batch_size) = (dataset.len(), config.batch_size);
        if samples == 0 || (config.drop_last && samples < batch_size) {
            let advice = match samples {
                0 => "give a data set with images",
                _ => "lower the batch size, add images, or keep the last batch although it is not full",
            };
            return Err(DataError::TooFewSamples { samples, batch_size, advice });
        }
        let shared = Shared { dataset, transform, config, corrupt: CorruptFiles::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Number of batches that an epoch has.
    pub fn batches_per_epoch(&self) -> usize {
        let (samples, batch_size) = (self.shared.dataset.len(), self.shared.config.batch_size);
        if self.shared.config.drop_last { samples / batch_size } else { samples.div_ceil(batch_size) }
    }

    /// Number of images in the data set, whether or not the last batch is left out.
    pub fn samples(&self) -> usize {
        self.shared.dataset.len()
    }

    /// The data set.
    pub fn dataset(&self) -> &Dataset {
        &self.shared.dataset
    }

    /// The corrupt files that were replaced so far, each once, sorted by name.
    pub fn corrupt(&self) -> Vec<CorruptFile> {
        self.shared.corrupt.sorted()
    }

    /// The batches of an epoch. Threads work ahead until the iterator is dropped.
    pub fn epoch(&self, epoch: u64) -> EpochBatches {
        self.epoch_from(epoch, 0)
    }

    /// The batches of an epoch from the batch `first_batch` on: the same ones that [`Self::epoch`] gives
    /// after as many others.
    pub fn epoch_from(&self, epoch: u64, first_batch: usize) -> EpochBatches {
        EpochBatches::start(&self.shared, epoch, first_batch, self.batches_per_epoch())
    }
}

/// What all threads look at.
#[derive(Debug)]
struct Shared {
    dataset: Dataset,
    transform: Transform,
    config: LoaderConfig,
    corrupt: CorruptFiles,
}

impl Shared {
    /// The order of the samples of an epoch.
    fn order(&self, epoch: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.dataset.len()).collect();
        if self.config.shuffle {
            order.shuffle(&mut self.config.seed.stream(Purpose::Order, epoch, 0));
        }
        order
    }

    fn values(&self, picture: &Picture, epoch: u64, sample: usize) -> Vec<f32> {
        match &self.transform {
            Transform::Train(train) => train
                .apply(picture, &mut self.config.seed.stream(Purpose::Augmentation, epoch, sample as u64)),
            Transform::Evaluation(preprocessing) => prepare_for_evaluation(picture, preprocessing),
        }
    }

    /// One batch; `None` when it was stopped or too many files are corrupt.
    fn batch(&self, plan: &Plan, number: usize, stop: &AtomicBool) -> Made {
        let start = number * self.config.batch_size;
        let end = (start + self.config.batch_size).min(plan.order.len());
        let side = self.transform.image_size();
        let mut batch = Batch {
            images: Vec::with_capacity((end - start) * 3 * side * side),
            channels: 3,
            height: side,
            width: side,
            labels: Vec::with_capacity(end - start),
            samples: Vec::with_capacity(end - start),
            epoch: plan.epoch,
        };
        let mut corrupt = Vec::new();
        for position in start..end {
            let (sample, picture) = match self.good_picture(plan, position, stop, &mut corrupt) {
                Ok(Some(found)) => found,
                Ok(None) => return Made { batch: Ok(None), corrupt },
                Err(error) => return Made { batch: Err(error), corrupt },
            };
            batch.images.extend(self.values(&picture, plan.epoch, sample));
            batch.labels.push(self.dataset.label(sample));
            batch.samples.push(sample);
        }
        Made { batch: Ok(Some(batch)), corrupt }
    }

    /// The picture at a position of the order or, if it is corrupt and may be replaced, the next good one
    /// after it (the first position follows the last). `None` when stopped, or when more files are corrupt
    /// than may be.
    fn good_picture(
        &self,
        plan: &Plan,
        position: usize,
        stop: &AtomicBool,
        corrupt: &mut Vec<CorruptFile>,
    ) -> Result<Option<(usize, Picture)>, DataError> {
        let total = plan.order.len();
        let mut last_error = None;
        for &sample in plan.order.iter().cycle().skip(position).take(total) {
            if stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let error = match self.dataset.picture(sample, self.config.orientation) {
                Ok(picture) => return Ok(Some((sample, picture))),
                Err(error) => error,
            };
            if self.config.on_corrupt == OnCorrupt::Fail {
                return Err(error);
            }
            let name = self.dataset.name(sample);
            if !corrupt.iter().any(|file| file.name == name) {
                corrupt.push(CorruptFile { name: name.to_owned(), why: error.reason() });
            }
            if corrupt.len() > most_replaced(total) {
                return Ok(None);
            }
            last_error = Some(error);
        }
        // A subset may name one corrupt file many times and nothing else.
        last_error.map_or(Ok(None), Err)
    }
}

/// The order of one epoch.
struct Plan {
    epoch: u64,
    order: Vec<usize>,
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
    fn start(shared: &Arc<Shared>, epoch: u64, first_batch: usize, end: usize) -> Self {
        let (jobs, job_queue) = unbounded::<usize>();
        let (answer, answers) = unbounded::<Answer>();
        let stop = Arc::new(AtomicBool::new(false));
        let plan = Arc::new(Plan { epoch, order: shared.order(epoch) });
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
            self.shared.corrupt.add(file, self.shared.dataset.len())?;
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
