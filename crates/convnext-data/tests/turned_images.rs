//! Images with a turn in their EXIF data: their sizes are those that they are decoded to, whatever their format.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod tiff_files;

use std::fs;
use std::path::Path;

use convnext_core::{COLOURS, ImageSize, Seed};
use convnext_data::{
    Decoding, DetectionData, DetectionLayout, Image, Orientation, SegmentationLayout, open_detection,
    open_segmentation,
};
use image::codecs::{png::PngEncoder, webp::WebPEncoder};
use image::{ExtendedColorType, ImageEncoder};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use tempfile::TempDir;
use tiff_files::Bands;

const STORED: ImageSize = ImageSize { height: 8, width: 12 };
const UPRIGHT: ImageSize = ImageSize { height: 12, width: 8 };

/// A little-endian TIFF header and a directory with one entry: the orientation, 6.
const QUARTER_TURN: &[u8] = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";

/// Formats that name a turn, by their extensions.
const FORMATS: [&str; 3] = ["jpg", "png", "webp"];

/// An image that lies on its side, with noise of so many pixels a side.
fn lying(format: &str, size: ImageSize) -> Vec<u8> {
    fn encoded(mut encoder: impl ImageEncoder, pixels: &[u8], size: ImageSize) {
        encoder.set_exif_metadata(QUARTER_TURN.to_vec()).unwrap();
        let [width, height] = [size.width, size.height].map(|side| side as u32);
        encoder.write_image(pixels, width, height, ExtendedColorType::Rgb8).unwrap();
    }
    let noise = (0..size.pixels() * COLOURS).scan(1_u32, |state, _| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    });
    let (pixels, mut bytes): (Vec<u8>, _) = (noise.collect(), Vec::new());
    match format {
        "jpg" => {
            let (format, halves) = (PixelFormat::Rgb, Subsampling::S420);
            let plain = compress(&pixels, size.width, size.height, format, 90, halves).unwrap();
            let length = 2 + 6 + QUARTER_TURN.len() as u8;
            let segment = [&[0xFF, 0xE1, 0, length][..], b"Exif\0\0", QUARTER_TURN].concat();
            bytes = [&plain[..2], &segment, &plain[2..]].concat();
        }
        "png" => encoded(PngEncoder::new(&mut bytes), &pixels, size),
        _ => encoded(WebPEncoder::new_lossless(&mut bytes), &pixels, size),
    }
    bytes
}

/// Two images of a size, whose annotations state another.
fn opened(folder: &Path, format: &str, size: ImageSize, stated: ImageSize) -> Result<DetectionData, String> {
    let names = ["train", "val"].map(|part| format!("{part}/a.{format}"));
    for name in &names {
        fs::create_dir_all(folder.join(name).parent().unwrap()).unwrap();
        fs::write(folder.join(name), lying(format, size)).unwrap();
    }
    let ImageSize { height, width } = stated;
    let image =
        |(id, name)| format!(r#"{{"id":{id},"file_name":"{name}","height":{height},"width":{width}}}"#);
    let images: Vec<String> = names.iter().enumerate().map(image).collect();
    let object = |id| {
        let ring = "[[1,1,5,1,5,4,1,4]]";
        format!(r#"{{"id":{id},"image_id":{id},"category_id":1,"bbox":[1,1,4,3],"segmentation":{ring}}}"#)
    };
    let text = format!(
        r#"{{"images":[{}],"annotations":[{},{}],"categories":[{{"id":1,"name":"bar"}}]}}"#,
        images.join(","),
        object(0),
        object(1)
    );
    fs::write(folder.join("instances.json"), text).unwrap();
    open_detection(folder, &DetectionLayout::default(), Seed(1)).map_err(|error| error.to_string())
}

#[test]
fn boxes_lie_in_the_image_as_it_is_decoded() {
    for format in FORMATS {
        for (stated, orientation) in [(STORED, Orientation::Ignore), (UPRIGHT, Orientation::Honour)] {
            let folder = tempfile::tempdir().unwrap();
            let data = opened(folder.path(), format, STORED, stated).unwrap();
            let found = (data.train.orientation(), data.train.image_size(0));
            assert_eq!(found, (orientation, stated), "{format}");
            let image = data.train.images().image(0, &Decoding::new(COLOURS, orientation)).unwrap();
            assert_eq!(data.train.cut(0, image).unwrap().size(), stated, "{format}");
        }
    }
}

/// WebP files have their turn behind their pixels, beyond what is read for a size at first.
#[test]
fn the_turn_behind_many_pixels_is_found() {
    let (stored, upright) = (ImageSize { height: 160, width: 240 }, ImageSize { height: 240, width: 160 });
    assert!(lying("webp", stored).len() > 1 << 16);
    for format in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        let data = opened(folder.path(), format, stored, upright).unwrap();
        let found = (data.train.orientation(), data.train.image_size(0));
        assert_eq!(found, (Orientation::Honour, upright), "{format}");
        let mask = Image::new(upright.width, upright.height, 1, vec![0; upright.pixels()]).unwrap();
        mask_fits(format, stored, &mask);
    }
}

/// A folder with three images and masks.
fn pairs(image: (&[u8], &str), mask: (&[u8], &str)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        for (kind, (bytes, extension)) in [("images", image), ("masks", mask)] {
            fs::create_dir_all(folder.path().join(kind)).unwrap();
            fs::write(folder.path().join(format!("{kind}/{name}.{extension}")), bytes).unwrap();
        }
    }
    folder
}

