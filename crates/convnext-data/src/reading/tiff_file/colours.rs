//! Colour spaces of TIFF files.

use convnext_core::COLOURS;
use tiff::tags::Tag;

use super::{differences::Differences, directory::Directory, pixelwise::by_pixel, shape::Shape};
use crate::error::DataError;
use crate::reading::facts::Channels;
use crate::reading::sample_type::SampleType;
use crate::reading::samples::{Samples, Values};

/// Photometric interpretation of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Photometric {
    /// Levels of grey; the lowest is white where `inverted`.
    Grey { inverted: bool },
    /// Red, green and blue.
    Colours,
    /// Numbers of a palette's colours.
    Palette,
    /// Cyan, magenta, yellow and black.
    Cmyk,
    /// Brightness and two differences of colours.
    YCbCr,
}

/// Name that the file has for values of a pixel that are no colours.
const ALPHA_MULTIPLIED: u64 = 1;
const ALPHA: u64 = 2;

impl Photometric {
    /// Reads the tags of the directory.
    pub(super) fn of(directory: &Directory<'_>, shape: &Shape, name: &str) -> Result<Self, DataError> {
        let refuse = |what: &str| Err(DataError::unsupported(name, format!("a TIFF file of {what}")));
        let found = match directory.number(Tag::PhotometricInterpretation) {
            Some(0) => Self::Grey { inverted: true },
            Some(1) => Self::Grey { inverted: false },
            Some(2) => Self::Colours,
            Some(3) => Self::Palette,
            Some(5) => Self::Cmyk,
            Some(6) => Self::YCbCr,
            Some(4) => return refuse("a transparency mask"),
            Some(8..=10) => return refuse("CIELab colours"),
            Some(32_803 | 34_892) => return refuse("the values of a camera's sensor (a raw photograph)"),
            Some(32_844 | 32_845) => return refuse("logarithmic colours (LogLuv)"),
            Some(other) => return refuse(&format!("values of an unknown meaning (photometric {other})")),
            None => return refuse("values whose meaning it does not say"),
        };
        let least = match found {
            Self::Grey { .. } | Self::Palette => 1,
            Self::Colours | Self::YCbCr => COLOURS,
            Self::Cmyk => 4,
        };
        if shape.samples < least {
            let why =
                format!("the TIFF file has pixels of {} values, but {least} are colours", shape.samples);
            return Err(DataError::decode(name, why));
        }
        Ok(found)
    }

    /// `true` if the values are numbers of colours, and these are what is read.
    pub(super) fn is_palette(self, shape: &Shape, shown: bool) -> bool {
        self == Self::Palette && (shown || shape.samples == 1)
    }

    /// The values with their meaning, and what they are in the file; of a palette they stay numbers.
    pub(super) fn interpret(
        self,
        values: Values,
        shape: &Shape,
        directory: &Directory<'_>,
        shown: bool,
    ) -> (Samples, Channels) {
        let extra = directory.numbers(Tag::ExtraSamples).unwrap_or_default();
        let alpha = extra.first().copied().filter(|&kind| kind == ALPHA_MULTIPLIED || kind == ALPHA);
        let Shape { samples, kind, .. } = *shape;
        let make = |values, channels, meaning| (samples_of(shape, values, channels, meaning), meaning);
        // Levels of fewer than 8 bit fill 8, unless they are numbers of colours.
        let full = |values| if self == Self::Palette { values } else { filled(values, kind) };
        let is_inverted = self == Self::Grey { inverted: true };
        let values = if is_inverted { inverted(values, kind) } else { values };
        match (self, samples) {
            (Self::Grey { .. }, 1) => make(full(values), 1, Channels::Greyscale),
            (Self::Grey { .. }, 2) if alpha.is_some() => make(full(values), 2, Channels::GreyscaleAlpha),
            (Self::Colours, _) if shown && has_colours(samples, &extra) => {
                let has_alpha = samples == 4 && (alpha.is_some() || extra.is_empty());
                let meaning = if has_alpha { Channels::ColourAlpha } else { Channels::Colour };
                let values = match (samples, alpha) {
                    (4, Some(ALPHA_MULTIPLIED)) => divided(full(values), kind),
                    _ => full(values),
                };
                (make(first_of(values, samples), COLOURS, Channels::Colour).0, meaning)
            }
            (Self::Colours, COLOURS) => make(full(values), COLOURS, Channels::Colour),
            (Self::Cmyk, _) if shown => {
                let colours = of_cmyk(full(values), samples, kind);
                (make(colours, COLOURS, Channels::Colour).0, Channels::Cmyk)
            }
            (Self::YCbCr, _) if shown => {
                let rule = Differences::of(directory);
                make(rule.colours(full(values), samples, kind), COLOURS, Channels::Colour)
            }
            _ => make(full(values), samples, Channels::Bands),
        }
    }
}

/// Values of the file's type; what fits into 8 bit has 8.
fn samples_of(shape: &Shape, values: Values, channels: usize, meaning: Channels) -> Samples {
    let Shape { width, height, kind, .. } = *shape;
    let kind = if kind.is_deep() { kind } else { SampleType::EIGHT_BIT };
    Samples { width, height, channels, meaning, kind, values }
}

