//! Photometric distortion of mmsegmentation (facts, "Segmentation").

use convnext_core::COLOURS;
use rand::RngExt;

use crate::pixels::image::Image;

/// One photometric change, on levels of 8 bit, with OpenCV's conversions between RGB and HSV.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Distortion {
    /// Adds so many levels to every value.
    Brightness(f32),
    /// Multiplies every value.
    Contrast(f32),
    /// Multiplies the saturation.
    Saturation(f32),
    /// Adds to the hue, of 180 steps.
    Hue(i32),
}

/// Draws the changes of `PhotoMetricDistortion`, each with probability one half: brightness by up to 32 levels, contrast
/// and saturation by a factor between 0.5 and 1.5, hue by -18 to 17 of 180 steps; contrast comes second or last, with equal
/// probability.
pub(crate) fn draw(rng: &mut impl rand::Rng) -> Vec<Distortion> {
    let is_drawn = |rng: &mut dyn FnMut() -> f64| rng() < 0.5;
    let mut next = || rng.random::<f64>();
    let between = |unit: f64, least: f64, most: f64| (least + (most - least) * unit) as f32;
    let mut drawn = Vec::new();
    if is_drawn(&mut next) {
        drawn.push(Distortion::Brightness(between(next(), -32.0, 32.0)));
    }
    let contrast_is_second = is_drawn(&mut next);
    if contrast_is_second && is_drawn(&mut next) {
        drawn.push(Distortion::Contrast(between(next(), 0.5, 1.5)));
    }
    if is_drawn(&mut next) {
        drawn.push(Distortion::Saturation(between(next(), 0.5, 1.5)));
    }
    if is_drawn(&mut next) {
        drawn.push(Distortion::Hue((next() * 36.0) as i32 - 18));
    }
    if !contrast_is_second && is_drawn(&mut next) {
        drawn.push(Distortion::Contrast(between(next(), 0.5, 1.5)));
    }
    drawn
}

impl Distortion {
    /// The changed image, in 8 bit.
    ///
    /// # Panics
    /// When the image has other than three channels.
    pub fn apply(self, image: Image) -> Image {
        assert_eq!(image.channels(), COLOURS, "distortions change red, green and blue");
        let (width, height) = (image.width(), image.height());
        let mut bytes = image.into_bytes();
        let pixels = bytes.as_chunks_mut::<COLOURS>().0;
        match self {
            Self::Brightness(add) => replace(pixels, &table(|level| level + add)),
            Self::Contrast(factor) => replace(pixels, &table(|level| level * factor)),
            Self::Saturation(factor) => {
                let table = table(|level| level * factor);
                change_hsv(pixels, |[hue, saturation, value]| [hue, table[usize::from(saturation)], value]);
            }
            Self::Hue(add) => {
                let turned = |hue: u8| (i32::from(hue) + add).rem_euclid(180) as u8;
                change_hsv(pixels, |[hue, saturation, value]| [turned(hue), saturation, value]);
            }
        }
        Image::from_parts(width, height, COLOURS, bytes)
    }
}

/// The new value of each level, cut off at 0 and 255 and then rounded down.
fn table(change: impl Fn(f32) -> f32) -> [u8; 256] {
    std::array::from_fn(|level| change(level as f32).clamp(0.0, 255.0) as u8)
}

fn replace(pixels: &mut [[u8; COLOURS]], table: &[u8; 256]) {
    pixels.as_flattened_mut().iter_mut().for_each(|level| *level = table[usize::from(*level)]);
}

fn change_hsv(pixels: &mut [[u8; COLOURS]], change: impl Fn([u8; 3]) -> [u8; 3]) {
    for pixel in pixels {
        *pixel = hsv_to_rgb(change(rgb_to_hsv(*pixel)));
    }
}

/// OpenCV's `COLOR_RGB2HSV` of 8 bit: the hue has 180 steps, divisions are by tables of 12 fractional bits.
fn rgb_to_hsv([red, green, blue]: [u8; 3]) -> [u8; 3] {
    const SHIFT: i32 = 12;
    let [red, green, blue] = [red, green, blue].map(i32::from);
    let value = red.max(green).max(blue);
    let spread = value - red.min(green).min(blue);
    let divided = |number: i32, of: f64| {
        if number == 0 { 0 } else { (of / f64::from(number)).round_ties_even() as i32 }
    };
    let round = |scaled: i32| (scaled + (1 << (SHIFT - 1))) >> SHIFT;
    let saturation = round(spread * divided(value, f64::from(255 << SHIFT)));
    let sector = if value == red {
        green - blue
    } else if value == green {
        blue - red + 2 * spread
    } else {
        red - green + 4 * spread
    };
    let hue = round(sector * divided(spread, f64::from(180 << SHIFT) / 6.0));
    [hue.rem_euclid(180) as u8, saturation as u8, value as u8]
}

