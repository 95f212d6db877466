//! Survey of every image of a data set: contents and defects.

mod duplicates;
mod parts;
mod sizes;
mod thumbnails;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use convnext_core::{COLOURS, ValueRange};
use image::metadata::Orientation as Turn;
use serde::{Deserialize, Serialize};

pub use self::{
    duplicates::DuplicateGroup,
    parts::{PartSurvey, SurveyedImage},
    sizes::{ShortSides, Sizes, Spread},
    thumbnails::Thumbnail,
};
use self::{duplicates::Fingerprint, parts::Parts, sizes::SizeCounts};
use crate::checks::range::{ChannelValues, Counted};
use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::loading::corrupt_file::CorruptFile;
use crate::pixels::image::Image;
use crate::pixels::orientation::Orientation;
use crate::reading::decode::{samples, upright};
use crate::reading::decoding::Decoding;
use crate::reading::facts::{Channels, Facts};
use crate::reading::sample_type::SampleType;
use crate::reading::samples::Samples;

/// Settings of [`survey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SurveyOptions {
    /// Threads that read and decode, at least 1. The survey is the same for any number.
    pub threads: usize,
    /// The most thumbnails of a class, or of the images without one; 0 for none. Of many classes there are
    /// fewer: all together are at most 3000, so that of more classes than that there are none.
    pub thumbnails_per_class: usize,
    /// Channels that the images are decoded to; TIFF files of other bands than colours have as many.
    pub channels: usize,
    /// What is done with the EXIF orientation of images.
    pub orientation: Orientation,
}

impl Default for SurveyOptions {
    /// As many threads as the machine runs at once, 24 thumbnails a class, colours, upright.
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Self { threads, thumbnails_per_class: 24, channels: COLOURS, orientation: Orientation::Honour }
    }
}

/// Result of [`survey`]. Images are as [`SurveyOptions::orientation`] has them.
///
/// Everything is in the order of the data: part after part, image after image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// Number of images, readable or not.
    pub images: usize,
    /// Bytes of all files that could be read, decoded or not.
    pub bytes: u64,
    /// The names of all classes, in the order of the first part and then of those that others add; empty
    /// without labels.
    pub classes: Vec<String>,
    /// The parts, as they were given.
    pub parts: Vec<PartSurvey>,
    /// The files that cannot be read or decoded, with the reason. All that follows is about the others.
    pub corrupt: Vec<CorruptFile>,
    /// Damaged files whose image is only what can be read of them, with what is wrong. They count as readable.
    #[serde(default)]
    pub damaged: Vec<CorruptFile>,
    /// Widths, heights and short sides; `None` when no image can be decoded.
    pub sizes: Option<Sizes>,
    /// Number of images of each format, by content: JPEG, PNG, WebP, BMP, GIF or TIFF.
    pub formats: BTreeMap<String, usize>,
    /// Number of images by what their pixels are in the file.
    pub channels: BTreeMap<Channels, usize>,
    /// Number of images by the type of their values.
    pub types: BTreeMap<String, usize>,
    /// The values of each channel, as many as were asked for: those of the deep images where there are any, else
    /// those of 8 bit.
    pub values: Vec<ChannelValues>,
    /// Images that lie on their side, stand on their head or are mirrored, by the orientation in their EXIF
    /// data. Pipelines that ignore it see them differently.
    pub turned: usize,
    /// Images with the same pixels: those across parts first, then those across classes.
    pub duplicates: Vec<DuplicateGroup>,
    /// Some images of each class, spread evenly over its images of all parts. One that is corrupt is
    /// missing. They are left out of what serde writes.
    #[serde(skip)]
    pub thumbnails: Vec<Thumbnail>,
}

