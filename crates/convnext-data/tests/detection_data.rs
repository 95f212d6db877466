//! Data for detection: layouts, classes, parts, what is mended, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

#[path = "detection_data/images.rs"]
mod images;
#[path = "detection_data/told.rs"]
mod told;

use std::fs::{self, File};
use std::path::Path;

use convnext_core::{ClassNames, Seed};
use convnext_data::{
    AnnotationRemark, DetectionData, DetectionLayout, Image, InstanceMask, Orientation, Split,
    open_detection, open_detection_part,
};
use tempfile::TempDir;

const WIDTH: usize = 20;
const HEIGHT: usize = 10;

fn png() -> Vec<u8> {
    Image::new(WIDTH, HEIGHT, 1, vec![9; WIDTH * HEIGHT]).unwrap().png()
}

fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Images at these paths.
fn folder(images: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    images.iter().for_each(|image| write(folder.path(), image, png()));
    folder
}

const CATEGORIES: &str = r#"{"id":7,"name":"dog"},{"id":3,"name":"cat"}"#;

/// A file of annotations with images `(id, name)`.
fn coco(images: &[(i64, &str)], annotations: &[&str], categories: &str) -> String {
    let images = images
        .iter()
        .map(|(id, name)| format!(r#"{{"id":{id},"file_name":"{name}","width":{WIDTH},"height":{HEIGHT}}}"#));
    format!(
        r#"{{"info":{{"year":2026}},"annotations":[{}],"images":[{}],"categories":[{categories}]}}"#,
        annotations.join(","),
        images.collect::<Vec<_>>().join(",")
    )
}

fn annotation(id: i64, image: i64, category: i64, rest: &str) -> String {
    format!(r#"{{"id":{id},"image_id":{image},"category_id":{category},{rest}}}"#)
}

const BOX: &str = r#""bbox":[2,1,4,3]"#;

fn open_with(folder: &TempDir, layout: &DetectionLayout) -> DetectionData {
    open_detection(folder.path(), layout, Seed(1)).unwrap()
}

fn open(folder: &TempDir) -> DetectionData {
    open_with(folder, &DetectionLayout::default())
}

fn refused(folder: &TempDir, layout: &DetectionLayout) -> String {
    open_detection(folder.path(), layout, Seed(1)).unwrap_err().to_string()
}

/// One file of annotations of `a.png`, which is image 5.
fn of_one(annotations: &[&str]) -> TempDir {
    let folder = folder(&["a.png", "b.png"]);
    write(folder.path(), "instances.json", coco(&[(5, "a.png"), (6, "b.png")], annotations, CATEGORIES));
    folder
}

fn says(data: &DetectionData, expected: &str) -> bool {
    let remarks: Vec<String> = data.remarks.iter().map(AnnotationRemark::sentence).collect();
    let found = data.decisions.iter().chain(&remarks).any(|said| said.contains(expected));
    assert!(found, "'{expected}' is not said: {:?} {remarks:?}", data.decisions);
    found
}

fn coco_folder() -> TempDir {
    let folder = folder(&["c/train2017/a.png", "c/train2017/b.png", "c/val2017/a.png", "c/val2017/x.png"]);
    let root = folder.path();
    let ring = r#""bbox":[2,1,4,3],"area":11.5,"segmentation":[[2,1,6,1,6,4,2,4]]"#;
    let crowd = r#""bbox":[0,0,20,10],"iscrowd":1,"segmentation":{"size":[10,20],"counts":[0,50]}"#;
    let train = [annotation(0, 9, 7, ring), annotation(1, 9, 3, crowd), annotation(2, 4, 3, ring)];
    let train: Vec<&str> = train.iter().map(String::as_str).collect();
    write(
        root,
        "c/annotations/instances_train2017.json",
        coco(&[(9, "b.png"), (4, "a.png")], &train, CATEGORIES),
    );
    // The ids and the order of the categories are others, and one is new and unused.
    let categories = r#"{"id":1,"name":"dog"},{"id":2,"name":"cat"},{"id":3,"name":"emu"}"#;
    let val = annotation(1, 1, 1, ring);
    write(root, "c/annotations/instances_val2017.json", coco(&[(1, "a.png")], &[&val], categories));
    write(root, "c/annotations/captions_val2017.json", r#"{"images":[],"annotations":[]}"#);
    folder
}

#[test]
fn folders_and_archives_of_coco_hold_the_same() {
    let folder = coco_folder();
    let archive = folder.path().join("data.tar");
    let mut tar = tar::Builder::new(File::create(&archive).unwrap());
    tar.append_dir_all("c", folder.path().join("c")).unwrap();
    tar.finish().unwrap();
    let of_archive = open_detection(&archive, &DetectionLayout::default(), Seed(1)).unwrap();
    fs::remove_file(&archive).unwrap();
    for data in [&open(&folder), &of_archive] {
        assert_eq!(data.classes, ClassNames(vec!["cat".into(), "dog".into()]));
        assert_eq!((data.train.len(), data.validation.len()), (2, 1));
        assert_eq!((data.held_out, data.validation_split), (false, Some(Split::Validation)));
        assert_eq!((data.train.image_id(0), data.train.category_id(0), data.train.category_id(1)), (9, 3, 7));
        assert_eq!((data.validation.category_id(0), data.validation.category_id(1)), (2, 1));
        let [dog, crowd] = data.train.instances(0) else { panic!("two objects") };
        assert_eq!((dog.class, dog.area, dog.is_crowd), (1, 11.5, false));
        assert_eq!(dog.bounds.edges(), [2.0, 1.0, 6.0, 4.0]);
        assert!(matches!(dog.mask, Some(InstanceMask::Rings(_))));
        assert!(crowd.is_crowd && matches!(crowd.mask, Some(InstanceMask::RunLengths(_))));
        assert_eq!(crowd.area, 50.0);
        assert_eq!(data.validation.instances(0)[0].class, 1);
        assert_eq!((data.train.objects_per_class(), data.train.images_per_class()), (vec![1, 1], vec![1, 1]));
        assert!(data.train.has_masks());
        assert!(data.train.images().name(0).ends_with("train2017/b.png"));
        assert!(data.validation.images().name(0).ends_with("val2017/a.png"));
        says(data, "'emu' is none of the training part");
        says(data, "x.png, and left out");
    }
    let part = open_detection_part(folder.path(), &DetectionLayout::default(), None).unwrap();
    assert_eq!((part.split, part.images.len()), (Some(Split::Validation), 1));
}

#[test]
fn subsets_keep_their_objects() {
    let folder = coco_folder();
    let data = open(&folder);
    let subset = data.train.subset(&[1]);
    assert_eq!((subset.len(), subset.image_id(0), subset.instances(0).len()), (1, 4, 1));
    assert_ne!(subset.fingerprint(), data.train.fingerprint());
    assert_eq!(data.train.fingerprint(), open(&folder).train.subset(&[0, 1]).fingerprint());
    assert_eq!(data.train.choose(1, Seed(3)).unwrap().len(), 1);
    assert!(data.train.choose(3, Seed(3)).is_err());
    let model = ClassNames(["emu", "dog", "cat"].map(str::to_owned).to_vec());
    let renamed = data.train.for_classes(&model).unwrap();
    assert_eq!((renamed.instances(0)[0].class, renamed.category_id(1), renamed.category_id(2)), (1, 7, 3));
    let message = data.train.for_classes(&ClassNames(vec!["cat".into()])).unwrap_err().to_string();
    assert!(message.contains("class 'dog'"), "{message}");
}

#[test]
fn data_of_roboflow_has_its_parts_and_no_group() {
    let folder = folder(&["train/a.png", "valid/a.png", "test/c.png"]);
    let categories =
        r#"{"id":0,"name":"balls","supercategory":"none"},{"id":1,"name":"ball","supercategory":"balls"}"#;
    let object = annotation(0, 0, 1, BOX);
    for (part, image) in [("train", "a.png"), ("valid", "a.png"), ("test", "c.png")] {
        let json = coco(&[(0, image)], &[&object], categories);
        write(folder.path(), &format!("{part}/_annotations.coco.json"), json);
    }
    let data = open(&folder);
    assert_eq!(data.classes, ClassNames(vec!["ball".into()]));
    assert_eq!((data.train.len(), data.validation.len(), data.test.as_ref().unwrap().len()), (1, 1, 1));
    assert!(data.validation.images().name(0).ends_with("valid/a.png"));
    assert!(!data.train.has_masks());
    says(&data, "'balls' is a group of others");
}

#[test]
fn a_file_may_be_named() {
    let folder = folder(&["images/a.png", "images/b.png"]);
    let json = folder.path().join("train_labels.json");
    let object = annotation(1, 1, 3, BOX);
    write(folder.path(), "train_labels.json", coco(&[(1, "a.png"), (2, "b.png")], &[&object], CATEGORIES));
    let layout = DetectionLayout { annotations: Some(json.clone()), ..DetectionLayout::default() };
    let images = folder.path().join("images");
    let data = open_detection(&images, &layout, Seed(1)).unwrap();
    assert_eq!((data.held_out, data.train.len(), data.validation.len()), (true, 1, 1));
    says(&data, "1 image has no objects");
    let part = open_detection_part(&images, &layout, None).unwrap();
    assert_eq!((part.split, part.images.len()), (None, 2));
    // Of two images of one name that of the part that the file is called after.
    let folders = coco_folder();
    let named = folders.path().join("c/annotations/instances_val2017.json");
    let layout = DetectionLayout { annotations: Some(named), ..DetectionLayout::default() };
    let part = open_detection_part(folders.path(), &layout, None).unwrap();
    assert_eq!((part.split, part.images.len()), (None, 1));
    assert!(part.images.images().name(0).ends_with("val2017/a.png"));
    assert_eq!(part.images.classes().len(), 3);
    let layout = DetectionLayout { annotations: Some(json), ..DetectionLayout::default() };
    write(folder.path(), "train_labels.json", "{}");
    let message = open_detection(&images, &layout, Seed(1)).unwrap_err().to_string();
    assert!(message.contains("no JSON with COCO's images"), "{message}");
}

#[test]
fn quirks_are_mended_and_said() {
    let both = |id, rest: &str| annotation(id, 5, 3, rest);
    for (annotations, objects, expected) in [
        (vec![both(1, BOX), both(1, BOX)], 2, "1 annotation has the id of another"),
        (vec![annotation(1, 99, 3, BOX)], 0, "1 annotation of an image that is not listed"),
        (vec![annotation(1, 5, 99, BOX)], 0, "1 annotation of no category"),
        (vec![both(1, r#""bbox":[2,1,4,3],"ignore":1"#)], 1, "to be ignored is treated as a crowd"),
        (vec![both(1, r#""bbox":[2,1,4,3],"segmentation":[[1,1,2,2]]"#)], 1, "fewer than three corners"),
        (vec![both(1, r#""bbox":[2,1,4,3],"segmentation":[]"#)], 1, "has no region and keeps its box"),
        (vec![both(1, r#""segmentation":["1","1","5","1","5","4"]"#)], 1, "gets its box from its region"),
        (vec![both(1, r#""area":3"#)], 0, "neither box nor region"),
        (vec![both(1, r#""bbox":[15,1,40,3]"#), both(2, BOX), both(3, BOX)], 3, "reaches beyond its image"),
        (vec![both(1, r#""bbox":[5,1,0,3]"#)], 0, "without area inside"),
        (vec![both(1, r#""bbox":[2,1,4,3],"iscrowd":1"#)], 1, "1 of the 1 annotations of 'cat' are crowds"),
        (vec![both(1, r#""bbox":[2,1,4,3],"keypoints":[1,1,2]"#)], 1, "keypoints are not used"),
    ] {
        let annotations: Vec<&str> = annotations.iter().map(String::as_str).collect();
        let data = open(&of_one(&annotations));
        let sets = [&data.train, &data.validation];
        let found: usize =
            sets.iter().map(|set| (0..set.len()).map(|at| set.instances(at).len()).sum::<usize>()).sum();
        assert_eq!(found, objects, "{expected}");
        says(&data, expected);
    }
    let crowd = both(1, r#""bbox":[2,1,4,3],"iscrowd":1"#);
    let layout = DetectionLayout { crowd_as_object: true, ..DetectionLayout::default() };
    says(&open_with(&of_one(&[&crowd]), &layout), "1 crowd is taken as one object");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let both = |id, rest: &str| annotation(id, 5, 3, rest);
    for (annotation, expected) in [
        (both(1, r#""bbox":[12,6,18,9]"#), "[left, top, right, bottom]"),
        (both(1, r#""bbox":[0.1,0.2,0.3,0.4]"#), "fractions of the sides"),
        (
            both(4, r#""segmentation":{"size":[20,10],"counts":"06"}"#),
            "a.png: annotation 4: a region is of 20 x 10 px",
        ),
        (
            both(4, r#""segmentation":{"size":[10,20],"counts":"!"}"#),
            "annotation 4: its run lengths are damaged",
        ),
        (r#"{"image_id":5,"caption":"a cat"}"#.into(), "captions"),
        (r#"{"image_id":5,"segments_info":[]}"#.into(), "panoptic"),
        (r#"{"image_id":5,"bbox":[1,2]}"#.into(), "a box [left, top, width, height]"),
    ] {
        let message = refused(&of_one(&[&annotation]), &DetectionLayout::default());
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn the_names_of_images_are_no_parts() {
    let images: Vec<String> =
        ["train_1", "bus_1", "test_1", "bus_2", "val_1"].map(|name| format!("images/{name}.png")).to_vec();
    let paths: Vec<&str> = images.iter().map(String::as_str).collect();
    let folder = folder(&paths);
    let listed: Vec<(i64, &str)> = (1..).zip(paths.iter().copied()).collect();
    let object = annotation(1, 1, 3, BOX);
    write(folder.path(), "annotations.json", coco(&listed, &[&object], CATEGORIES));
    let data = open(&folder);
    assert_eq!((data.held_out, data.train.len() + data.validation.len()), (true, 5));
}

#[test]
fn the_folder_of_a_named_file_is_no_part() {
    let folder = folder(&["data/train/a.png", "data/train/b.png", "data/val/c.png"]);
    let listed = [(1, "a.png"), (2, "b.png"), (3, "c.png")];
    let object = annotation(1, 1, 3, BOX);
    for path in ["test/all.json", "other/train.json"] {
        write(folder.path(), path, coco(&listed, &[&object], CATEGORIES));
        let annotations = Some(folder.path().join(path));
        let layout = DetectionLayout { annotations, ..DetectionLayout::default() };
        let data = open_detection(&folder.path().join("data"), &layout, Seed(1)).unwrap();
        assert_eq!((data.train.len(), data.validation.len(), data.held_out), (2, 1, false), "{path}");
        // What is measured afterwards is what training validated on.
        let part = open_detection_part(&folder.path().join("data"), &layout, None).unwrap();
        assert_eq!((part.split, part.images.len()), (Some(Split::Validation), 1), "{path}");
    }
}
