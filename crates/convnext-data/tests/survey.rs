//! A survey counts what is in a data set, and finds what is wrong with it.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

#[path = "survey/thumbnails.rs"]
mod thumbnails;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use convnext_core::Seed;
use convnext_data::{
    Channels, Dataset, DuplicateGroup, Image, Orientation, Survey, SurveyOptions, decode, open_labelled,
    open_unlabelled, pack, survey,
};
use image::{ImageFormat, RgbImage};
use tempfile::TempDir;

/// An image that differs from those of other numbers in every pixel.
fn image(number: u8, width: usize, height: usize) -> Image {
    let rgb = (0..width * height * 3).map(|i| number.wrapping_mul(17) ^ (i as u8)).collect();
    Image::new(width, height, 3, rgb).unwrap()
}

struct Data {
    folder: TempDir,
}

impl Data {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn image(&self, path: &str, number: u8) {
        self.write(path, &image(number, 6, 5).png());
    }

    /// Surveys training and validation.
    fn labelled(&self, options: SurveyOptions) -> Survey {
        labelled(&self.root(), options)
    }
}

fn labelled(path: &Path, options: SurveyOptions) -> Survey {
    let data = open_labelled(path, None, 0.5, Seed(0)).unwrap();
    survey(&[("train", &data.train), ("val", &data.validation)], options, |_| ()).unwrap()
}

fn unlabelled(dataset: &Dataset) -> Survey {
    survey(&[("all", dataset)], threads(2), |_| ()).unwrap()
}

fn threads(threads: usize) -> SurveyOptions {
    SurveyOptions { threads, ..SurveyOptions::default() }
}

/// Training and validation with every kind of finding.
fn mixed() -> Data {
    let data = Data::new();
    for number in 0..12 {
        data.image(&format!("train/cat/{number:02}.png"), number);
    }
    for number in 0..4 {
        data.image(&format!("train/dog/{number:02}.png"), 50 + number);
    }
    data.image("val/cat/a.png", 100);
    data.image("val/cat/b.png", 3); // of train/cat
    data.image("val/dog/a.png", 101);
    data.image("train/dog/copy.png", 51); // of train/dog
    data.image("train/dog/wrong.png", 7); // of train/cat
    data.write("train/cat/text.jpg", b"no image");
    data.write("val/dog/empty.png", b"");
    data
}

/// Files of a group below the root, and whether it crosses parts and classes.
fn group(found: &DuplicateGroup) -> (Vec<&str>, bool, bool) {
    let short = |name: &'_ str| name.rfind("train/").or(name.rfind("val/")).unwrap();
    let names = found.images.iter().map(|image| &image.name[short(&image.name)..]).collect();
    (names, found.crosses_parts, found.crosses_classes)
}

#[test]
fn images_are_counted_per_class_and_part() {
    let data = mixed();
    let mut done = Vec::new();
    let opened = open_labelled(&data.root(), None, 0.5, Seed(0)).unwrap();
    let parts = [("train", &opened.train), ("val", &opened.validation)];
    let found = survey(&parts, threads(3), |images| done.push(images)).unwrap();
    assert_eq!(done, (1..=23).collect::<Vec<_>>());
    assert_eq!((found.images, found.classes.join(" ")), (23, "cat dog".into()));
    let counts = |part: usize| {
        (&found.parts[part].name[..], found.parts[part].images, &found.parts[part].images_per_class[..])
    };
    assert_eq!(counts(0), ("train", 19, &[13, 6][..]));
    assert_eq!(counts(1), ("val", 4, &[2, 2][..]));
    assert_eq!(found.parts[0].smallest_to_largest, Some(6.0 / 13.0));
    assert_eq!(found.parts[1].smallest_to_largest, Some(1.0));

    let bytes: u64 = (0..opened.train.len()).map(|i| opened.train.read(i).unwrap().len() as u64).sum::<u64>()
        + (0..4).map(|i| opened.validation.read(i).unwrap().len() as u64).sum::<u64>();
    assert_eq!(found.bytes, bytes);
    assert_eq!(found.formats, [("PNG".to_owned(), 21)].into());
    assert_eq!(found.sizes.unwrap().width.median, 6);

    let corrupt: Vec<_> = found.corrupt.iter().map(|file| (&file.name[..], &file.why[..])).collect();
    let name = |file: &str| data.root().join(file).display().to_string();
    let (text, empty) = (name("train/cat/text.jpg"), name("val/dog/empty.png"));
    let no_image = "its content is no JPEG, PNG, WebP, BMP, GIF or TIFF image";
    assert_eq!(corrupt, [(&text[..], no_image), (&empty, "the file is empty")]);
}

