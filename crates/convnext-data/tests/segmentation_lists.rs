//! Data for segmentation that lists divide into parts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod mask_folders;

use convnext_data::{SegmentationLayout, SegmentationSet};
use tempfile::TempDir;

use mask_folders::{folder, grey, open, refused, write};

/// Images of these stems, with folders or without.
fn images(stems: &[&str]) -> TempDir {
    let paths: Vec<[String; 2]> =
        stems.iter().map(|stem| [format!("images/{stem}.png"), format!("masks/{stem}.png")]).collect();
    folder(&paths.iter().map(|[image, mask]| (&**image, &**mask, grey(&[0, 1]))).collect::<Vec<_>>())
}

fn list(folder: &TempDir, name: &str, lines: &str) {
    write(folder.path(), name, lines.as_bytes());
}

/// The ends of the paths of images behind `images/`.
fn names(set: &SegmentationSet) -> Vec<String> {
    let name = |at| set.images().name(at).rsplit_once("images/").unwrap().1.to_owned();
    (0..set.len()).map(name).collect()
}

#[test]
fn lines_with_folders_name_the_images_in_these() {
    let folder = images(&["a/0", "a/1", "b/0", "b/1", "c/2"]);
    list(&folder, "train.txt", "a/0\n./a/1.png\nelsewhere/2.jpg\n");
    list(&folder, "val.txt", "/home/me/images/b/0.jpg\nimages/b/1.png masks/b/1.png\n");
    let data = open(&folder);
    assert_eq!(names(&data.train), ["a/0.png", "a/1.png", "c/2.png"]);
    assert_eq!(names(&data.validation), ["b/0.png", "b/1.png"]);
}

#[test]
fn lines_that_may_mean_several_images_are_refused() {
    let folder = images(&["a/0", "b/0", "b/1"]);
    list(&folder, "val.txt", "1\n");
    for line in ["0", "c/0", "elsewhere/x/0.png"] {
        list(&folder, "train.txt", &format!("{line}\n"));
        let message = refused(&folder, &SegmentationLayout::default());
        for expected in ["train.txt", line, "2 images: images/a/0.png, images/b/0.png", "write the folders"] {
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[test]
fn images_in_the_lists_of_two_parts_are_named_and_not_trained_on() {
    let folder = images(&["0", "1", "2", "3"]);
    for (name, lines) in [("train.txt", "0\n1\n3\n"), ("val.txt", "1\n2\n"), ("test.txt", "3\n")] {
        list(&folder, name, lines);
    }
    let data = open(&folder);
    assert_eq!([names(&data.train), names(&data.validation)], [vec!["0.png"], vec!["1.png", "2.png"]]);
    assert_eq!(names(data.test.as_ref().unwrap()), ["3.png"]);
    let said = "2 images are in the lists of several parts";
    let named = "images/1.png, images/3.png";
    assert!(
        data.decisions.iter().any(|words| words.contains(said) && words.ends_with(named)),
        "{:?}",
        data.decisions
    );
}

#[test]
fn lists_of_other_encodings_are_refused_and_not_left_out() {
    let folder = images(&["0", "1", "2"]);
    let utf16: Vec<u8> = "\u{feff}0\n1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    write(folder.path(), "train.txt", &utf16);
    list(&folder, "val.txt", "\u{feff}2\n");
    let message = refused(&folder, &SegmentationLayout::default());
    for expected in ["train.txt", "no UTF-8 text", "save it as UTF-8"] {
        assert!(message.contains(expected), "{message}");
    }
    list(&folder, "train.txt", "\u{feff}0\n1\n");
    let data = open(&folder);
    assert_eq!(
        (names(&data.train), names(&data.validation)),
        (vec!["0.png".into(), "1.png".into()], vec!["2.png".into()])
    );
}

#[test]
fn lines_that_name_no_image_are_told_and_names_may_have_spaces() {
    let folder = images(&["a 1", "a 2", "b 1"]);
    list(&folder, "train.txt", "a 1\nimages/a 2.png\ngone\n");
    list(&folder, "val.txt", "b 1\nlost 1\n");
    let data = open(&folder);
    assert_eq!(names(&data.train), ["a 1.png", "a 2.png"]);
    assert_eq!(names(&data.validation), ["b 1.png"]);
    let said = "2 lines in lists of parts name none of these images, the first 'gone' in train.txt";
    assert!(data.decisions.iter().any(|words| words == said), "{:?}", data.decisions);
}

/// Bug: `image (1)`, as Windows calls a copy, was read as `image`.
#[test]
fn a_name_with_a_space_is_not_that_of_another_image() {
    for (train, validation) in [
        ("image\na/other (1)\n", "image (1)\na/other\n"),
        ("./image.png\n./a/other (1).png\n", "./image (1).png\n./a/other.png\n"),
        (
            "set/images/image.png\nset/images/a/other (1).png\n",
            "set/images/image (1).png\nset/images/a/other.png\n",
        ),
        ("image 1\na/other (1)\n", "image (1)\na/other.png masks/image.png\n"),
    ] {
        let folder = images(&["image", "image (1)", "a/other", "a/other (1)"]);
        list(&folder, "train.txt", train);
        list(&folder, "val.txt", validation);
        let data = open(&folder);
        assert_eq!(names(&data.train), ["a/other (1).png", "image.png"], "{train}");
        assert_eq!(names(&data.validation), ["a/other.png", "image (1).png"], "{train}");
    }
}