/// OpenCV's `COLOR_HSV2RGB` of 8 bit, through floats that are rounded down. (Its vectors do so; the last pixels of a row,
/// which do not fill one, it rounds to the nearest level.)
fn hsv_to_rgb([hue, saturation, value]: [u8; 3]) -> [u8; 3] {
    let level = |unit: f32| (unit * 255.0) as u8;
    let (hue, saturation, value) = (
        f32::from(hue) * (6.0 / 180.0),
        f32::from(saturation) * (1.0 / 255.0),
        f32::from(value) * (1.0 / 255.0),
    );
    let hue = if hue >= 6.0 { hue - 6.0 } else { hue };
    let sector = hue as usize;
    let within = hue - sector as f32;
    let low = value * (1.0 - saturation);
    let falling = value * (1.0 - saturation * within);
    let rising = value * (1.0 - saturation * (1.0 - within));
    let rgb = match sector {
        0 => [value, rising, low],
        1 => [falling, value, low],
        2 => [low, value, rising],
        3 => [low, falling, value],
        4 => [rising, low, value],
        _ => [value, low, falling],
    };
    rgb.map(level)
}

#[cfg(test)]
mod tests {
    use convnext_core::{Purpose, Seed};

    use super::*;

    /// Values of OpenCV 4.12, as documented for 8 bit: V and S of 255, H of 180.
    #[test]
    fn known_colours_have_their_hue() {
        for (rgb, hsv) in [
            ([255, 0, 0], [0, 255, 255]),
            ([0, 255, 0], [60, 255, 255]),
            ([0, 0, 255], [120, 255, 255]),
            ([255, 255, 0], [30, 255, 255]),
            ([255, 0, 255], [150, 255, 255]),
            ([128, 128, 128], [0, 0, 128]),
            ([0, 0, 0], [0, 0, 0]),
            ([200, 100, 50], [10, 191, 200]),
        ] {
            assert_eq!(rgb_to_hsv(rgb), hsv);
            assert!(hsv_to_rgb(hsv).iter().zip(rgb).all(|(a, b): (&u8, u8)| a.abs_diff(b) <= 1), "{rgb:?}");
        }
    }

    /// Values of OpenCV, made by `tests/goldens/masks/make.py`.
    #[test]
    fn changes_are_those_of_opencv() {
        #[derive(serde::Deserialize)]
        struct Case {
            saturation: Option<f32>,
            hue: Option<i32>,
            contrast: Option<f32>,
            brightness: Option<f32>,
            rgb: Vec<u8>,
        }
        #[derive(serde::Deserialize)]
        struct Cases {
            rgb: Vec<u8>,
            changes: Vec<Case>,
        }
        let text = include_str!("../../tests/goldens/masks/distortions.json");
        let Cases { rgb, changes } = serde_json::from_str(text).unwrap();
        let image = Image::new(rgb.len() / 3, 1, 3, rgb).unwrap();
        for Case { saturation, hue, contrast, brightness, rgb } in changes {
            let all = [
                saturation.map(Distortion::Saturation),
                hue.map(Distortion::Hue),
                contrast.map(Distortion::Contrast),
                brightness.map(Distortion::Brightness),
            ];
            let distortion = all.into_iter().flatten().next().unwrap();
            let found = distortion.apply(image.clone());
            let far = found.bytes().iter().zip(&rgb).filter(|(a, b)| a.abs_diff(**b) > 1).count();
            let other = found.bytes().iter().zip(&rgb).filter(|(a, b)| a != b).count();
            // OpenCV's vectors sum in another order, which moves one value in a thousand over a whole number.
            assert!(far == 0 && other < rgb.len() / 200, "{distortion:?}: {far} {other}");
        }
    }

    #[test]
    fn changes_are_cut_off_and_rounded_down() {
        let image = || Image::new(2, 1, 3, vec![0, 100, 250, 10, 20, 30]).unwrap();
        assert_eq!(Distortion::Brightness(10.7).apply(image()).bytes(), [10, 110, 255, 20, 30, 40]);
        assert_eq!(Distortion::Brightness(-20.5).apply(image()).bytes(), [0, 79, 229, 0, 0, 9]);
        assert_eq!(Distortion::Contrast(1.5).apply(image()).bytes(), [0, 150, 255, 15, 30, 45]);
        let red = Image::new(1, 1, 3, vec![255, 0, 0]).unwrap();
        assert_eq!(Distortion::Hue(-60).apply(red.clone()).bytes(), [0, 0, 255]);
        let pale = Distortion::Saturation(0.5).apply(red);
        assert!(
            pale.pixel(0, 0)[0] == 255 && pale.pixel(0, 0)[1].abs_diff(128) <= 1,
            "{:?}",
            pale.pixel(0, 0)
        );
    }

    #[test]
    fn draws_have_their_ranges_and_frequencies() {
        let mut rng = Seed(2).stream(Purpose::Augmentation, 0, 0);
        let (mut counts, mut last) = ([0_usize; 4], 0);
        for _ in 0..4000 {
            let drawn = draw(&mut rng);
            last += usize::from(matches!(drawn.last(), Some(Distortion::Contrast(_))));
            for distortion in drawn {
                let (index, fits) = match distortion {
                    Distortion::Brightness(add) => (0, (-32.0..=32.0).contains(&add)),
                    Distortion::Contrast(factor) => (1, (0.5..=1.5).contains(&factor)),
                    Distortion::Saturation(factor) => (2, (0.5..=1.5).contains(&factor)),
                    Distortion::Hue(add) => (3, (-18..18).contains(&add)),
                };
                assert!(fits, "{distortion:?}");
                counts[index] += 1;
            }
        }
        assert!(counts.iter().all(|count| (1850..2150).contains(count)), "{counts:?}");
        // A quarter as the last of all, and second where nothing follows: a sixteenth.
        assert!((1100..1400).contains(&last), "{last}");
    }
}