/// The colours of a palette that the values name.
pub(super) fn of_palette(
    values: &Values,
    shape: &Shape,
    directory: &Directory<'_>,
    name: &str,
) -> Result<(Samples, Channels), DataError> {
    let Shape { width, height, samples, kind } = *shape;
    let values = Values::Eight(colours_of_palette(values, samples, directory, kind, name)?);
    let (meaning, kind) = (Channels::Colour, SampleType::EIGHT_BIT);
    Ok((Samples { width, height, channels: COLOURS, meaning, kind, values }, meaning))
}

/// `true` if red, green and blue come first and are told from what follows.
fn has_colours(samples: usize, extra: &[u64]) -> bool {
    samples - extra.len().min(samples) == COLOURS || (samples == 4 && extra.is_empty())
}

/// Levels of fewer than 8 bit as levels of 255.
fn filled(values: Values, kind: SampleType) -> Values {
    match (values, kind) {
        (Values::Eight(values), SampleType::Unsigned(bits @ 1..=7)) => {
            let most = (1_u16 << bits) - 1;
            let level = |value| ((u16::from(value) * 255 + most / 2) / most) as u8;
            Values::Eight(values.into_iter().map(level).collect())
        }
        (values, _) => values,
    }
}

/// White for black.
fn inverted(values: Values, kind: SampleType) -> Values {
    let [least, most] = kind.limits();
    let other = |value: f64| least + most - value;
    match values {
        Values::Eight(values) => Values::Eight(values.into_iter().map(|v| other(v.into()) as u8).collect()),
        Values::Sixteen(values) => {
            Values::Sixteen(values.into_iter().map(|v| other(v.into()) as u16).collect())
        }
        Values::Real(values) => Values::Real(values.into_iter().map(other).collect()),
    }
}

/// The first three values of each pixel.
fn first_of(values: Values, samples: usize) -> Values {
    fn first<T: Copy>(values: &[T], samples: usize) -> Vec<T> {
        values.chunks_exact(samples).flat_map(|pixel| &pixel[..COLOURS]).copied().collect()
    }
    match values {
        values if samples == COLOURS => values,
        Values::Eight(values) => Values::Eight(first(&values, samples)),
        Values::Sixteen(values) => Values::Sixteen(first(&values, samples)),
        Values::Real(values) => Values::Real(first(&values, samples)),
    }
}

/// Printing colours as red, green and blue, as Pillow and `image` show them.
fn of_cmyk(values: Values, samples: usize, kind: SampleType) -> Values {
    by_pixel(values, samples, kind, |pixel| {
        std::array::from_fn(|colour| (1.0 - pixel[colour]) * (1.0 - pixel[3]))
    })
}

/// Colours that were multiplied by their alpha, without it. The alpha itself is kept.
fn divided(values: Values, kind: SampleType) -> Values {
    let [_, most] = kind.limits();
    let most = if kind.is_deep() { most } else { 255.0 };
    // Pillow cuts fractions off.
    let colour =
        |value: f64, alpha: f64| if alpha > 0.0 { (value * most / alpha).min(most).floor() } else { 0.0 };
    match values {
        Values::Eight(mut values) => {
            for pixel in values.as_chunks_mut::<4>().0 {
                let alpha = f64::from(pixel[3]);
                (0..COLOURS).for_each(|i| pixel[i] = colour(pixel[i].into(), alpha) as u8);
            }
            Values::Eight(values)
        }
        Values::Sixteen(mut values) => {
            for pixel in values.as_chunks_mut::<4>().0 {
                let alpha = f64::from(pixel[3]);
                (0..COLOURS).for_each(|i| pixel[i] = colour(pixel[i].into(), alpha) as u16);
            }
            Values::Sixteen(values)
        }
        reals => reals,
    }
}

/// The colours that the first value of each pixel names.
fn colours_of_palette(
    values: &Values,
    samples: usize,
    directory: &Directory<'_>,
    kind: SampleType,
    name: &str,
) -> Result<Vec<u8>, DataError> {
    let bits = match kind {
        SampleType::Unsigned(bits @ 1..=16) => bits,
        other => return Err(DataError::decode(name, format!("its palette has {other} numbers"))),
    };
    let palette = directory.numbers(Tag::ColorMap).unwrap_or_default();
    let size = 1 << bits;
    if palette.len() < COLOURS * size {
        let why = format!("its palette has {} values, but {} are needed", palette.len(), COLOURS * size);
        return Err(DataError::decode(name, why));
    }
    // The file has all reds, then all greens, then all blues, of 16 bit each.
    let colour =
        |number: usize| std::array::from_fn::<u8, COLOURS, _>(|c| (palette[c * size + number] >> 8) as u8);
    Ok(match values {
        Values::Eight(values) => {
            values.iter().step_by(samples).flat_map(|&number| colour(number.into())).collect()
        }
        Values::Sixteen(values) => {
            values.iter().step_by(samples).flat_map(|&number| colour(number.into())).collect()
        }
        Values::Real(_) => {
            return Err(DataError::decode(name, "the numbers of its palette are no whole numbers"));
        }
    })
}