fn mask_fits(format: &str, stored: ImageSize, mask: &Image) {
    let folder = pairs((&lying(format, stored), format), (&mask.png(), "png"));
    let opened = open_segmentation(folder.path(), &SegmentationLayout::default(), Seed(1));
    let refused = opened.err().map(|error| error.to_string());
    // A map of one value may be refused, but not for its size.
    assert!(refused.as_ref().is_none_or(|why| !why.contains(" px")), "{format}: {refused:?}");
}

#[test]
fn masks_fit_images_that_are_decoded_upright() {
    for format in FORMATS {
        mask_fits(format, STORED, &Image::new(8, 12, 1, (0..96).map(|at| at % 2).collect()).unwrap());
    }
}

#[test]
fn masks_fit_images_whose_turn_is_ignored() {
    let stripes = |width, height| Image::new(width, height, 1, (0..96).map(|at| at % 2).collect()).unwrap();
    for format in FORMATS {
        for (mask, fits, advice) in [
            (
                stripes(12, 8),
                Orientation::Ignore,
                "without the turn in its EXIF data: turn the mask or the image's pixels, or give --ignore-orientation",
            ),
            (
                stripes(8, 12),
                Orientation::Honour,
                "with the turn in its EXIF data: leave out --ignore-orientation",
            ),
        ] {
            let folder = pairs((&lying(format, STORED), format), (&mask.png(), "png"));
            for orientation in [Orientation::Honour, Orientation::Ignore] {
                let layout = SegmentationLayout { orientation, ..SegmentationLayout::default() };
                match open_segmentation(folder.path(), &layout, Seed(1)) {
                    Ok(data) => {
                        assert_eq!((orientation, data.train.orientation()), (fits, fits), "{format}");
                        let image =
                            data.train.images().image(0, &Decoding::new(COLOURS, orientation)).unwrap();
                        data.train.label_map_of(0, image.size()).unwrap();
                    }
                    Err(error) => {
                        let message = error.to_string();
                        assert!(orientation != fits && message.contains(advice), "{format}: {message}");
                    }
                }
            }
        }
    }
}

/// Three greyscale images of the stored size, and as masks files of it in which the first pixel is another class.
fn turned_pairs(turn: u8, mask: &[u8], extension: &str) -> TempDir {
    pairs((&grey_png(&[9; 96], Some(turn)), "png"), (mask, extension))
}

/// A PNG of one channel and the stored size, with a turn or without.
fn grey_png(pixels: &[u8], turn: Option<u8>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(turn) = turn {
        let mut exif = QUARTER_TURN.to_vec();
        exif[18] = turn;
        encoder.set_exif_metadata(exif).unwrap();
    }
    let [width, height] = [STORED.width, STORED.height].map(|side| side as u32);
    encoder.write_image(pixels, width, height, ExtendedColorType::L8).unwrap();
    bytes
}

