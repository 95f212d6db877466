//! Value range of deep files: the one that the data uses, and the one that a training takes.

mod values;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use convnext_core::{Limits, Purpose, Seed, ValueRange, format_limits};
use rand::seq::SliceRandom;

pub(crate) use self::values::Counted;
pub use self::values::{ChannelValues, levels_used};
use crate::datasets::dataset::Dataset;
use crate::error::DataError;
use crate::reading::decode;
use crate::reading::format::Format;
use crate::reading::levels_seen::MIN_LEVELS;
use crate::reading::sample_type::SampleType;
use crate::reading::tiff_file;

/// Images that are looked at, chosen by the seed.
const LOOKED_AT: usize = 500;

/// The requested range of a training.
#[derive(Debug, Clone, PartialEq)]
pub enum RangeChoice {
    /// These values, for each channel or once for all.
    Limits(Vec<Limits>),
    /// The range that the training images use.
    Data,
    /// The whole range of each file's type.
    Dtype,
}

/// The value range of a training.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundRange {
    /// The range, which travels with the weights.
    pub range: ValueRange,
    /// Why, as text; empty where there is nothing to say.
    pub why: String,
}

/// Values of a sample of the images of a data set.
#[derive(Default)]
struct Look {
    /// Number of images of each type.
    kinds: BTreeMap<SampleType, usize>,
    deep: Counted,
    eight: Counted,
}

impl Look {
    fn deep_images(&self) -> usize {
        self.kinds.iter().filter(|(kind, _)| kind.is_deep()).map(|(_, images)| images).sum()
    }

    fn images(&self) -> usize {
        self.kinds.values().sum()
    }

    fn join(&mut self, other: Self) {
        for (kind, images) in other.kinds {
            *self.kinds.entry(kind).or_default() += images;
        }
        self.deep.join(other.deep);
        self.eight.join(other.eight);
    }

    /// `true` if some images have integers of more than 8 bit and others floats.
    fn mixes_fractions(&self) -> bool {
        let is_fraction = |kind: &&SampleType| matches!(kind, SampleType::Float(_));
        let deep = || self.kinds.keys().filter(|kind| kind.is_deep());
        deep().any(|kind| is_fraction(&kind)) && !deep().all(|kind| is_fraction(&kind))
    }

    /// The types of deep images, as text.
    fn types(&self) -> String {
        let deep = self.kinds.keys().filter(|kind| kind.is_deep());
        deep.map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }

    /// A range of these limits.
    fn stated(&self, limits: Vec<Limits>) -> ValueRange {
        match self.deep_images() {
            0 => ValueRange::EightBit(limits),
            _ => ValueRange::Deep(limits),
        }
    }

    /// The range that the values of some images use, and `instead` of what.
    fn used(&self, counted: &Counted, images: usize, instead: &str) -> FoundRange {
        let mut limits = counted.limits();
        if limits.windows(2).all(|two| two[0] == two[1]) {
            limits.truncate(1);
        }
        let range = self.stated(limits);
        let kind = if self.deep_images() > 0 { self.types() } else { "8-bit".to_owned() };
        let why = format!("range {range} of {kind} values, found in {images} images{instead}");
        FoundRange { range, why }
    }
}

/// The range of a training whose images have this number of channels.
///
/// What was asked for counts, then what the weights to start from state. Without either it is the whole range of the
/// type for images of 8 bit, and what the images use for deep ones. At most 500 images are looked at, chosen by the seed;
/// the result is the same for any number of threads.
///
/// # Errors
/// [`DataError::OutOfRange`] for limits that do not fit the channels, [`DataError::Layout`] where a range is to be found for
/// integers and floats, [`DataError::MixedDepths`] where some images are
/// of 8 bit and others deep, but do not fill their type, so that nobody knows what their values mean.
pub fn find_range(
    choice: Option<&RangeChoice>,
    of_weights: &ValueRange,
    images: &Dataset,
    channels: usize,
    seed: Seed,
    threads: usize,
) -> Result<FoundRange, DataError> {
    let measures_eight = choice == Some(&RangeChoice::Data);
    let look = look(images, channels, seed, threads, measures_eight);
    let is_found = choice == Some(&RangeChoice::Data) || (choice.is_none() && of_weights.is_unstated());
    if is_found && look.mixes_fractions() {
        return Err(DataError::Layout {
            path: images.name(0),
            found: format!(
                "like the images beside it, it has {} values, which have no common range",
                look.types()
            ),
            advice: "convert all images to one type, or give the range with --range".into(),
        });
    }
    let found = chosen(choice, of_weights, &look)?;
    if let Err(error) = found.range.validate(channels) {
        let expected = "two finite numbers, the lower one first, for each channel or once for all: give them with --range";
        DataError::check(false, "value range", format!("{} ({error})", found.range), expected)?;
    }
    if look.deep_images() > 0 {
        warn_of_few_levels(&found.range, &look);
    }
    Ok(found)
}

