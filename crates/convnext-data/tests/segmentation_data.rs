//! Data for segmentation: layouts, classes, parts, and what is refused.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers fail the test")]

mod mask_folders;

use std::fs::{self, File};

use convnext_core::Seed;
use convnext_data::{
    Image, LabelMap, LearnedClasses, MaskValue, SegmentationLayout, Split, open_segmentation,
    open_segmentation_part, survey_masks,
};
use tempfile::TempDir;

use mask_folders::{SIDE, colours, folder, grey, open, refused, write};

fn camvid() -> TempDir {
    folder(&[
        ("c/images/train/a.png", "c/annotations/train/a.png", grey(&[0, 1, 2, 11])),
        ("c/images/train/b.png", "c/annotations/train/b.png", grey(&[3, 4, 5, 6, 7, 8, 9, 10])),
        ("c/images/val/c.png", "c/annotations/val/c.png", grey(&[0, 11])),
        ("c/images/extra/d.png", "c/annotations/extra/d.png", grey(&[0])),
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
        for expected in ["ignored: 11", "1 image with a mask lies outside of the parts"] {
            assert!(data.decisions.iter().any(|said| said.contains(expected)), "{:?}", data.decisions);
        }
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
    write(folder.path(), "ImageSets/Segmentation/val.txt", b"JPEGImages/2007_3.tif\n");
    let message = refused(&folder, &SegmentationLayout::default());
    assert!(
        message.contains("val.txt has the wrong layout: none of its lines") && message.contains("2007_3.tif"),
        "{message}"
    );
    write(folder.path(), "ImageSets/Segmentation/val.txt", b"JPEGImages/2007_000003.tif\n");
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
    let learned = LearnedClasses { names: model.clone(), ..LearnedClasses::default() };
    let layout = SegmentationLayout { model: Some(learned), ..SegmentationLayout::default() };
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
        ["3 of the 4 masks", "b.png: it is 4 x 8 px but its image", "c.png", "d.jpg", "a mask in JPEG"]
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

#[test]
fn annotations_of_coco_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    for image in ["train/a b.png", "train/c.png", "valid/d.png"] {
        write(folder.path(), image, &grey(&[9]));
    }
    let annotated = |images: &str, annotations: &str| {
        format!(
            r#"{{"images":[{images}],"annotations":[{annotations}],"categories":[{{"id":0,"name":"things"}},
                {{"id":7,"name":"ball","supercategory":"things"}},{{"id":3,"name":"net","supercategory":"things"}}]}}"#
        )
    };
    let image = |id: usize, name: &str| format!(r#"{{"id":{id},"file_name":"{name}","width":8,"height":8}}"#);
    let train = annotated(
        &[image(1, "a%20b.png"), image(2, "c.png")].join(","),
        r#"{"image_id":1,"category_id":7,"segmentation":[[0,0,4,0,4,4,0,4]],"id":0},
           {"image_id":1,"category_id":3,"segmentation":[[0,0,8,0,8,8,0,8],[1,1,2,2]],"id":1,"bbox":[0,0,8,8]},
           {"image_id":9,"category_id":3,"segmentation":[[0,0,8,0,8,8]]}"#,
    );
    write(folder.path(), "train/_annotations.coco.json", train.as_bytes());
    let valid = annotated(
        &image(1, "d.png"),
        r#"{"image_id":1,"category_id":3,"segmentation":{"size":[8,8],"counts":[8,8]},"iscrowd":1}"#,
    );
    write(folder.path(), "valid/_annotations.coco.json", valid.as_bytes());
    let data = open(&folder);
    assert_eq!((data.train.len(), data.validation.len()), (2, 1));
    // By the numbers of the categories, after what none covers; the group of others is no class.
    assert_eq!(data.classes.0, ["background", "net", "ball"]);
    let map = data.train.label_map(0).unwrap();
    assert_eq!((map.get(0, 0), map.get(3, 3), map.get(4, 4), map.get(7, 7)), (2, 2, 1, 1));
    assert_eq!(data.validation.label_map(0).unwrap().labels[..3], [0, 1, 0]);
    let said = data.decisions.join("; ");
    assert!(
        said.contains("'things' is a group") && said.contains("1 annotations of images that are not"),
        "{said}"
    );
    let layout = SegmentationLayout { reduce_zero_label: true, ..SegmentationLayout::default() };
    let without = open_segmentation(folder.path(), &layout, Seed(1)).unwrap();
    assert_eq!(without.classes.0, ["net", "ball"]);
    assert_eq!(without.train.ignored_pixels(), 64);
}