#[test]
fn masks_are_turned_as_their_own_files_say() {
    let mut pixels = [0; 96];
    pixels[0] = 1;
    // Where the first pixel comes to lie when it is turned by half, and by a quarter.
    for (turn, place) in [(3, (11, 7)), (6, (7, 0))] {
        let tiff = Bands { orientation: turn.into(), ..Bands::new(STORED.width, 1) }.file(&pixels[..]);
        for (mask, extension) in [(grey_png(&pixels, Some(turn)), "png"), (tiff, "tif")] {
            let folder = turned_pairs(turn, &mask, extension);
            for (orientation, (x, y)) in [(Orientation::Honour, place), (Orientation::Ignore, (0, 0))] {
                let layout = SegmentationLayout { orientation, ..SegmentationLayout::default() };
                let data = open_segmentation(folder.path(), &layout, Seed(1)).unwrap();
                let map = data.train.label_map(0).unwrap();
                assert_eq!(map.get(x, y), 1, "{extension}, turn {turn}");
                assert_eq!(map.labels.iter().filter(|&&label| label == 1).count(), 1);
                assert!(!data.decisions.iter().any(|said| said.contains("EXIF")), "{:?}", data.decisions);
            }
        }
    }
}

#[test]
fn images_turned_without_a_change_of_size_are_counted() {
    let mut pixels = [0; 96];
    pixels[0] = 1;
    let folder = turned_pairs(3, &grey_png(&pixels, None), "png");
    let data = open_segmentation(folder.path(), &SegmentationLayout::default(), Seed(1)).unwrap();
    let expected = "3 images are turned by EXIF without a change of size; their masks are taken as upright";
    assert!(data.decisions.iter().any(|said| said == expected), "{:?}", data.decisions);
    assert_eq!(data.train.label_map(0).unwrap().get(0, 0), 1);
}

/// What the size of an image depends on may stand behind its pixels.
#[test]
fn masks_of_another_size_than_a_tiff_or_gif_image_are_refused() {
    let tiff = |orientation| {
        let bands = Bands { orientation, colours: true, ..Bands::new(160, 3) };
        bands.file(&vec![9_u8; 160 * 240 * 3])
    };
    assert!(tiff(1).len() > 1 << 16);
    let gif =
        b"GIF89a\x02\0\x03\0\x80\0\0\0\0\0\xFF\xFF\xFF,\0\0\0\0\x02\0\x03\0\0\x02\x02\x44\x01\0;".to_vec();
    for (image, extension, (width, height)) in
        [(tiff(1), "tif", (160, 240)), (tiff(6), "tif", (240, 160)), (gif, "gif", (2, 3))]
    {
        for (mask_width, fits) in [(width, true), (width + 2, false)] {
            let pixels = (0..mask_width * height).map(|at| (at % 2) as u8).collect();
            let mask = Image::new(mask_width, height, 1, pixels).unwrap().png();
            let folder = pairs((&image, extension), (&mask, "png"));
            let opened = open_segmentation(folder.path(), &SegmentationLayout::default(), Seed(1));
            let refused = opened.err().map(|error| error.to_string());
            let names_size = refused.as_ref().is_some_and(|why| {
                why.contains(&format!("it is {height} x {mask_width} px but its image"))
                    && why.contains(&format!("is {height} x {width} px"))
            });
            assert_eq!((refused.is_none(), names_size), (fits, !fits), "{extension}: {refused:?}");
        }
    }
}

#[test]
fn an_image_that_changed_its_size_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = opened(folder.path(), "png", STORED, UPRIGHT).unwrap();
    let other = Image::new(12, 8, 3, vec![0; 288]).unwrap();
    let message = data.train.cut(0, other).unwrap_err().to_string();
    assert!(message.contains("train/a.png: it is 8 x 12 px"), "{message}");
    assert!(message.contains("its objects lie in 12 x 8 px"), "{message}");
}
