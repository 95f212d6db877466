//! Data for segmentation: what the values of masks mean.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod mask_folders;

use convnext_core::{ClassNames, Seed};
use convnext_data::{
    LabelMap, LearnedClasses, SegmentationLayout, open_segmentation, open_segmentation_part,
};
use tempfile::TempDir;

use mask_folders::{folder, grey, indexed, open, refused, write};

#[test]
fn ignoring_a_class_of_a_model_does_not_shift_the_later_ones() {
    let folder = folder(&[("images/val/a.png", "masks/val/a.png", grey(&[0, 1, 2, 2]))]);
    let model = ClassNames(["sky", "road", "car"].map(str::to_owned).into());
    let learned = LearnedClasses { names: model.clone(), ..LearnedClasses::default() };
    let layout =
        SegmentationLayout { model: Some(learned), ignored: vec![1], ..SegmentationLayout::default() };
    let part = open_segmentation_part(folder.path(), &layout, None).unwrap();
    assert_eq!(
        (part.images.classes().0.as_slice(), part.images.is_unnamed()),
        (&["sky".to_owned(), "car".to_owned()][..], false)
    );
    let images = part.images.for_classes(&model).unwrap();
    assert_eq!((images.pixels_per_class(), images.ignored_pixels()), (vec![16, 0, 32], 16));
    let map = images.label_map(0).unwrap();
    assert_eq!([map.get(0, 0), map.get(0, 2), map.get(0, 7)], [0, LabelMap::IGNORED, 2]);
}

/// Bug: without the table of the training, the number of a class was taken to be its position.
#[test]
fn classes_are_told_by_the_numbers_that_were_learned() {
    let folder = folder(&[
        ("images/train/a.png", "masks/train/a.png", grey(&[0, 1, 2, 2])),
        ("images/val/b.png", "masks/val/b.png", grey(&[0, 0, 0, 1, 2, 2])),
    ]);
    write(folder.path(), "table.csv", b"id,name\n2,sky\n0,road\n1,car\n");
    let classes = Some(folder.path().join("table.csv"));
    let layout = SegmentationLayout { classes, ..SegmentationLayout::default() };
    let data = open_segmentation(folder.path(), &layout, Seed(1)).unwrap();
    assert_eq!(data.numbers, [[2], [0], [1]]);
    let model = Some(LearnedClasses { names: data.classes.clone(), numbers: data.numbers });
    let layout = SegmentationLayout { model, ..SegmentationLayout::default() };
    let part = open_segmentation_part(folder.path(), &layout, None).unwrap();
    let images = part.images.for_classes(&data.classes).unwrap();
    assert_eq!(images.pixels_per_class(), data.validation.pixels_per_class());
    assert_eq!(images.label_map(0).unwrap(), data.validation.label_map(0).unwrap());
}