/// Reads and decodes every image of the parts of a data set, such as `("train", ...)` and `("val", ...)`, or
/// of a single one. Classes of different parts are the same when their names are.
///
/// Duplicates are images of the same size with the same values once they are turned so, told by a hash
/// of 128 bits (XXH3): copies, and copies in another format without loss, but not images that are merely similar.
///
/// `progress` is called with the number of images done after each one, on the calling thread. At any time
/// each thread holds one decoded image. For every image about 25 bytes are kept, beside the thumbnails and the names
/// of corrupt files and duplicates.
///
/// # Errors
/// [`DataError::OutOfRange`] when there are no threads, or 4294967295 images or more. A corrupt file is a
/// finding and no error.
pub fn survey(
    parts: &[(&str, &Dataset)],
    options: SurveyOptions,
    mut progress: impl FnMut(usize),
) -> Result<Survey, DataError> {
    DataError::check(options.threads > 0, "number of threads", options.threads, "at least 1")?;
    let parts = Parts::new(parts);
    let total = parts.images();
    // Images are numbered with 32 bits, as those of a data set are.
    DataError::check(total < u32::MAX as usize, "number of images", total, "below 4294967295")?;
    let wanted = thumbnails::choose(&parts, options.thumbnails_per_class);
    let kept = Counted::values_of_an_image(total);

    let mut totals = Totals { fingerprints: Vec::with_capacity(total), ..Totals::default() };
    let next = AtomicUsize::new(0);
    let (sender, findings) = crossbeam_channel::bounded(2 * options.threads);
    thread::scope(|scope| {
        for _ in 0..options.threads.min(total) {
            let (sender, parts, wanted, next) = (sender.clone(), &parts, &wanted, &next);
            scope.spawn(move || {
                let mut image = next.fetch_add(1, Ordering::Relaxed);
                while image < total {
                    let finding = Finding::of(parts, image, wanted[image], options, kept);
                    if sender.send((image, finding)).is_err() {
                        break;
                    }
                    image = next.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        drop(sender);
        for (done, (image, finding)) in (1..).zip(findings) {
            totals.add(image, finding, &parts);
            progress(done);
        }
    });
    Ok(totals.finish(&parts))
}

/// Result for one image.
struct Finding {
    bytes: u64,
    image: Result<Decoded, CorruptFile>,
}

/// Result for an image that can be decoded.
struct Decoded {
    width: usize,
    height: usize,
    facts: Facts,
    counted: Counted,
    fingerprint: Fingerprint,
    thumbnail: Option<Thumbnail>,
}

impl Finding {
    fn of(parts: &Parts, image: usize, with_thumbnail: bool, options: SurveyOptions, kept: usize) -> Self {
        let (dataset, index) = parts.dataset(image);
        let mut bytes = 0;
        let decoded = dataset.read(index).and_then(|file| {
            bytes = file.len() as u64;
            let (samples, facts) = samples(&file, "", options.channels, false)?;
            let mut counted = Counted::default();
            counted.add(&samples, kept);
            let pixels = shown(samples, &facts, &counted, options.orientation)?;
            Ok((pixels, facts, counted))
        });
        let image = match decoded {
            Ok((pixels, facts, counted)) => Ok(Decoded {
                width: pixels.width(),
                height: pixels.height(),
                facts,
                fingerprint: duplicates::fingerprint(&pixels, &counted),
                thumbnail: with_thumbnail.then(|| Thumbnail::of(&pixels, parts.describe(image))),
                counted,
            }),
            Err(error) => {
                let name = dataset.name(index);
                Err(CorruptFile { why: error.named(name.clone()).reason(), name })
            }
        };
        Self { bytes, image }
    }
}

/// The pixels of an image. Of a deep one what it uses is black to white, because nothing else is known that
/// would show it.
fn shown(
    samples: Samples,
    facts: &Facts,
    counted: &Counted,
    orientation: Orientation,
) -> Result<Image, DataError> {
    let decoding = Decoding::new(samples.channels, orientation);
    let range = match samples.kind.is_deep() {
        true => ValueRange::Deep(counted.limits()),
        false => ValueRange::Unstated,
    };
    upright(samples, facts, &decoding.with_range(range))
}

/// Running totals, in the order in which threads were done; sorted in the end.
#[derive(Default)]
struct Totals {
    bytes: u64,
    corrupt: Vec<(usize, CorruptFile)>,
    damaged: Vec<(usize, CorruptFile)>,
    sizes: SizeCounts,
    formats: BTreeMap<String, usize>,
    channels: BTreeMap<Channels, usize>,
    types: BTreeMap<SampleType, usize>,
    eight: Counted,
    deep: Counted,
    turned: usize,
    fingerprints: Vec<(Fingerprint, u32)>,
    thumbnails: Vec<(usize, Thumbnail)>,
}

impl Totals {
    fn add(&mut self, image: usize, finding: Finding, parts: &Parts) {
        self.bytes += finding.bytes;
        match finding.image {
            Ok(decoded) => {
                if let Some(why) = decoded.facts.damage {
                    let (dataset, index) = parts.dataset(image);
                    self.damaged.push((image, CorruptFile { name: dataset.name(index), why }));
                }
                self.sizes.add(decoded.width, decoded.height);
                *self.formats.entry(decoded.facts.format.to_owned()).or_default() += 1;
                *self.channels.entry(decoded.facts.channels).or_default() += 1;
                self.turned += usize::from(decoded.facts.turn != Turn::NoTransforms);
                *self.types.entry(decoded.facts.samples).or_default() += 1;
                let deep = decoded.facts.samples.is_deep();
                if deep { &mut self.deep } else { &mut self.eight }.join(decoded.counted);
                self.fingerprints.push((decoded.fingerprint, image as u32));
                self.thumbnails.extend(decoded.thumbnail.map(|thumbnail| (image, thumbnail)));
            }
            Err(corrupt) => self.corrupt.push((image, corrupt)),
        }
    }

    fn finish(self, parts: &Parts) -> Survey {
        Survey {
            images: parts.images(),
            bytes: self.bytes,
            classes: parts.classes().to_vec(),
            parts: parts.surveys(),
            corrupt: in_order(self.corrupt),
            damaged: in_order(self.damaged),
            sizes: self.sizes.finish(),
            formats: self.formats,
            channels: self.channels,
            types: self.types.into_iter().map(|(kind, images)| (kind.to_string(), images)).collect(),
            values: if self.deep.is_empty() { self.eight.finish() } else { self.deep.finish() },
            turned: self.turned,
            duplicates: duplicates::groups(self.fingerprints, parts),
            thumbnails: in_order(self.thumbnails),
        }
    }
}

fn in_order<T>(mut numbered: Vec<(usize, T)>) -> Vec<T> {
    numbered.sort_unstable_by_key(|(image, _)| *image);
    numbered.into_iter().map(|(_, value)| value).collect()
}
