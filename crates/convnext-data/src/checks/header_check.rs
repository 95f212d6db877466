//! Check of all files of a data set before a training, so that none ends it later.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use convnext_core::{Purpose, Seed, ValueRange};

use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::loading::corrupt_file::{Allowed, CorruptFile, listed};
use crate::pixels::orientation::Orientation;
use crate::reading::decoding::Decoding;
use crate::reading::headers::looks_sound;

/// Settings of [`check_headers`].
#[derive(Debug, Clone, Copy)]
pub struct HeaderCheck {
    /// Channels that the images are decoded to.
    pub channels: usize,
    /// `true` if no file may be unreadable; otherwise at most 1 % of each part may.
    pub strict: bool,
    /// Threads that read, at least 1.
    pub threads: usize,
    /// Decides which files are looked at first where there are very many.
    pub seed: Seed,
}

/// Files above which only some are looked at before the training begins.
const MANY: usize = 100_000;

/// Number of these.
const FIRST: usize = 20_000;

/// Looks at the first and last bytes of all files of the parts of a data set, such as `("training", ...)`, and decodes
/// those that do not look sound. Above 100,000 files it looks at 20,000 chosen by the seed, and a thread in the
/// background at the rest; it ends with the check that comes back.
///
/// Unreadable files are reported in one warning. A file that looks sound may still be damaged within.
///
/// # Errors
/// [`DataError::TooManyCorrupt`] with the first ten unreadable files when there are more than may be;
/// [`DataError::Archive`] and [`DataError::Channels`], which no other image can make up for.
pub fn check_headers(
    parts: &[(&str, &Dataset)],
    how: HeaderCheck,
) -> Result<Option<BackgroundCheck>, DataError> {
    check_some(parts, how, MANY, FIRST)
}

fn check_some(
    parts: &[(&str, &Dataset)],
    how: HeaderCheck,
    many: usize,
    first: usize,
) -> Result<Option<BackgroundCheck>, DataError> {
    let parts = Parts(parts.iter().map(|&(name, dataset)| (name.to_owned(), dataset.clone())).collect());
    let total = parts.images();
    if total <= many {
        let all: Vec<usize> = (0..total).collect();
        parts.judge(&how, &parts.look(&all, &how, &AtomicBool::new(false))?)?;
        return Ok(None);
    }
    let mut random = how.seed.stream(Purpose::HeaderSample, 0, 0);
    let mut chosen = rand::seq::index::sample(&mut random, total, first).into_vec();
    chosen.sort_unstable();
    let found = parts.look(&chosen, &how, &AtomicBool::new(false))?;
    parts.judge_some(&how, &found, &chosen)?;
    Ok(Some(BackgroundCheck::start(parts, how, chosen, found)))
}

/// Parts with their images numbered through.
struct Parts(Vec<(String, Dataset)>);

/// An unreadable file: its part, its number, and what is wrong.
struct Finding {
    image: usize,
    part: usize,
    file: CorruptFile,
}

impl Parts {
    fn images(&self) -> usize {
        self.0.iter().map(|(_, dataset)| dataset.len()).sum()
    }

    /// The part of an image and its number there.
    fn place(&self, image: usize) -> (usize, usize) {
        let mut left = image;
        for (part, (_, dataset)) in self.0.iter().enumerate() {
            match left.checked_sub(dataset.len()) {
                None => return (part, left),
                Some(beyond) => left = beyond,
            }
        }
        (0, 0)
    }

    /// Errors of some images, in their order.
    fn look(
        &self,
        images: &[usize],
        how: &HeaderCheck,
        stop: &AtomicBool,
    ) -> Result<Vec<Finding>, DataError> {
        /// Images that a thread takes at a time.
        const SHARE: usize = 64;
        let next = AtomicUsize::new(0);
        let found = Mutex::new((Vec::new(), Vec::new()));
        thread::scope(|scope| {
            for _ in 0..how.threads.clamp(1, images.len().div_ceil(SHARE).max(1)) {
                scope.spawn(|| {
                    while let Some(share) = images.chunks(SHARE).nth(next.fetch_add(1, Ordering::Relaxed)) {
                        for &image in share.iter().take_while(|_| !stop.load(Ordering::Relaxed)) {
                            let (part, index) = self.place(image);
                            let dataset = &self.0[part].1;
                            let Err(error) = look(dataset, index, how.channels) else { continue };
                            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                            if matches!(error, DataError::Archive { .. } | DataError::Channels { .. }) {
                                found.1.push((image, error));
                            } else {
                                let file = CorruptFile { name: dataset.name(index), why: error.reason() };
                                found.0.push(Finding { image, part, file });
                            }
                        }
                    }
                });
            }
        });
        let (mut found, mut fatal) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        fatal.sort_by_key(|(image, _)| *image);
        if let Some((_, error)) = fatal.into_iter().next() {
            return Err(error);
        }
        found.sort_by_key(|finding| finding.image);
        Ok(found)
    }

