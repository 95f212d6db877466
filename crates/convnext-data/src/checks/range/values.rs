//! The values that images use, channel by channel.

use convnext_core::{Limits, ValueRange};
use serde::{Deserialize, Serialize};

use crate::reading::sample_type::SampleType;
use crate::reading::samples::{Samples, Values};

/// Values of all images together from which the usual ones are told.
const VALUES: usize = 400_000;

/// The fraction of values at either end that may be broken pixels.
const OUTLIERS: f64 = 1e-4;

/// So many times as much must the whole range be for the ends to count as broken pixels.
const STRETCHED: f64 = 4.0;

/// Levels of an 8-bit image.
const LEVELS: f64 = 256.0;

/// The values of one channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelValues {
    /// The lowest value.
    pub least: f64,
    /// The highest value.
    pub most: f64,
    /// Limits of `--range data`: the same, or where less than one value of 10,000 stretches it to four times
    /// as much, the range without these.
    pub usual: Limits,
    /// Levels of 256 that are left when the whole range of the type is black to white.
    pub levels_of_type: usize,
    /// Levels of 256 that are left when `usual` is black to white.
    pub levels_of_data: usize,
}

/// Levels of 256 that values within `used` have when those within `range` are black to white.
pub fn levels_used(used: Limits, range: Limits, kind: SampleType) -> usize {
    let overlap = used[1].min(range[1]) - used[0].max(range[0]);
    if overlap < 0.0 {
        return 1;
    }
    let levels = (overlap / (range[1] - range[0]) * (LEVELS - 1.0)).floor() + 1.0;
    let values = if matches!(kind, SampleType::Float(_)) { LEVELS } else { overlap.floor() + 1.0 };
    levels.min(values).min(LEVELS) as usize
}

/// The values of some images.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    channels: Vec<Channel>,
    /// The type with the widest range.
    kind: Option<SampleType>,
}

#[derive(Debug, Clone)]
struct Channel {
    least: f64,
    most: f64,
    /// Some of the values, evenly spaced over each image; none of 8 bit, which have no room for broken pixels.
    some: Vec<f64>,
}

impl Counted {
    /// Values of each channel of an image that are kept.
    pub(crate) fn values_of_an_image(images: usize) -> usize {
        (VALUES / images.max(1)).clamp(1, 65_536)
    }

    /// `true` if nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.channels.iter().all(|channel| channel.least > channel.most)
    }

    /// Counts an image. One without a single number adds nothing.
    pub(crate) fn add(&mut self, samples: &Samples, values: usize) {
        let step = (samples.width * samples.height / values).max(1);
        let channels = (0..samples.channels)
            .map(|channel| match &samples.values {
                Values::Eight(values) => Channel::of_eight(of_channel(values, channel, samples)),
                Values::Sixteen(values) => {
                    Channel::of(of_channel(values, channel, samples).map(|&value| value.into()), step)
                }
                Values::Real(values) => {
                    let values = of_channel(values, channel, samples).copied();
                    Channel::of(values.filter(|value| value.is_finite()), step)
                }
            })
            .collect();
        self.join(Self { channels, kind: Some(samples.kind) });
    }

    /// Counts what another has counted.
    pub(crate) fn join(&mut self, other: Self) {
        let span = |kind: SampleType| kind.limits()[1] - kind.limits()[0];
        let wider = |own: SampleType, other: SampleType| if span(own) < span(other) { other } else { own };
        self.kind = match (self.kind, other.kind) {
            (Some(own), Some(other)) => Some(wider(own, other)),
            (own, other) => own.or(other),
        };
        if self.channels.is_empty() {
            self.channels = other.channels;
            return;
        }
        for (own, other) in self.channels.iter_mut().zip(other.channels) {
            (own.least, own.most) = (own.least.min(other.least), own.most.max(other.most));
            own.some.extend(other.some);
        }
    }

    /// Limits of each channel by `--range data`.
    pub(crate) fn limits(&self) -> Vec<Limits> {
        self.channels.iter().map(Channel::usual).collect()
    }

    /// `true` if the values go beyond half of what their type can hold, and not beyond all of it.
    pub(super) fn fills_its_type(&self) -> bool {
        let Some([least, most]) = self.kind.map(SampleType::limits) else { return false };
        let highest = self.channels.iter().map(|channel| channel.usual()[1]).fold(f64::MIN, f64::max);
        let within = self.channels.iter().all(|channel| channel.least >= least && channel.most <= most);
        within && highest >= least + (most - least) / 2.0
    }

    /// The channel of which a range leaves the fewest levels, and how many.
    pub(super) fn fewest_levels(&self, range: &ValueRange) -> Option<(usize, usize)> {
        let kind = self.kind?;
        let limits = match range {
            ValueRange::Deep(_) => range.limits(self.channels.len())?,
            _ => vec![kind.limits(); self.channels.len()],
        };
        let used = self.channels.iter().zip(limits);
        let levels = used.map(|(channel, limits)| levels_used([channel.least, channel.most], limits, kind));
        levels.enumerate().min_by_key(|&(_, levels)| levels)
    }

    /// All that is known of each channel.
    pub(crate) fn finish(&self) -> Vec<ChannelValues> {
        let kind = self.kind.unwrap_or(SampleType::EIGHT_BIT);
        let values = |channel: &Channel| {
            let (used, usual) = ([channel.least, channel.most], channel.usual());
            ChannelValues {
                least: channel.least,
                most: channel.most,
                usual,
                levels_of_type: levels_used(used, kind.limits(), kind),
                levels_of_data: levels_used(used, usual, kind),
            }
        };
        if self.is_empty() { Vec::new() } else { self.channels.iter().map(values).collect() }
    }
}

