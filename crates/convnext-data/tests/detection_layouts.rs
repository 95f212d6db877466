//! Layouts of annotations besides COCO's, and writing them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

#[path = "detection_layouts/labelme.rs"]
mod labelme;
#[path = "detection_layouts/places.rs"]
mod places;
#[path = "detection_layouts/voc_lists.rs"]
mod voc_lists;
#[path = "detection_layouts/written.rs"]
mod written;

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use convnext_core::{ClassNames, ImageSize, Seed};
use convnext_data::{
    AnnotationFormat, AnnotationRemark, DetectionData, DetectionLayout, DetectionSet, Image, InstanceMask,
    Split, TileOptions, convert_annotations, open_detection, open_detection_part, survey_detection,
};
use tempfile::TempDir;

const WIDTH: usize = 40;
const HEIGHT: usize = 20;

fn write(root: &Path, path: &str, bytes: impl AsRef<[u8]>) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Images at these paths.
fn folder(images: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let png = Image::new(WIDTH, HEIGHT, 1, vec![9; WIDTH * HEIGHT]).unwrap().png();
    images.iter().for_each(|image| write(folder.path(), image, &png));
    folder
}

fn open_with(folder: &TempDir, layout: &DetectionLayout) -> DetectionData {
    open_detection(folder.path(), layout, Seed(1)).unwrap()
}

fn open(folder: &TempDir) -> DetectionData {
    open_with(folder, &DetectionLayout::default())
}

fn refused(folder: &TempDir) -> String {
    open_detection(folder.path(), &DetectionLayout::default(), Seed(1)).unwrap_err().to_string()
}

fn names(names: &[&str]) -> ClassNames {
    ClassNames(names.iter().map(|&name| name.to_owned()).collect())
}

fn says(data: &DetectionData, expected: &str) {
    let remarks: Vec<String> = data.remarks.iter().map(AnnotationRemark::sentence).collect();
    let found = data.decisions.iter().chain(&remarks).any(|said| said.contains(expected));
    assert!(found, "'{expected}' is not said: {:?} {remarks:?}", data.decisions);
}

const YOLO: &str =
    "path: ../datasets/zoo\ntrain: images/train\nval: [images/val]\nnames:\n  0: cat\n  1: dog\n";

fn yolo() -> TempDir {
    let folder =
        folder(&["images/train/a.png", "images/train/b.png", "images/val/c.png", "images/extra/d.png"]);
    let root = folder.path();
    write(root, "data.yaml", YOLO);
    write(root, "labels/train/a.txt", "1 0.5 0.5 0.25 0.5\n0 0.1 0.1 0.6 0.1 0.6 0.9\n1 0.5 0.5 0.25 0.5\n");
    write(root, "labels/val/c.txt", "1 0.25 0.25 0.5 0.5\n");
    folder
}

#[test]
fn labels_of_yolo_are_read_by_their_data_file() {
    let data = open(&yolo());
    assert_eq!(data.classes, names(&["cat", "dog"]));
    assert_eq!((data.train.len(), data.validation.len(), data.held_out), (2, 1, false));
    let [dog, cat] = data.train.instances(0) else { panic!("two objects") };
    assert_eq!((dog.class, dog.bounds.edges(), dog.area), (1, [15.0, 5.0, 25.0, 15.0], 100.0));
    assert_eq!((cat.bounds.edges(), dog.mask.is_none()), ([4.0, 2.0, 24.0, 18.0], true));
    assert!(matches!(cat.mask, Some(InstanceMask::Rings(_))));
    assert!(data.train.instances(1).is_empty() && !data.validation.has_masks());
    assert_eq!((data.train.objects_with_masks(), data.train.has_masks()), (1, true));
    assert_eq!((data.train.image_id(1), data.train.category_id(1)), (2, 2));
    says(&data, "1 object occurs twice");
    says(&data, "1 image has no objects");
    says(&data, "d.png, and left out");
}

#[test]
fn data_files_name_folders_and_lists_of_any_machine() {
    let folder = yolo();
    for (train, val) in [
        ("../train/images/train", "/home/me/zoo/images/val"),
        ("lists/train.txt", "lists/val.txt"),
        ("C:\\zoo\\images\\train", "./images/val/"),
    ] {
        write(folder.path(), "lists/train.txt", "./images/train/a.png\n./images/train/b.png\n");
        write(folder.path(), "lists/val.txt", "/home/me/zoo/images/val/c.png\n");
        write(folder.path(), "data.yaml", format!("train: {train}\nval: {val}\nnc: 2\nnames: [cat, dog]\n"));
        let data = open(&folder);
        assert_eq!((data.train.len(), data.validation.len()), (2, 1), "{train}");
    }
    write(folder.path(), "data.yaml", "train: images/train\nval: images/train\nnames: [cat, dog]\n");
    assert!(open(&folder).held_out);
    // The file stands for the folder that it names, or else for its own.
    write(folder.path(), "data.yaml", YOLO);
    let of_file =
        open_detection(&folder.path().join("data.yaml"), &DetectionLayout::default(), Seed(1)).unwrap();
    assert_eq!((of_file.train.len(), of_file.validation.len()), (2, 1));
    let elsewhere = YOLO.replace("../datasets/zoo", &folder.path().display().to_string());
    write(folder.path(), "configs/zoo.yaml", elsewhere);
    let of_file =
        open_detection(&folder.path().join("configs/zoo.yaml"), &DetectionLayout::default(), Seed(1))
            .unwrap();
    assert_eq!((of_file.train.len(), of_file.validation.len()), (2, 1));
    // A file that was named counts in the place of the one that lies there.
    let other = tempfile::tempdir().unwrap();
    write(other.path(), "own.yaml", "names: [ape, bee]\n");
    let layout =
        DetectionLayout { annotations: Some(other.path().join("own.yaml")), ..DetectionLayout::default() };
    assert_eq!(open_with(&folder, &layout).classes, names(&["ape", "bee"]));
}