    /// Refuses too many findings among all images, and warns of few.
    fn judge(&self, how: &HeaderCheck, found: &[Finding]) -> Result<(), DataError> {
        let sizes: Vec<usize> = self.0.iter().map(|(_, dataset)| dataset.len()).collect();
        self.refuse(how, found, &sizes, |allowed| allowed)?;
        if !found.is_empty() {
            let files: Vec<CorruptFile> = found.iter().map(|finding| finding.file.clone()).collect();
            log::warn!(
                "{} cannot be read; other images replace them in training, and they are left out of validation:{}",
                self.counts(found, &sizes),
                listed(&files, files.len())
            );
        }
        Ok(())
    }

    /// Refuses what is found among some images if it is certainly too much among all: chance alone does not double it,
    /// and does not make this many of none.
    fn judge_some(&self, how: &HeaderCheck, found: &[Finding], images: &[usize]) -> Result<(), DataError> {
        const MORE: usize = 10;
        let mut sizes = vec![0; self.0.len()];
        images.iter().for_each(|&image| sizes[self.place(image).0] += 1);
        self.refuse(how, found, &sizes, |allowed| if how.strict { 0 } else { 2 * allowed + MORE })
    }

    fn refuse(
        &self,
        how: &HeaderCheck,
        found: &[Finding],
        sizes: &[usize],
        most: impl Fn(usize) -> usize,
    ) -> Result<(), DataError> {
        let allowed = if how.strict { Allowed::None } else { Allowed::OnePercent };
        let too_many = |part: usize| {
            let count = found.iter().filter(|finding| finding.part == part).count();
            count > most(allowed.of(sizes[part]))
        };
        if !(0..self.0.len()).any(too_many) {
            return Ok(());
        }
        let files = found.iter().map(|finding| finding.file.clone()).collect();
        Err(DataError::too_many_corrupt(self.counts(found, sizes), allowed, files))
    }

    /// Text with the numbers of unreadable images.
    fn counts(&self, found: &[Finding], sizes: &[usize]) -> String {
        let single = self.0.len() == 1;
        let count = |part: usize| found.iter().filter(|finding| finding.part == part).count();
        let counts: Vec<String> = (0..self.0.len())
            .filter(|&part| count(part) > 0)
            .map(|part| match single {
                true => format!("{} of {} images", count(part), sizes[part]),
                false => format!("{} of {} {} images", count(part), sizes[part], self.0[part].0),
            })
            .collect();
        counts.join(" and ")
    }
}

/// Checks one image: by its header or, where that is not enough, by decoding it.
fn look(dataset: &Dataset, index: usize, channels: usize) -> Result<(), DataError> {
    match dataset.open(index).and_then(|file| looks_sound(file, channels)) {
        Ok(true) => Ok(()),
        _ => {
            // No range matters here; that of the type warns of nothing.
            let decoding = Decoding::new(channels, Orientation::Ignore).with_range(ValueRange::Dtype);
            dataset.image(index, &decoding).map(drop)
        }
    }
}

/// Check of the remaining files in the background of a training. Dropping it stops it.
#[derive(Debug)]
pub struct BackgroundCheck {
    stop: Arc<AtomicBool>,
    failed: Arc<Mutex<Option<DataError>>>,
    thread: Option<JoinHandle<()>>,
}

impl BackgroundCheck {
    fn start(parts: Parts, how: HeaderCheck, known: Vec<usize>, mut found: Vec<Finding>) -> Self {
        let (stop, failed) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(None)));
        let (stopped, failure) = (Arc::clone(&stop), Arc::clone(&failed));
        let thread = thread::spawn(move || {
            let rest: Vec<usize> =
                (0..parts.images()).filter(|image| known.binary_search(image).is_err()).collect();
            // One thread: the others read what is trained on.
            let how = HeaderCheck { threads: 1, ..how };
            let judged = parts.look(&rest, &how, &stopped).and_then(|more| {
                found.extend(more);
                found.sort_by_key(|finding| finding.image);
                if stopped.load(Ordering::Relaxed) { Ok(()) } else { parts.judge(&how, &found) }
            });
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = judged.err();
        });
        Self { stop, failed, thread: Some(thread) }
    }

    /// The error that the check ended with, once.
    pub fn failed(&self) -> Option<DataError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for BackgroundCheck {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It holds nothing that a panic could have left in pieces.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