/// The values of one channel.
fn of_channel<'a, T>(values: &'a [T], channel: usize, samples: &Samples) -> impl Iterator<Item = &'a T> {
    values[channel..].iter().step_by(samples.channels)
}

impl Channel {
    fn of(values: impl Iterator<Item = f64>, step: usize) -> Self {
        let mut own = Self { least: f64::INFINITY, most: f64::NEG_INFINITY, some: Vec::new() };
        for (number, value) in values.enumerate() {
            (own.least, own.most) = (own.least.min(value), own.most.max(value));
            if number % step == 0 {
                own.some.push(value);
            }
        }
        own
    }

    fn of_eight<'a>(values: impl Iterator<Item = &'a u8>) -> Self {
        let (least, most) =
            values.fold((u8::MAX, 0), |(least, most), &value| (least.min(value), most.max(value)));
        Self { least: least.into(), most: most.into(), some: Vec::new() }
    }

    /// The range without broken pixels, as [`ChannelValues::usual`] says.
    fn usual(&self) -> Limits {
        if self.least > self.most {
            return [0.0, 1.0];
        }
        let [low, high] = self.without_ends().unwrap_or([self.least, self.most]);
        let stretched = high > low && (high - low) * STRETCHED < self.most - self.least;
        let [least, most] = if stretched { [low, high] } else { [self.least, self.most] };
        // Images of one value have no range.
        [least, if most > least { most } else { least + 1.0 }]
    }

    /// The range of what is kept without the outermost values.
    fn without_ends(&self) -> Option<Limits> {
        let mut some = self.some.clone();
        some.sort_unstable_by(f64::total_cmp);
        let last = some.len().checked_sub(1)?;
        let cut = ((OUTLIERS * last as f64).ceil() as usize).min(last / 2);
        Some([some[cut], some[last - cut]])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::facts::Channels;

    fn counted(values: Vec<u16>) -> Counted {
        let samples = Samples {
            width: values.len(),
            height: 1,
            channels: 1,
            meaning: Channels::Greyscale,
            kind: SampleType::Unsigned(16),
            values: Values::Sixteen(values),
        };
        let mut counted = Counted::default();
        counted.add(&samples, 65_536);
        counted
    }

    #[test]
    fn levels_are_those_that_the_range_leaves() {
        let sixteen = SampleType::Unsigned(16);
        for (used, range, kind, levels) in [
            ([0.0, 65_535.0], [0.0, 65_535.0], sixteen, 256),
            ([0.0, 500.0], [0.0, 65_535.0], sixteen, 2),
            ([0.0, 500.0], [0.0, 500.0], sixteen, 256),
            ([0.0, 20.0], [0.0, 20.0], sixteen, 21),
            ([600.0, 700.0], [0.0, 500.0], sixteen, 1),
            ([0.0, 0.5], [0.0, 1.0], SampleType::Float(32), 128),
        ] {
            assert_eq!(levels_used(used, range, kind), levels, "{used:?} of {range:?}");
        }
    }

    #[test]
    fn a_broken_pixel_does_not_stretch_the_range_but_few_bright_ones_do() {
        let mut values: Vec<u16> = (0..50_000).map(|i| (i % 4096) as u16).collect();
        assert_eq!(counted(values.clone()).limits(), [[0.0, 4095.0]]);
        values[77] = 65_535;
        let limits = counted(values.clone()).limits()[0];
        assert!(limits[0] <= 1.0 && (4090.0..=4095.0).contains(&limits[1]), "{limits:?}");
        // One in a hundred.
        (0..500).for_each(|i| values[100 * i] = 65_535);
        assert_eq!(counted(values).limits(), [[0.0, 65_535.0]]);
        assert_eq!(counted(vec![7; 10]).limits(), [[7.0, 8.0]]);
    }

    #[test]
    fn counting_does_not_depend_on_the_order() {
        let (first, second) = (counted(vec![5, 9, 3]), counted(vec![4000, 2]));
        let join = |mut a: Counted, b: Counted| {
            a.join(b);
            a.finish()
        };
        let all = join(first.clone(), second.clone());
        assert_eq!(all, join(second, first));
        assert_eq!((all[0].least, all[0].most, all[0].levels_of_type), (2.0, 4000.0, 16));
    }
}