#[test]
fn labels_without_a_data_file_are_named_or_numbered() {
    let folder = folder(&["a.png", "b.png"]);
    write(folder.path(), "a.txt", "1 0.5 0.5 0.25 0.5\n");
    write(folder.path(), "notes.txt", "hello\n");
    assert_eq!(open(&folder).classes, names(&["class_0", "class_1"]));
    let layout = DetectionLayout { model: Some(names(&["x", "y", "z"])), ..DetectionLayout::default() };
    assert_eq!(open_with(&folder, &layout).classes, names(&["x", "y", "z"]));
    write(folder.path(), "classes.txt", "cat\ndog\n");
    assert_eq!(open(&folder).classes, names(&["cat", "dog"]));
    fs::remove_file(folder.path().join("classes.txt")).unwrap();
    write(folder.path(), "b.txt", "999999 0.5 0.5 0.25 0.5\n");
    assert!(refused(&folder).contains("2 objects, and one of class 999999; name the classes"));
    fs::remove_file(folder.path().join("b.txt")).unwrap();
    // A line that is empty has its number.
    write(folder.path(), "classes.txt", "\u{feff}cat \r\n\r\ncafe\u{301}\r\n\r\n");
    assert_eq!(open(&folder).classes, names(&["cat", "class_1", "caf\u{e9}"]));
}

#[test]
fn labels_that_are_none_are_refused() {
    let folder = yolo();
    write(folder.path(), "labels/train/b.txt", "7 0.5 0.5 0.1 0.1\n");
    let message = refused(&folder);
    assert!(
        message.contains("b.txt") && message.contains("class 7, but") && message.contains("names 2"),
        "{message}"
    );
    write(folder.path(), "labels/train/b.txt", "1 0.5 0.5 0.1 0.1\n1 12 40 5 5\n");
    let message = refused(&folder);
    assert!(message.contains("b.txt: line 2: 12 is no fraction"), "{message}");
    let survey =
        survey_detection(folder.path(), &DetectionLayout::default(), Seed(1), None, |_, _| ()).unwrap();
    assert_eq!((survey.unusable.len(), survey.parts[0].images, survey.refusal), (1, 1, None));
    // The image of the damaged file is not said to be in no annotations.
    assert_eq!(survey.images_alone.len(), 1);
    write(folder.path(), "data.yaml", "train: nowhere\nval: images/val\nnames: [cat, dog]\n");
    let message = refused(&folder);
    assert!(message.contains("data.yaml") && message.contains("no images in nowhere"), "{message}");
    for (file, text) in [("data.yaml", "names: [cat\n"), ("zoo.yaml", "train: images/train\nnames: [cat\n")] {
        let _ = fs::remove_file(folder.path().join("data.yaml"));
        write(folder.path(), file, text);
        let message = refused(&folder);
        assert!(message.contains(file) && message.contains("no YAML"), "{message}");
    }
}

