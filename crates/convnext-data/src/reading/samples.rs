//! Decoded samples before they become an image: values of any type, in channels of any meaning.

use convnext_core::{COLOURS, Limits, ValueRange};

use crate::error::DataError;
use crate::pixels::grey;
use crate::pixels::image::Image;
use crate::reading::facts::Channels;
use crate::reading::sample_type::SampleType;

/// Values row by row, the channels of a pixel one after the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    /// Of 8 bit or fewer, the latter scaled to 255.
    Eight(Vec<u8>),
    /// Whole numbers of up to 16 bit.
    Sixteen(Vec<u16>),
    /// All others. What is not known is NaN.
    Real(Vec<f64>),
}

/// The values of a file as they stand there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Samples {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Values of a pixel.
    pub(crate) channels: usize,
    /// Their meaning.
    pub(crate) meaning: Channels,
    pub(crate) kind: SampleType,
    pub(crate) values: Values,
}

impl Values {
    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Eight(values) => values.len(),
            Self::Sixteen(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }
}

impl Samples {
    /// The same in this number of channels: greyscale becomes three equal colours, colours become grey, alpha
    /// is dropped for these. `name` is used in messages.
    ///
    /// # Errors
    /// [`DataError::Channels`] where other channels are asked for than there are.
    pub(crate) fn in_channels(self, channels: usize, name: &str) -> Result<Self, DataError> {
        if channels == self.channels {
            return Ok(self);
        }
        let shown = matches!(channels, 1 | COLOURS) && self.meaning != Channels::Bands;
        if !shown {
            let (name, found) = (name.to_owned(), self.channels);
            return Err(DataError::Channels { name, expected: channels, found });
        }
        let from = self.channels;
        let values = match self.values {
            Values::Eight(values) => Values::Eight(shown_in(&values, from, channels, grey::grey)),
            Values::Sixteen(values) => Values::Sixteen(shown_in(&values, from, channels, grey::grey_of_16)),
            Values::Real(values) => Values::Real(shown_in(&values, from, channels, grey::grey_of_reals)),
        };
        Ok(Self { channels, values, ..self })
    }

    /// The same in 8 bit, by the whole range of the type.
    pub(crate) fn in_eight_bit(self) -> Self {
        let limits = self.kind.limits();
        let values = match self.values {
            Values::Eight(values) => values,
            Values::Sixteen(values) => rounded(&values, limits),
            Values::Real(values) => rounded(&values, limits),
        };
        Self { kind: SampleType::EIGHT_BIT, values: Values::Eight(values), ..self }
    }

    /// The image in which the limits of `range` are black and white.
    pub(crate) fn into_image(self, range: &ValueRange) -> Result<Image, DataError> {
        let (deep, of_type) = (self.kind.is_deep(), self.kind.limits());
        let limits = match (range, range.limits(self.channels)) {
            (ValueRange::Deep(_), Some(limits)) if deep => limits,
            (ValueRange::EightBit(_), Some(limits)) => return self.in_eight_bit().leveled(&limits),
            (ValueRange::Unstated, _) => return self.in_eight_bit().into_plain_image(),
            _ if deep => vec![of_type; self.channels],
            _ => return self.into_plain_image(),
        };
        self.leveled(&limits)
    }

    /// Values of 8 bit are levels already.
    fn into_plain_image(self) -> Result<Image, DataError> {
        let of_type = vec![self.kind.limits(); self.channels];
        match self.values {
            Values::Eight(levels) => Image::new(self.width, self.height, self.channels, levels),
            _ => self.leveled(&of_type),
        }
    }

    fn leveled(self, limits: &[Limits]) -> Result<Image, DataError> {
        let levels = match &self.values {
            Values::Eight(values) => levels(values, limits),
            Values::Sixteen(values) => levels(values, limits),
            Values::Real(values) => levels(values, limits),
        };
        Image::deep(self.width, self.height, self.channels, levels)
    }
}

/// Pixels of `from` values as grey or as colours.
fn shown_in<T: Copy>(values: &[T], from: usize, channels: usize, grey: impl Fn([T; COLOURS]) -> T) -> Vec<T> {
    let pixels = values.chunks_exact(from);
    match (from, channels) {
        (1 | 2, _) => pixels.flat_map(|pixel| std::iter::repeat_n(pixel[0], channels)).collect(),
        (_, 1) => pixels.map(|pixel| grey([pixel[0], pixel[1], pixel[2]])).collect(),
        _ => pixels.flat_map(|pixel| &pixel[..COLOURS]).copied().collect(),
    }
}

