//! Decoding options.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use convnext_core::{Preprocessing, ValueRange};

use crate::pixels::image::Image;
use crate::pixels::orientation::Orientation;
use crate::reading::facts::Facts;
use crate::reading::levels_seen::LevelsSeen;

/// Decoding options. Copies warn once, all together, of files that the range was not made for, and of each damaged file.
#[derive(Debug, Clone)]
pub struct Decoding {
    /// Channels of the images.
    pub channels: usize,
    /// Treatment of the EXIF orientation.
    pub orientation: Orientation,
    /// Values of the files that become 0 and 1.
    pub range: ValueRange,
    has_warned: Arc<AtomicBool>,
    /// Names of the damaged files that were told.
    damaged: Arc<Mutex<HashSet<String>>>,
    seen: Arc<LevelsSeen>,
}

impl Decoding {
    /// Decoding to this number of channels of 8 bit.
    pub fn new(channels: usize, orientation: Orientation) -> Self {
        Self {
            channels,
            orientation,
            range: ValueRange::Unstated,
            has_warned: Arc::default(),
            damaged: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// To what the weights with this preprocessing take.
    pub fn of(preprocessing: &Preprocessing, orientation: Orientation) -> Self {
        Self { range: preprocessing.range.clone(), ..Self::new(preprocessing.channels(), orientation) }
    }

    /// The same with another range.
    #[must_use]
    pub fn with_range(self, range: ValueRange) -> Self {
        Self { range, ..self }
    }

    /// Warns of the first file that the range was not made for.
    pub(crate) fn warn_once(&self, facts: &Facts) {
        let Some(words) = self.mismatch(facts) else { return };
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            log::warn!("{words}");
        }
    }

    /// Warns of a file whose image is only what can be read of it, once, and not in every epoch. Without a name there is
    /// nobody to tell.
    pub(crate) fn warn_of_damage(&self, name: String, damage: &str) {
        if name.is_empty() {
            return;
        }
        let mut told = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        if !told.contains(&name) {
            log::warn!("{name}: {damage}; the image is what can be read of it, as in libjpeg");
            told.insert(name);
        }
    }

    /// `true` for a damaged file that was told.
    pub(crate) fn has_told_of(&self, name: impl Fn() -> String) -> bool {
        let told = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        !told.is_empty() && told.contains(&name())
    }

    /// Looks at an image that was scaled by the range, and warns where the range does not fit the first ones.
    pub(crate) fn look_at(&self, image: &Image, facts: &Facts) {
        let is_scaled = match &self.range {
            ValueRange::Unstated => false,
            ValueRange::EightBit(_) => true,
            ValueRange::Dtype | ValueRange::Deep(_) => facts.samples.is_deep(),
        };
        if let Some(finding) = is_scaled.then(|| self.seen.add(image)).flatten() {
            log::warn!(
                "the value range is {}, but {finding}: the images may have other values than those that the range was \
                 made for. `convnext data check` says which they have, --range of a training takes others",
                self.range
            );
        }
    }

    fn mismatch(&self, facts: &Facts) -> Option<String> {
        let (kind, [least, most]) = (facts.samples, facts.samples.limits());
        match &self.range {
            ValueRange::Unstated if kind.is_deep() => Some(format!(
                "an image of {kind} values, but no value range is stated: {least} is taken for black and {most} for \
                 white, in 256 levels. Weights that were trained with --range keep what these values tell"
            )),
            ValueRange::Deep(_) if !kind.is_deep() => Some(format!(
                "an image of 8 bit, although the range of {} is for more: its values are taken as scaled already, from 0 \
                 to 255",
                self.range
            )),
            ValueRange::EightBit(_) if kind.is_deep() => Some(format!(
                "an image of {kind} values, although the range is for images of 8 bit: it is rounded to these, {least} to \
                 0 and {most} to 255"
            )),
            _ => None,
        }
    }
}

/// Two are equal when they make the same images.
impl PartialEq for Decoding {
    fn eq(&self, other: &Self) -> bool {
        (self.channels, self.orientation, &self.range) == (other.channels, other.orientation, &other.range)
    }
}

#[cfg(test)]
mod tests {
    use image::metadata::Orientation as Turn;

    use super::*;
    use crate::reading::facts::Channels;
    use crate::reading::sample_type::SampleType;

    #[test]
    fn files_that_a_range_was_not_made_for_are_told() {
        let facts = |samples| Facts {
            format: "PNG",
            channels: Channels::Greyscale,
            turn: Turn::NoTransforms,
            samples,
            damage: None,
        };
        let told = |range: ValueRange, samples| {
            Decoding::new(1, Orientation::Honour)
                .with_range(range)
                .mismatch(&facts(samples))
                .unwrap_or_default()
        };
        let (eight, sixteen) = (SampleType::EIGHT_BIT, SampleType::Unsigned(16));
        let limits = || vec![[0.0, 99.0]];
        assert!(told(ValueRange::Unstated, sixteen).contains("16-bit values, but no value range"));
        assert!(told(ValueRange::Deep(limits()), eight).contains("scaled already"));
        assert!(told(ValueRange::EightBit(limits()), sixteen).contains("rounded"));
        for (range, kind) in [
            (ValueRange::Unstated, eight),
            (ValueRange::Dtype, sixteen),
            (ValueRange::Dtype, eight),
            (ValueRange::Deep(limits()), sixteen),
            (ValueRange::EightBit(limits()), eight),
        ] {
            assert_eq!(told(range, kind), "");
        }
    }
}