#[test]
fn duplicates_across_parts_and_classes_come_first() {
    let found = mixed().labelled(threads(2));
    assert_eq!(
        found.duplicates.iter().map(group).collect::<Vec<_>>(),
        [
            (vec!["train/cat/03.png", "val/cat/b.png"], true, false),
            (vec!["train/cat/07.png", "train/dog/wrong.png"], false, true),
            (vec!["train/dog/01.png", "train/dog/copy.png"], false, false),
        ]
    );
    let image = &found.duplicates[0].images[1];
    assert_eq!((image.part, image.class), (1, Some(0)));
}

#[test]
fn duplicates_are_the_same_pixels_in_the_same_shape() {
    let data = Data::new();
    let flat = |width, height| Image::new(width, height, 3, vec![80; width * height * 3]).unwrap().png();
    data.write("2x3.png", &flat(2, 3));
    data.write("3x2.png", &flat(3, 2));
    data.write("6x1.png", &flat(6, 1));
    let original = image(1, 6, 5);
    data.write("train/a.png", &original.png());
    let mut other_format = std::io::Cursor::new(Vec::new());
    let pixels = RgbImage::from_raw(6, 5, original.bytes().to_vec()).unwrap();
    pixels.write_to(&mut other_format, ImageFormat::Bmp).unwrap();
    data.write("train/b.bmp", other_format.get_ref());
    let mut nearly = original.into_bytes();
    nearly[44] ^= 1;
    data.write("train/c.png", &Image::new(6, 5, 3, nearly).unwrap().png());

    let found = unlabelled(&open_unlabelled(&data.root()).unwrap());
    assert_eq!(
        found.duplicates.iter().map(group).collect::<Vec<_>>(),
        [(vec!["train/a.png", "train/b.bmp"], false, false)]
    );
    assert_eq!((found.classes.len(), found.parts[0].smallest_to_largest), (0, None));
    assert!(found.parts[0].images_per_class.is_empty() && found.duplicates[0].images[0].class.is_none());
    assert_eq!(found.thumbnails.len(), 6);
}

#[test]
fn threads_change_nothing() {
    let data = mixed();
    let one = data.labelled(threads(1));
    for more in [2, 3, 8] {
        assert_eq!(data.labelled(threads(more)), one, "{more} threads");
    }
}

#[test]
fn archives_and_shards_are_surveyed_as_folders_are() {
    let data = mixed();
    let of_folder = data.labelled(threads(2));
    let archive = data.folder.path().join("data.tar");
    let mut builder = tar::Builder::new(File::create(&archive).unwrap());
    builder.append_dir_all("", data.root()).unwrap();
    builder.finish().unwrap();
    let opened = open_labelled(&data.root(), None, 0.5, Seed(0)).unwrap();
    let shards = data.folder.path().join("shards");
    pack(&opened.train, &shards.join("train"), 9000, |_| ()).unwrap();
    pack(&opened.validation, &shards.join("val"), 9000, |_| ()).unwrap();

    for path in [archive, shards] {
        let found = labelled(&path, threads(2));
        assert_eq!(
            (found.images, found.bytes, &found.classes, &found.parts, &found.sizes, &found.formats),
            (
                of_folder.images,
                of_folder.bytes,
                &of_folder.classes,
                &of_folder.parts,
                &of_folder.sizes,
                &of_folder.formats
            ),
        );
        assert_eq!((&found.channels, found.turned), (&of_folder.channels, of_folder.turned));
        let reasons =
            |survey: &Survey| survey.corrupt.iter().map(|file| file.why.clone()).collect::<Vec<_>>();
        assert_eq!(reasons(&found), reasons(&of_folder));
        let groups = |survey: &Survey| -> Vec<_> {
            let places = |group: &DuplicateGroup| {
                group.images.iter().map(|image| (image.part, image.class)).collect::<Vec<_>>()
            };
            survey
                .duplicates
                .iter()
                .map(|group| (places(group), group.crosses_parts, group.crosses_classes))
                .collect()
        };
        assert_eq!(groups(&found), groups(&of_folder));
        let images =
            |survey: &Survey| survey.thumbnails.iter().map(|small| small.png.clone()).collect::<Vec<_>>();
        assert_eq!(images(&found), images(&of_folder));
    }
}

