//! Images that are drawn, not stored: patterns of three classes, the same in every run.

use std::{fs, path::Path};

use image::{Rgb, RgbImage};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};

/// The side of every image.
pub(super) const SIDE: usize = 32;

/// The classes in the order of the logits. They differ in their pattern and, so that seconds of training
/// are enough to tell them apart, in the colour that dominates.
pub(super) const CLASSES: [&str; 3] = ["checkers", "horizontal", "vertical"];

/// Everything that decides one image.
pub(super) struct Draw {
    class: usize,
    width: u64,
    shift: [u64; 2],
    dark: [u8; 3],
    bright: [u8; 3],
}

impl Draw {
    /// The image of a class with a number: width, shift and colours are random, but always the same.
    pub(super) fn of(class: &str, number: usize) -> Self {
        let class = CLASSES.iter().position(|&known| known == class).unwrap();
        let mut random = Random((1000 * class + number) as u64);
        let dominant = |colour: usize| if colour == class { 160 } else { 60 };
        Self {
            class,
            width: 3 + random.below(2),
            shift: [random.below(8), random.below(8)],
            dark: std::array::from_fn(|_| random.below(60) as u8),
            bright: std::array::from_fn(|colour| dominant(colour) + random.below(90) as u8),
        }
    }

    fn colour(&self, x: u32, y: u32) -> Rgb<u8> {
        let [column, row] = [(x, self.shift[0]), (y, self.shift[1])]
            .map(|(place, shift)| (u64::from(place) + shift) / self.width % 2 == 1);
        let is_bright = match CLASSES[self.class] {
            "checkers" => column != row,
            "horizontal" => row,
            _ => column,
        };
        Rgb(if is_bright { self.bright } else { self.dark })
    }
}

/// Draws an image into a file whose ending decides the format.
pub(super) fn save(draw: &Draw, path: &Path) {
    let side = SIDE as u32;
    let drawn = RgbImage::from_fn(side, side, |x, y| draw.colour(x, y));
    match path.extension().is_some_and(|ending| ending == "jpg") {
        true => {
            let jpeg = compress(&drawn, SIDE, SIDE, PixelFormat::Rgb, 75, Subsampling::S444);
            fs::write(path, jpeg.unwrap()).unwrap();
        }
        false => drawn.save(path).unwrap(),
    }
}

/// SplitMix64, fixed here for ever.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}
