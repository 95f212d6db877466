//! The places that `data.yaml` names, and those that are not there.

use super::*;

const ROW: &str = "0 0.5 0.5 0.5 0.5\n";

/// Images with a label each, and a `data.yaml`.
fn of_places(images: &[&str], places: &str) -> TempDir {
    let folder = folder(images);
    for image in images {
        let label = image.replace("images", "labels").replace(".png", ".txt");
        write(folder.path(), &label, ROW);
    }
    write(folder.path(), "data.yaml", format!("{places}\nnames: [cat]\n"));
    folder
}

#[test]
fn a_place_that_is_not_there_is_no_other_one() {
    for (images, places, expected) in [
        (
            ["valid/images/a.png", "test/images/b.png"],
            "train: ../train/images\nval: ../valid/images",
            "no images in ../train/images",
        ),
        (
            ["train/images/a.png", "test/images/b.png"],
            "train: ../train/images\nval: ../valid/images",
            "no images in ../valid/images",
        ),
        (
            ["x/zoo/images/a.png", "y/zoo/images/b.png"],
            "train: /me/zoo/images\nval: x/zoo/images",
            "may be x/zoo/images as well as y/zoo/images",
        ),
        (["images/a.png", "other/b.png"], "train: zoo/images\nval: images", "no images in zoo/images"),
    ] {
        let message = refused(&of_places(&images, places));
        assert!(message.contains("data.yaml") && message.contains(expected), "{message}");
    }
    let folder = of_places(
        &["train/images/a.png", "valid/images/b.png"],
        "train: ../train/images\nval: ../valid/images\ntest: ../test/images",
    );
    let data = open(&folder);
    assert_eq!((data.train.len(), data.validation.len(), data.test.is_none()), (1, 1, true));
    says(&data, "no images in ../test/images");
}

#[test]
fn a_place_begins_at_its_file_or_at_the_data() {
    for (yaml, train) in [("zoo/data.yaml", "images/train"), ("data.yaml", "zoo/images/train")] {
        for place in [train, &format!("../{train}"), &format!("./{train}/")] {
            let folder = of_places(&["zoo/images/train/a.png", "zoo/images/val/b.png"], "");
            fs::remove_file(folder.path().join("data.yaml")).unwrap();
            let val = place.replace("train", "val");
            write(folder.path(), yaml, format!("train: {place}\nval: {val}\nnames: [cat]\n"));
            let data = open(&folder);
            assert_eq!((data.train.len(), data.validation.len()), (1, 1), "{place}");
        }
    }
    let folder = of_places(&["a.png", "b.png"], "train: .\nval: .");
    assert!(open(&folder).held_out);
    let root = folder.path().display().to_string();
    write(folder.path(), "data.yaml", format!("train: {root}\nval: {root}/\nnames: [cat]\n"));
    assert!(open(&folder).held_out);
}

#[test]
fn images_that_all_lack_labels_are_refused() {
    let folder =
        of_places(&["images/train/a.png", "images/val/b.png"], "train: images/train\nval: images/val");
    fs::rename(folder.path().join("labels"), folder.path().join("label")).unwrap();
    let message = refused(&folder);
    assert!(message.contains("no image has a label file, as labels/train/a.txt"), "{message}");
}

#[cfg(unix)]
#[test]
fn labels_in_a_folder_without_a_unicode_name_are_not_taken_for_none() {
    use std::os::unix::ffi::OsStrExt;

    let folder = folder(&["a/1.png", "b/2.png"]);
    for label in ["a/1.txt", "b/2.txt"] {
        write(folder.path(), label, ROW);
    }
    let other = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    fs::rename(folder.path().join("b"), other).unwrap();
    let message = refused(&folder);
    assert!(message.contains("caf\u{fffd}") && message.contains("its name is not Unicode"), "{message}");
}

#[test]
fn labels_beside_images_below_a_folder_called_images_are_read() {
    let images = ["images/a.png", "images/b.png", "images/c.png"];
    let folder = folder(&images);
    for label in ["images/a.txt", "images/b.txt"] {
        write(folder.path(), label, ROW);
    }
    let is_read = |name: &str| {
        let data = open(&folder);
        let objects: u64 =
            [&data.train, &data.validation].iter().flat_map(|set| set.objects_per_class()).sum();
        assert_eq!((objects, data.classes.0[0].as_str()), (2, name));
        says(&data, "YOLO's labels: 2 label files");
    };
    is_read("class_0");
    write(folder.path(), "data.yaml", "train: images\nval: images\nnames: [cat]\n");
    is_read("cat");
    // What lies in labels/ is meant where both are there.
    write(folder.path(), "labels/c.txt", ROW);
    says(&open(&folder), "YOLO's labels: 1 label file");
}

#[test]
fn lists_of_another_machine_tell_images_of_one_name_apart() {
    let images = [
        "images/train/a.png",
        "images/train/b.png",
        "images/val/a.png",
        "images/val/b.png",
        "images/val/c.png",
    ];
    let folder = of_places(&images, "train: train.txt\nval: val.txt");
    write(folder.path(), "train.txt", "/me/zoo/images/train/a.png\n/me/zoo/images/train/b.png\n");
    write(folder.path(), "val.txt", "a.png\r\n/me/zoo/images/val/c.png\n");
    let data = open(&folder);
    let paths = |set: &DetectionSet| -> Vec<String> {
        let name = |index: usize| set.images().name(index).rsplit_once("images/").unwrap().1.to_owned();
        (0..set.len()).map(name).collect()
    };
    assert_eq!(paths(&data.train), ["train/a.png", "train/b.png"]);
    assert_eq!(paths(&data.validation), ["val/a.png", "val/c.png"]);
    write(folder.path(), "val.txt", "/me/zoo/images/val/c.png\n/me/zoo/images/val/gone.png\n");
    let message = refused(&folder);
    assert!(message.contains("1 of the 2 images that") && message.contains("val.txt lists"), "{message}");
    assert!(message.contains("/me/zoo/images/val/gone.png"), "{message}");
    let layout = DetectionLayout { allow_missing: true, ..DetectionLayout::default() };
    let data = open_with(&folder, &layout);
    assert_eq!(data.validation.len(), 1);
    says(&data, "val.txt: 1 image that is not there is left out");
}

#[test]
fn a_named_data_file_is_measured_by_its_part() {
    let folder =
        of_places(&["images/train/a.png", "images/val/b.png"], "train: images/train\nval: images/val");
    let annotations = Some(folder.path().join("data.yaml"));
    let layout = DetectionLayout { annotations, ..DetectionLayout::default() };
    let part = open_detection_part(folder.path(), &layout, None).unwrap();
    assert_eq!((part.split, part.images.len()), (Some(Split::Validation), 1));
}

#[test]
fn the_narrower_of_two_places_has_an_image() {
    let images = ["images/a.png", "images/b.png", "images/val/c.png"];
    let data = open(&of_places(&images, "train: images\nval: images/val"));
    assert_eq!((data.train.len(), data.validation.len(), data.held_out), (2, 1, false));
    let folder = of_places(&images, "train: train.txt\nval: val.txt");
    write(folder.path(), "train.txt", "images/a.png\nimages/b.png\n");
    write(folder.path(), "val.txt", "images/b.png\nimages/val/c.png\n");
    let data = open(&folder);
    assert_eq!((data.train.len(), data.validation.len()), (2, 1));
    says(&data, "1 image is in lists of several parts, of which the first counts");
}
