//! Images with masks that are drawn, not stored.

use image::{GrayImage, Luma, Rgb, RgbImage};

use super::bench::Bench;

/// Images of a red part on blue, whose masks say 0 and 1, with a line of 255 between; of odd sizes.
pub(super) fn streets() -> Bench {
    streets_of(6)
}

/// The same with so many images to train on.
pub(super) fn streets_of(train: u32) -> Bench {
    let bench = Bench::new();
    for (part, count) in [("train", train), ("val", 2)] {
        for number in 0..count {
            let (width, height, border) = (70 + number, 66, 20 + 5 * (number % 8));
            let image = RgbImage::from_fn(width, height, |x, y| {
                let noise = ((x * 7 + y * 13 + number * 5) % 40) as u8;
                if x < border { Rgb([180 + noise, 40, 40]) } else { Rgb([30, 50, 170 + noise]) }
            });
            let mask = GrayImage::from_fn(width, height, |x, _| {
                Luma([if x == border { 255 } else { u8::from(x > border) }])
            });
            let name = |folder: &str| format!("streets/{folder}/{part}/{number:02}.png");
            bench.write(&name("images"), png(&image.into()));
            bench.write(&name("annotations"), png(&mask.into()));
        }
    }
    bench
}

/// The bytes of a PNG file.
pub(super) fn png(image: &image::DynamicImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}
