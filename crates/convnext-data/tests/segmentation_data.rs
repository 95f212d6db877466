//! Data for segmentation: layouts, classes, parts, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

use std::fs::{self, File};
use std::path::Path;

use convnext_core::Seed;
use convnext_data::{
    Image, LabelMap, SegmentationData, SegmentationLayout, Split, open_segmentation, open_segmentation_part,
};
use tempfile::TempDir;

const SIDE: usize = 8;

/// A PNG of one channel.
fn grey(values: &[u8]) -> Vec<u8> {
    let pixels = (0..SIDE * SIDE).map(|at| values[at * values.len() / (SIDE * SIDE)]).collect();
    Image::new(SIDE, SIDE, 1, pixels).unwrap().png()
}

fn colours(values: &[[u8; 3]]) -> Vec<u8> {
    let pixels = (0..SIDE * SIDE).flat_map(|at| values[at * values.len() / (SIDE * SIDE)]).collect();
    Image::new(SIDE, SIDE, 3, pixels).unwrap().png()
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Images and masks at these paths.
fn folder(pairs: &[(&str, &str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (image, mask, bytes) in pairs {
        write(folder.path(), image, &grey(&[9]));
        write(folder.path(), mask, bytes);
    }
    folder
}

fn open(folder: &TempDir) -> SegmentationData {
    open_segmentation(folder.path(), &SegmentationLayout::default(), Seed(1)).unwrap()
}

fn refused(folder: &TempDir, layout: &SegmentationLayout) -> String {
    open_segmentation(folder.path(), layout, Seed(1)).unwrap_err().to_string()
}

fn camvid() -> TempDir {
    folder(&[
        ("c/images/train/a.png", "c/annotations/train/a.png", grey(&[0, 1, 2, 11])),
        ("c/images/train/b.png", "c/annotations/train/b.png", grey(&[3, 4, 5, 6, 7, 8, 9, 10])),
        ("c/images/val/c.png", "c/annotations/val/c.png", grey(&[0, 11])),
    ])
}

#[test]
fn folders_and_archives_hold_the_same() {
    let folder = camvid();
    let layout = SegmentationLayout { ignored: vec![11], ..SegmentationLayout::default() };
    let archive = folder.path().join("data.tar");
    let mut tar = tar::Builder::new(File::create(&archive).unwrap());
    tar.append_dir_all("c", folder.path().join("c")).unwrap();
    tar.finish().unwrap();
    let of_archive = open_segmentation(&archive, &layout, Seed(1)).unwrap();
    fs::remove_file(&archive).unwrap();
    let of_folder = open_segmentation(folder.path(), &layout, Seed(1)).unwrap();
    for data in [&of_folder, &of_archive] {
        assert_eq!((data.train.len(), data.validation.len(), data.classes.len()), (2, 1, 11));
        assert_eq!((data.held_out, data.validation_split), (false, Some(Split::Validation)));
        let map = data.validation.label_map(0).unwrap();
        assert_eq!((map.get(0, 0), map.get(7, 7)), (0, LabelMap::IGNORED));
        let quarter = (SIDE * SIDE / 4) as u64;
        assert_eq!(data.train.pixels_per_class()[..3], [quarter; 3]);
        assert_eq!(data.train.images_per_class(), [1; 11]);
        assert_eq!((data.train.ignored_pixels(), data.validation.ignored_pixels()), (quarter, 2 * quarter));
        assert!(data.decisions.iter().any(|said| said.contains("ignored: 11")), "{:?}", data.decisions);
    }
    assert!(of_folder.train_source.ends_with("c/images/train"), "{}", of_folder.train_source);
}

#[test]
fn a_table_beside_the_images_names_their_colours() {
    let folder = folder(&[
        ("train/a.png", "train_labels/a_L.png", colours(&[[64, 128, 64], [0, 0, 0]])),
        ("val/b.png", "val_labels/b_L.png", colours(&[[64, 128, 64], [192, 0, 128]])),
    ]);
    assert!(refused(&folder, &SegmentationLayout::default()).contains("3 colours"));
    let table = "name,r,g,b\nAnimal,64,128,64\nArchway,192,0,128\nVoid,0,0,0\n";
    write(folder.path(), "class_dict.csv", table.as_bytes());
    let data = open(&folder);
    assert_eq!(data.classes.0, ["Animal", "Archway"]);
    assert_eq!(data.palette, [[64, 128, 64], [192, 0, 128]]);
    let map = data.train.label_map(0).unwrap();
    assert_eq!((map.get(0, 0), map.get(0, 7)), (0, LabelMap::IGNORED));
}

#[test]
fn lists_divide_pascal_voc() {
    let names = ["2007_000001", "2007_000002", "2007_000003"];
    let paths = names.map(|name| [format!("JPEGImages/{name}.png"), format!("SegmentationClass/{name}.png")]);
    let pairs: Vec<_> = paths.iter().map(|[image, mask]| (&**image, &**mask, grey(&[0, 15, 255]))).collect();
    let folder = folder(&pairs);
    write(folder.path(), "JPEGImages/2007_000009.png", &grey(&[1]));
    write(folder.path(), "ImageSets/Segmentation/train.txt", b"2007_000001\n");
    write(folder.path(), "ImageSets/Segmentation/val.txt", b"2007_000003\n");
    write(folder.path(), "ImageSets/Segmentation/trainval.txt", b"2007_000001\n2007_000003\n");
    let data = open(&folder);
    assert_eq!((data.train.len(), data.validation.len(), data.classes.len()), (1, 1, 21));
    assert!(data.validation.images().name(0).ends_with("2007_000003.png"));
    assert!(data.decisions[0].contains("1 images with masks are in no list"), "{:?}", data.decisions);
}

#[test]
fn without_parts_the_seed_holds_out() {
    let names: Vec<[String; 2]> =
        (0..10).map(|at| [format!("images/{at}.png"), format!("masks/{at}.png")]).collect();
    let pairs: Vec<_> = names.iter().map(|[image, mask]| (&**image, &**mask, grey(&[0, 255]))).collect();
    let folder = folder(&pairs);
    let data = open(&folder);
    assert_eq!((data.train.len(), data.validation.len(), data.held_out), (8, 2, true));
    assert_eq!(data.classes.0, ["background", "foreground"]);
    let layout = SegmentationLayout::default();
    let part = open_segmentation_part(folder.path(), &layout, None).unwrap();
    assert_eq!((part.images.len(), part.split), (10, None));
    let message = open_segmentation_part(folder.path(), &layout, Some(Split::Test)).unwrap_err().to_string();
    assert!(message.contains("no test part"), "{message}");

    let few = data.train.choose(3, Seed(4)).unwrap();
    assert_eq!((few.len(), few.pixels_per_class()), (3, vec![96, 96]));
    assert_eq!(data.train.choose_fraction(0.25, Seed(4)).unwrap().len(), 2);
    assert!(data.train.choose(9, Seed(4)).unwrap_err().to_string().contains("between 1 and the 8"));
    assert_ne!(data.train.fingerprint(), data.validation.fingerprint());
}

#[test]
fn a_part_is_measured_with_the_classes_of_the_model() {
    let folder = folder(&[("images/val/c.png", "masks/val/c.png", grey(&[1, 2]))]);
    let names = |names: &[&str]| convnext_core::ClassNames(names.iter().map(|&name| name.into()).collect());
    let model = names(&["sky", "road", "car", "tree"]);
    let layout = SegmentationLayout { model: Some(model.clone()), ..SegmentationLayout::default() };
    let part = open_segmentation_part(folder.path(), &layout, None).unwrap();
    assert_eq!(part.images.label_map(0).unwrap().get(0, 0), 1);
    // A table in another order than the model's.
    let table = folder.path().join("classes.csv");
    fs::write(&table, "id,name\n1,car\n2,sky\n").unwrap();
    let part = open_segmentation_part(folder.path(), &layout, None).unwrap();
    let matched = part.images.for_classes(&model).unwrap();
    let map = matched.label_map(0).unwrap();
    assert_eq!((map.get(0, 0), map.get(0, 7), matched.pixels_per_class()), (2, 0, vec![32, 0, 32, 0]));
    let message = part.images.for_classes(&names(&["sky", "Car"])).unwrap_err().to_string();
    assert!(message.contains("class 'car'") && message.contains("another case"), "{message}");
}

#[test]
fn masks_that_do_not_fit_are_refused_by_name() {
    let odd = Image::new(SIDE, SIDE / 2, 1, vec![0; SIDE * SIDE / 2]).unwrap().png();
    let sizes = folder(&[
        ("images/a.png", "masks/a.png", grey(&[0, 1])),
        ("images/b.png", "masks/b.png", odd),
        ("images/c.png", "masks/c.png", b"no image".to_vec()),
        ("images/d.png", "masks/d.jpg", vec![0xFF, 0xD8, 0xFF, 0xE0]),
    ]);
    let message = refused(&sizes, &SegmentationLayout::default());
    for expected in
        ["3 of the 4 masks", "b.png: it is 4 x 8 px but its image", "c.png", "d.jpg", "a JPEG file"]
    {
        assert!(message.contains(expected), "{message}");
    }
    let gaps = folder(&[("images/a.png", "masks/a.png", grey(&[0, 85, 170]))]);
    let message = refused(&gaps, &SegmentationLayout::default());
    assert!(message.contains("0, 85, 170") && message.contains("--classes FILE"), "{message}");
    let beyond = folder(&[
        ("images/a.png", "masks/a.png", grey(&[0, 1])),
        ("images/b.png", "masks/b.png", grey(&[0, 7])),
    ]);
    write(beyond.path(), "two.txt", b"sky\nroad\n");
    let classes = Some(beyond.path().join("two.txt"));
    let message = refused(&beyond, &SegmentationLayout { classes, ..SegmentationLayout::default() });
    assert!(message.contains("b.png") && message.contains("none of the 2 classes: 7"), "{message}");
}
