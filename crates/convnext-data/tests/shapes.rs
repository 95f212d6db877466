//! Run lengths of 10,000 shapes and their overlaps against pycocotools, byte for byte.
//!
//! Both sides draw the shapes by the same generator; the golden file holds the first lines, by which a failure is understood,
//! and a checksum over all.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use convnext_core::ImageSize;
use convnext_data::RunLengths;
use serde::Deserialize;

/// Written by `tests/goldens/shapes/make.py`.
#[derive(Deserialize)]
struct Golden {
    pairs: usize,
    checksum: String,
    lines: Vec<String>,
}

/// A linear congruential generator (Knuth's MMIX), of which the upper bits are taken.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn ring(&mut self, kind: usize, size: ImageSize) -> Vec<f64> {
        let corners = 3 + self.below(if kind == 7 { 30 } else { 7 });
        let sides = [size.width, size.height];
        (0..corners).flat_map(|_| sides.map(|side| self.coordinate(kind, side))).collect()
    }

    fn coordinate(&mut self, kind: usize, side: usize) -> f64 {
        let length = side as f64;
        match kind {
            1 => (self.below(100 * (side + 80)) as f64 - 4000.0) / 100.0,
            2 => self.below(10 * side + 1) as f64 / 10.0,
            3 => (self.below(4) as f64 * length - (side / 2) as f64) / 2.0,
            4 => length / 2.0 + self.below(300) as f64 / 100.0,
            5 => (self.below(4000) as f64 - 2000.0) / 100.0 * length,
            _ => self.below(100 * side + 1) as f64 / 100.0,
        }
    }

    fn bitmap(&mut self, ImageSize { height, width }: ImageSize) -> Vec<bool> {
        let density = [3, 50, 97, 100][self.below(4)];
        let (top, left) = (self.below(height), self.below(width));
        let bottom = top + 1 + self.below(height - top);
        let right = left + 1 + self.below(width - left);
        let mut pixels = vec![false; height * width];
        for y in top..bottom {
            for x in left..right {
                pixels[y * width + x] = self.below(100) < density;
            }
        }
        pixels
    }

    fn shape(&mut self, size: ImageSize) -> RunLengths {
        let kind = self.below(9);
        if kind == 8 {
            return RunLengths::of_rows(&self.bitmap(size), size);
        }
        let rings = if kind == 6 { 2 + self.below(3) } else { 1 };
        RunLengths::of_rings(&(0..rings).map(|_| self.ring(kind, size)).collect::<Vec<_>>(), size)
    }

    fn line(&mut self) -> String {
        let most = [12, 40, 40, 400][self.below(4)];
        let (height, mut width) = (1 + self.below(most), 1 + self.below(most));
        if most == 400 && self.below(2) == 0 {
            width = 1 + self.below(30);
        }
        let pair = [0; 2].map(|_| self.shape(ImageSize { height, width }));
        let [first, second] = pair.each_ref().map(described);
        let overlap = pair[0].intersection_over_union(&pair[1]).to_bits();
        let overlap_with_crowd = pair[0].share_inside(&pair[1]).to_bits();
        format!("{height} {width} | {first} | {second} | {overlap:016x} | {overlap_with_crowd:016x}")
    }
}

/// Its string, area and box; the string must come back too.
fn described(shape: &RunLengths) -> String {
    let text = shape.text();
    assert_eq!(RunLengths::of_text(&text, shape.size()).as_ref(), Ok(shape));
    let sides = shape.bounds().corner_and_size().map(|side| side.to_string()).join(" ");
    format!("{text} {} {sides}", shape.area())
}

/// FNV-1a of 64 bits.
fn checksum(text: &str) -> String {
    let add = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, add))
}

#[test]
fn shapes_are_those_of_pycocotools() {
    let golden: Golden = serde_json::from_str(include_str!("goldens/shapes/shapes.json")).unwrap();
    let mut numbers = Numbers(24);
    let lines: Vec<String> = (0..golden.pairs).map(|_| numbers.line()).collect();
    for (number, (found, expected)) in lines.iter().zip(&golden.lines).enumerate() {
        assert_eq!(found, expected, "pair {number}");
    }
    assert_eq!(checksum(&lines.join("\n")), golden.checksum, "of {} pairs", lines.len());
}