fn chosen(
    choice: Option<&RangeChoice>,
    of_weights: &ValueRange,
    look: &Look,
) -> Result<FoundRange, DataError> {
    let deep = look.deep_images();
    let instead = match of_weights {
        ValueRange::Unstated => String::new(),
        range => format!(", instead of {range} as the weights have it"),
    };
    let asked = |range: ValueRange| {
        let why = match &range == of_weights {
            true => format!("range {range}, as asked for"),
            false => format!("range {range}, as asked for{instead}"),
        };
        FoundRange { range, why }
    };
    Ok(match choice {
        Some(RangeChoice::Limits(limits)) => asked(look.stated(limits.clone())),
        Some(RangeChoice::Dtype) => asked(ValueRange::Dtype),
        Some(RangeChoice::Data) if deep > 0 => look.used(&look.deep, deep, &instead),
        Some(RangeChoice::Data) if !look.eight.is_empty() => look.used(&look.eight, look.images(), &instead),
        Some(RangeChoice::Data) => asked(ValueRange::Dtype),
        None if !of_weights.is_unstated() => {
            let why = format!("range {of_weights}, as the weights have it");
            FoundRange { range: of_weights.clone(), why }
        }
        None => unasked(look)?,
    })
}

/// The range where neither the user nor the weights say one.
fn unasked(look: &Look) -> Result<FoundRange, DataError> {
    let (deep, images) = (look.deep_images(), look.images());
    if deep == 0 || look.deep.is_empty() {
        return Ok(FoundRange { range: ValueRange::Unstated, why: String::new() });
    }
    if deep == images {
        return Ok(look.used(&look.deep, deep, ""));
    }
    if look.deep.fills_its_type() {
        let why = format!(
            "range of the whole type: {deep} of {images} images have {} values that fill it, and the others 8 bit",
            look.types()
        );
        return Ok(FoundRange { range: ValueRange::Dtype, why });
    }
    Err(DataError::MixedDepths {
        deep,
        images,
        kind: look.types(),
        limits: format_limits(&look.deep.limits()),
    })
}

/// Says when the range leaves little of the values.
fn warn_of_few_levels(range: &ValueRange, look: &Look) {
    let Some((channel, levels)) = look.deep.fewest_levels(range) else { return };
    if levels < MIN_LEVELS {
        log::warn!(
            "the range {range} leaves {levels} of 256 levels of channel {channel}, whose values are {}; choose another with \
             --range MIN,MAX or --range data",
            format_limits(&[look.deep.limits()[channel]])
        );
    }
}

/// Looks at some images.
fn look(images: &Dataset, channels: usize, seed: Seed, threads: usize, measures_eight: bool) -> Look {
    let mut chosen: Vec<usize> = (0..images.len()).collect();
    if chosen.len() > LOOKED_AT {
        let mut random = seed.stream(Purpose::RangeSample, 0, 0);
        let (some, _) = chosen.partial_shuffle(&mut random, LOOKED_AT);
        chosen = some.to_vec();
    }
    let each = Counted::values_of_an_image(chosen.len());
    let next = AtomicUsize::new(0);
    let work = || {
        let mut look = Look::default();
        while let Some(&image) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            // What cannot be read is somebody else's finding.
            if let Ok(bytes) = images.read(image) {
                look_at(&mut look, &bytes, channels, measures_eight, each);
            }
        }
        look
    };
    thread::scope(|scope| {
        let threads = threads.clamp(1, chosen.len().max(1));
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = Look::default();
        for worker in workers {
            // A panic has been reported already; what the others saw is as good.
            if let Ok(look) = worker.join() {
                all.join(look);
            }
        }
        all
    })
}

/// Looks at the file of one image.
fn look_at(look: &mut Look, bytes: &[u8], channels: usize, measures_eight: bool, each: usize) {
    let Some(kind) = type_of(bytes) else { return };
    *look.kinds.entry(kind).or_default() += 1;
    if !kind.is_deep() && !measures_eight {
        return;
    }
    if let Ok((samples, _)) = decode::samples(bytes, "", channels, false) {
        let counted = if kind.is_deep() { &mut look.deep } else { &mut look.eight };
        counted.add(&samples, each);
    }
}

/// The type of a file's values, told by its first bytes.
fn type_of(bytes: &[u8]) -> Option<SampleType> {
    /// Offset of the bit depth in the header of a PNG file.
    const PNG_BITS: usize = 24;
    match Format::of(bytes)? {
        Format::Png => Some(match bytes.get(PNG_BITS)? {
            16 => SampleType::Unsigned(16),
            _ => SampleType::EIGHT_BIT,
        }),
        Format::Tiff => tiff_file::type_of(bytes),
        Format::Jpeg | Format::WebP | Format::Bmp | Format::Gif => Some(SampleType::EIGHT_BIT),
    }
}