#[test]
fn formats_channels_and_orientations_are_told() {
    use Channels::{Cmyk, Colour, ColourAlpha, Greyscale, GreyscaleAlpha};
    for (file, format, channels, turned) in [
        ("gray.jpg", "JPEG", Greyscale, 0),
        ("cmyk.jpg", "JPEG", Cmyk, 0),
        ("exif-6.jpg", "JPEG", Colour, 1),
        ("exif-2.jpg", "JPEG", Colour, 1),
        ("gray.png", "PNG", Greyscale, 0),
        ("gray16.png", "PNG", Greyscale, 0),
        ("bilevel.png", "PNG", Greyscale, 0),
        ("gray-alpha.png", "PNG", GreyscaleAlpha, 0),
        ("palette.png", "PNG", Colour, 0),
        ("palette-transparent.png", "PNG", ColourAlpha, 0),
        ("photo.png", "PNG", Colour, 0),
        ("gray.tif", "TIFF", Greyscale, 0),
        ("cmyk.tif", "TIFF", Cmyk, 0),
        ("palette.bmp", "BMP", Colour, 0),
        ("lossy.webp", "WebP", Colour, 0),
    ] {
        let data = Data::new();
        let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(file)).unwrap();
        // The content counts, not the name.
        data.write("image.jpeg", &bytes);
        let found = unlabelled(&open_unlabelled(&data.root()).unwrap());
        assert_eq!(found.corrupt, [], "{file}");
        assert_eq!(found.formats, [(format.to_owned(), 1)].into(), "{file}");
        assert_eq!(found.channels, [(channels, 1)].into(), "{file}");
        assert_eq!(found.turned, turned, "{file}");
        let upright = decode(&bytes, file, 3, Orientation::Honour).unwrap();
        let sizes = found.sizes.unwrap();
        assert_eq!((sizes.width.max, sizes.height.min), (upright.width(), upright.height()), "{file}");
    }
}

#[test]
fn parts_with_other_classes_are_matched_by_name() {
    let data = Data::new();
    for (index, path) in
        ["a/cat/1.png", "a/eel/1.png", "a/eel/2.png", "b/dog/1.png", "b/eel/1.png"].iter().enumerate()
    {
        data.image(path, index as u8);
    }
    let open = |part: &str| open_labelled(&data.root().join(part), None, 0.5, Seed(0)).unwrap().train;
    let found = survey(&[("a", &open("a")), ("b", &open("b"))], threads(1), |_| ()).unwrap();
    assert_eq!(found.classes, ["cat", "eel", "dog"]);
    assert_eq!(found.parts[0].images_per_class, [1, 1, 0]);
    assert_eq!(found.parts[1].images_per_class, [0, 1, 1]);
    // A class that the part itself does not have does not make it uneven.
    assert_eq!(found.parts[1].smallest_to_largest, Some(1.0));
}

#[test]
fn nothing_and_nobody_are_told() {
    let data = mixed();
    let dataset = open_unlabelled(&data.root()).unwrap();
    let error = survey(&[("all", &dataset)], threads(0), |_| ()).unwrap_err().to_string();
    assert!(error.contains("number of threads is 0, but must be at least 1"), "{error}");
    let nothing = unlabelled(&dataset.subset(&[]));
    assert_eq!((nothing.images, nothing.sizes, nothing.duplicates.len()), (0, None, 0));
    assert_eq!(survey(&[], threads(2), |_| ()).unwrap().images, 0);
}