#[test]
fn images_of_annotations_must_be_there() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.png", &grey(&[9]));
    let text =
        r#"{"images":[{"id":1,"file_name":"c.png","width":8,"height":8}],"annotations":[],"categories":[]}"#;
    write(folder.path(), "instances.json", text.as_bytes());
    let message = refused(&folder, &SegmentationLayout::default());
    assert!(message.contains("1 of its images are not there") && message.contains("c.png"), "{message}");
}

#[test]
fn images_of_annotations_are_listed_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "a.png", &grey(&[9]));
    let annotated = |ids: &[usize]| {
        let image = |id: &usize| format!(r#"{{"id":{id},"file_name":"a.png","width":8,"height":8}}"#);
        let images = ids.iter().map(image).collect::<Vec<_>>().join(",");
        format!(r#"{{"images":[{images}],"annotations":[],"categories":[{{"id":1,"name":"ball"}}]}}"#)
    };
    write(folder.path(), "instances.json", annotated(&[1, 2]).as_bytes());
    let message = refused(&folder, &SegmentationLayout::default());
    assert!(message.contains("image 2, a.png, is image 1 of instances.json"), "{message}");
    write(folder.path(), "instances.json", annotated(&[1]).as_bytes());
    write(folder.path(), "stuff.json", annotated(&[5]).as_bytes());
    let message = refused(&folder, &SegmentationLayout::default());
    assert!(message.contains("stuff.json") && message.contains("image 1 of instances.json"), "{message}");
}

#[test]
fn a_survey_finds_what_is_wrong_and_goes_on() {
    let odd = Image::new(SIDE, SIDE / 2, 1, vec![0; SIDE * SIDE / 2]).unwrap().png();
    let folder = folder(&[
        ("images/train/a.png", "masks/train/a.png", grey(&[0, 1, 255, 255])),
        ("images/train/b.png", "masks/train/b.png", odd),
        ("images/val/c.png", "masks/val/c.png", grey(&[1])),
    ]);
    write(folder.path(), "images/val/alone.png", &grey(&[1]));
    let survey = |layout: &SegmentationLayout| {
        let mut done = 0;
        let found = survey_masks(folder.path(), layout, Seed(1), None, |_, all| {
            done += 1;
            assert_eq!(all, 3);
        });
        assert_eq!(done, 3);
        found.unwrap()
    };
    let found = survey(&SegmentationLayout::default());
    assert_eq!((found.pairs, found.unusable.len(), found.images_alone.len()), (3, 1, 1));
    assert_eq!(found.classes, ["class_0", "class_1"]);
    let values: Vec<_> = found.values.iter().map(|seen| (seen.value, seen.pixels, seen.ignored)).collect();
    assert_eq!(
        values,
        [(MaskValue::Id(0), 16, false), (MaskValue::Id(1), 80, false), (MaskValue::Id(255), 32, true)]
    );
    assert_eq!((found.parts[0].pixels_per_class.clone(), found.parts[0].ignored_pixels), (vec![16, 16], 32));
    assert_eq!((found.parts[1].name, found.parts[1].images_per_class.clone()), ("validation", vec![0, 1]));
    // A refusal is a finding as well.
    write(folder.path(), "two.txt", b"sky\nroad\n");
    let refused = survey(&SegmentationLayout { ignored: vec![0], ..SegmentationLayout::default() });
    assert!(refused.refusal.unwrap().contains("leave 1 class"));
    assert!(refused.data.is_none() && refused.classes.is_empty());
}