#[test]
fn files_of_labelme_are_read() {
    let folder = folder(&["train/a.png", "val/b.png"]);
    let mask = STANDARD.encode(Image::new(2, 2, 1, vec![255, 0, 255, 255]).unwrap().png());
    let shapes = [
        r#"{"label":"dog","points":[[2,3],[12,3],[12,9]],"shape_type":"polygon","group_id":1}"#.to_owned(),
        r#"{"label":"cat","points":[[30,12],[20,2]],"shape_type":"rectangle","flags":{}}"#.into(),
        r#"{"label":"dog","points":[[20,3],[22,3],[22,9]],"group_id":1}"#.into(),
        r#"{"label":"cat","points":[[10,10],[10,6]],"shape_type":"circle"}"#.into(),
        r#"{"label":"cat","points":[[10,10]],"shape_type":"point"}"#.into(),
        format!(r#"{{"label":"dog","points":[[5,6],[7,8]],"shape_type":"mask","mask":"{mask}"}}"#),
    ];
    let file = |image: &str, shapes: &str| {
        format!(
            r#"{{"version":"5.4","shapes":[{shapes}],"imagePath":"{image}","imageData":null,"imageHeight":20,
            "imageWidth":40}}"#
        )
    };
    write(folder.path(), "train/a.json", file("a.png", &shapes.join(",")));
    write(folder.path(), "val/b.json", file("..\\\\old\\\\other.png", &shapes[1]));
    let data = open(&folder);
    assert_eq!((data.classes.clone(), data.held_out), (names(&["cat", "dog"]), false));
    let [group, rectangle, circle, mask] = data.train.instances(0) else { panic!("four objects") };
    assert_eq!((group.class, group.bounds.left, group.bounds.right), (1, 2.0, 22.0));
    assert_eq!(
        (rectangle.class, rectangle.bounds.edges(), rectangle.mask.is_none()),
        (0, [20.0, 2.0, 30.0, 12.0], true)
    );
    assert!((45.0..56.0).contains(&circle.area), "{}", circle.area);
    assert_eq!((mask.bounds.edges(), mask.area), ([5.0, 6.0, 7.0, 8.0], 3.0));
    assert_eq!(data.validation.instances(0).len(), 1);
    says(&data, "1 shape that is no region");
    write(folder.path(), "val/b.json", file("b.png", r#"{"label":"x","points":[],"shape_type":"spline"}"#));
    let message = refused(&folder);
    assert!(message.contains("b.json: it has a shape of the unknown type 'spline'"), "{message}");
    write(folder.path(), "val/b.json", r#"{"shapes":[{}],"imagePath":"b.png"}"#);
    assert!(refused(&folder).contains("no JSON of LabelMe: missing field `label`"));
}

fn voc(object: &str) -> String {
    format!(
        "<annotation><folder>x</folder><filename>a</filename><size><depth>3</depth><width>0</width><height>0</height>\
         </size><object><bndbox><xmax>10.6</xmax><ymax>8</ymax><xmin>1</xmin><ymin>3</ymin></bndbox><name>dog</name>\
         <difficult>0</difficult></object>{object}</annotation>"
    )
}

#[test]
fn files_of_voc_are_read() {
    let folder = folder(&["JPEGImages/a.png", "JPEGImages/b.png", "JPEGImages/c.png"]);
    let root = folder.path();
    let hard = "<object><name>cat</name><difficult>1</difficult><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax>\
                <ymax>5</ymax></bndbox></object>";
    write(root, "Annotations/a.xml", voc(hard));
    write(root, "Annotations/b.xml", voc("").replace("<filename>a<", "<filename>old/b.jpg<"));
    write(root, "Annotations/c.xml", voc(""));
    for (list, text) in [("train", "a\n"), ("val", "b\n"), ("trainval", "a\nb\n")] {
        write(root, &format!("ImageSets/Main/{list}.txt"), text);
    }
    let data = open(&folder);
    assert_eq!(data.classes, names(&["cat", "dog"]));
    assert_eq!(
        (data.train.len(), data.validation.len(), data.validation_split),
        (1, 1, Some(Split::Validation))
    );
    let [dog, cat] = data.train.instances(0) else { panic!("two objects") };
    assert_eq!((dog.class, dog.bounds.edges(), dog.is_crowd), (1, [0.0, 2.0, 10.0, 8.0], false));
    assert!(cat.is_crowd);
    says(&data, "1 difficult object is treated as a crowd");
    says(&data, "1 image with annotations lies outside of the parts");
    write(root, "Annotations/b.xml", voc("<object><name>cat</name></object>"));
    assert!(refused(&folder).contains("b.xml: object 2 has no bndbox"));
    write(root, "Annotations/b.xml", "<annotation>");
    assert!(refused(&folder).contains("b.xml: it is no XML"));
    write(root, "Annotations/b.xml", voc("").replace("<filename>a<", "<filename>q.jpg<"));
    fs::rename(root.join("Annotations/b.xml"), root.join("Annotations/q.xml")).unwrap();
    assert!(refused(&folder).contains("its image q.jpg is not there, nor one called q"));
}

#[test]
fn of_two_layouts_the_one_that_is_read_is_said() {
    let folder = yolo();
    let coco = r#"{"images":[{"id":1,"file_name":"images/train/a.png","width":40,"height":20},
        {"id":2,"file_name":"images/val/c.png","width":40,"height":20}],
        "annotations":[{"id":1,"image_id":1,"category_id":1,"bbox":[1,1,4,4]}],
        "categories":[{"id":1,"name":"cat"}]}"#;
    write(folder.path(), "instances.json", coco);
    let data = open(&folder);
    assert_eq!(data.classes, names(&["cat"]));
    says(&data, "COCO's JSON: instances.json");
    says(&data, "called as images are, and not read beside COCO's JSON: labels/train/a.txt");
}

#[test]
fn data_without_annotations_says_what_to_do() {
    let folder = folder(&["a.png"]);
    let message = refused(&folder);
    assert!(
        message.contains("1 images and no annotations of objects") && message.contains("--annotations"),
        "{message}"
    );
}