/// Values as levels of 255.
fn rounded<T: Copy + Into<f64>>(values: &[T], limits: Limits) -> Vec<u8> {
    let [least, most] = limits;
    // The cast cuts off what lies outside and takes NaN for 0.
    let level = |&value: &T| ((value.into() - least) / (most - least) * 255.0).round() as u8;
    values.iter().map(level).collect()
}

/// Values as levels of 65535, each channel between its own limits.
fn levels<T: Copy + Into<f64>>(values: &[T], limits: &[Limits]) -> Vec<u16> {
    let level = |(&value, &[least, most]): (&T, &Limits)| {
        ((value.into() - least) / (most - least) * f64::from(u16::MAX)).round() as u16
    };
    values.iter().zip(limits.iter().cycle()).map(level).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: SampleType, values: Values, channels: usize, meaning: Channels) -> Samples {
        Samples { width: 2, height: 1, channels, meaning, kind, values }
    }

    fn grey16(values: [u16; 2]) -> Samples {
        of(SampleType::Unsigned(16), Values::Sixteen(values.into()), 1, Channels::Greyscale)
    }

    #[test]
    fn a_range_decides_what_is_black_and_white() {
        let levels = |range: ValueRange| {
            let image = grey16([500, 4000]).into_image(&range).unwrap();
            (image.is_deep(), (0..2).map(|x| image.level(x)).collect::<Vec<_>>())
        };
        assert_eq!(levels(ValueRange::Unstated), (false, vec![2.0 / 255.0, 16.0 / 255.0]));
        assert_eq!(levels(ValueRange::Dtype), (true, vec![500.0 / 65535.0, 4000.0 / 65535.0]));
        let (deep, found) = levels(ValueRange::Deep(vec![[400.0, 600.0]]));
        assert!(deep && (found[0] - 0.5).abs() < 1e-4 && found[1] == 1.0, "{found:?}");
        // 500 and 4000 of 65535 are 2 and 16 of 255.
        let (_, found) = levels(ValueRange::EightBit(vec![[0.0, 32.0]]));
        assert!((found[0] - 2.0 / 32.0).abs() < 1e-4 && (found[1] - 0.5).abs() < 1e-4, "{found:?}");
    }

    #[test]
    fn files_of_8_bit_are_scaled_already_beside_deep_ones() {
        let values = || Values::Eight(vec![0, 200]);
        let eight = || of(SampleType::EIGHT_BIT, values(), 1, Channels::Greyscale);
        for range in [ValueRange::Unstated, ValueRange::Dtype, ValueRange::Deep(vec![[0.0, 4095.0]])] {
            assert_eq!(eight().into_image(&range).unwrap().bytes(), [0, 200]);
        }
        let stretched = eight().into_image(&ValueRange::EightBit(vec![[0.0, 200.0]])).unwrap();
        assert_eq!(stretched.bytes(), [0, 255]);
    }

    #[test]
    fn each_channel_has_its_own_limits() {
        let samples = of(SampleType::Signed(16), Values::Real(vec![-5.0, 1.0, 5.0, 2.0]), 2, Channels::Bands);
        let image = samples.into_image(&ValueRange::Deep(vec![[-5.0, 5.0], [0.0, 2.0]])).unwrap();
        assert_eq!(image.bytes(), [0, 128, 255, 255]);
    }

    #[test]
    fn what_is_no_number_is_black() {
        let values = Values::Real(vec![f64::NAN, f64::INFINITY]);
        let samples = of(SampleType::Float(32), values, 1, Channels::Greyscale);
        assert_eq!(samples.into_image(&ValueRange::Dtype).unwrap().bytes(), [0, 255]);
    }

    #[test]
    fn channels_are_shown_or_refused() {
        let colours = || {
            let values = Values::Sixteen(vec![255 * 257, 0, 0, 9 * 257, 9 * 257, 9 * 257]);
            of(SampleType::Unsigned(16), values, 3, Channels::Colour)
        };
        let grey = colours().in_channels(1, "").unwrap().in_eight_bit();
        assert_eq!(grey.values, Values::Eight(vec![76, 9]));
        let error = colours().in_channels(5, "a.png").unwrap_err().to_string();
        assert!(error.starts_with("a.png has 3 channel(s), but 5 are needed"), "{error}");
        assert_eq!(
            grey16([1, 2]).in_channels(3, "").unwrap().values,
            Values::Sixteen(vec![1, 1, 1, 2, 2, 2])
        );
    }
}