/// An image in each of two parts, with these annotations of COCO.
fn annotated(annotations: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "valid"] {
        let image = format!(r#"{{"id":1,"file_name":"{part}.png","width":8,"height":8}}"#);
        let categories = r#"[{"id":7,"name":" ball\t"},{"id":3,"name":"net"}]"#;
        let json =
            format!(r#"{{"images":[{image}],"annotations":[{annotations}],"categories":{categories}}}"#);
        write(folder.path(), &format!("{part}/{part}.png"), &grey(&[9]));
        write(folder.path(), &format!("{part}/_annotations.coco.json"), json.as_bytes());
    }
    folder
}

#[test]
fn annotations_to_be_ignored_are() {
    let folder = annotated(
        r#"{"image_id":1,"category_id":7,"segmentation":[[0,0,8,0,8,8,0,8]],"ignore":1},
           {"image_id":1,"category_id":3,"segmentation":[[0,0,4,0,4,4,0,4]]}"#,
    );
    let data = open(&folder);
    // The name is the same with white space around it.
    assert_eq!(data.classes.0, ["background", "net", "ball"]);
    let map = data.train.label_map(0).unwrap();
    assert_eq!((map.get(0, 0), map.get(7, 7), data.train.ignored_pixels()), (1, LabelMap::IGNORED, 48));
    let said = data.decisions.join("; ");
    assert!(said.contains("1 annotation to be ignored"), "{said}");
}

#[test]
fn numbers_to_ignore_are_no_ids_of_categories() {
    let folder = annotated(r#"{"image_id":1,"category_id":3,"segmentation":[[0,0,4,0,4,4,0,4]]}"#);
    let ignoring = |number| SegmentationLayout { ignored: vec![number], ..SegmentationLayout::default() };
    for (number, drawn) in [(1, "'net'"), (7, "no class")] {
        let message = refused(&folder, &ignoring(number));
        let would_be = format!("--ignore-index {number} would be {drawn}");
        assert!(message.contains(&would_be) && message.contains("\"ignore\": 1"), "{message}");
    }
    let data = open_segmentation(folder.path(), &ignoring(0), Seed(1)).unwrap();
    assert_eq!(data.classes.0, ["net", "ball"]);
    assert!(data.numbers.is_empty() && data.train.ignored_pixels() == 48, "{data:?}");
}

const BLACK: [u8; 3] = [0; 3];
const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];

#[test]
fn palettes_that_differ_between_masks_are_refused() {
    let folder = folder(&[
        ("images/train/a.png", "masks/train/a.png", indexed(&[0, 1, 2, 2], &[BLACK, RED, GREEN])),
        ("images/val/b.png", "masks/val/b.png", indexed(&[0, 1, 1, 2], &[BLACK, GREEN, RED])),
    ]);
    let table = |text: &str| {
        write(folder.path(), "table.csv", text.as_bytes());
        SegmentationLayout { classes: Some(folder.path().join("table.csv")), ..SegmentationLayout::default() }
    };
    let by_number = table("id,name\n0,sky\n1,car\n2,road\n");
    for layout in [SegmentationLayout::default(), by_number] {
        let message = refused(&folder, &layout);
        for expected in
            ["b.png", "1 is #ff0000 in one mask and #00ff00 in another", "name, r, g, b and no id"]
        {
            assert!(message.contains(expected), "{message}");
        }
    }
    let by_colour = table("name,r,g,b\nsky,0,0,0\ncar,255,0,0\nroad,0,255,0\n");
    let data = open_segmentation(folder.path(), &by_colour, Seed(1)).unwrap();
    assert_eq!(data.train.pixels_per_class(), [16, 16, 32]);
    assert_eq!(data.validation.pixels_per_class(), [16, 16, 32]);
}

#[test]
fn a_palette_that_contradicts_the_table_is_refused() {
    let swapped = folder(&[("images/a.png", "masks/a.png", indexed(&[0, 1, 2], &[BLACK, GREEN, RED]))]);
    write(swapped.path(), "table.csv", b"id,name,r,g,b\n0,sky,0,0,0\n1,car,255,0,0\n2,road,0,255,0\n");
    let classes = Some(swapped.path().join("table.csv"));
    let message = refused(&swapped, &SegmentationLayout { classes, ..SegmentationLayout::default() });
    for expected in ["1 is 'car' but #00ff00 is 'road'", "no id"] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn palettes_that_agree_name_the_colours_of_the_classes() {
    // Each file has no more colours than it uses, and the last one says nothing of an index that nothing uses.
    let folder = folder(&[
        ("images/train/a.png", "masks/train/a.png", indexed(&[0, 1], &[BLACK, RED])),
        ("images/train/b.png", "masks/train/b.png", indexed(&[0, 2], &[BLACK, BLACK, GREEN])),
        ("images/val/c.png", "masks/val/c.png", indexed(&[0, 1], &[BLACK, RED, [9, 8, 7]])),
    ]);
    assert_eq!(open(&folder).palette, [BLACK, RED, GREEN]);
}
