//! Images that annotations name.

use super::*;

#[test]
fn images_must_be_there_once_and_of_their_size() {
    let refused = |images: &[(i64, &str)], expected: &str| {
        let folder = folder(&["a.png", "sub dir/b.png"]);
        write(folder.path(), "instances.json", coco(images, &[], CATEGORIES));
        let message = refused(&folder, &DetectionLayout::default());
        assert!(message.contains(expected), "{message}");
    };
    refused(&[(1, "a.png"), (1, "b.png")], "image 1 is a.png as well as b.png");
    refused(&[(1, "a.png"), (2, "./a.png")], "image 2, ./a.png, is image 1 of instances.json as well");
    refused(&[(1, "a.png"), (2, "gone.png")], "1 of the 2 images that");
    // Paths of other machines are found by their names.
    let folder = folder(&["a.png", "sub dir/b.png"]);
    let names = [(1, "C:\\\\data\\\\a.png"), (2, "/home/me/sub%20dir/b.png"), (3, "gone.png")];
    write(folder.path(), "instances.json", coco(&names, &[], CATEGORIES));
    let layout = DetectionLayout { allow_missing: true, ..DetectionLayout::default() };
    let data = open_with(&folder, &layout);
    assert_eq!(data.train.len() + data.validation.len(), 2);
    says(&data, "1 image that is not there is left out");
    let turned =
        coco(&names, &[], CATEGORIES).replace(r#""width":20,"height":10"#, r#""width":10,"height":20"#);
    write(folder.path(), "instances.json", turned);
    let message = super::refused(&folder, &layout);
    assert!(message.contains("its annotations are of 20 x 10 px, but it is 10 x 20 px"), "{message}");
    assert_eq!(data.train.orientation(), Orientation::Honour);
}

/// Annotations of a part beside its images, and of another part that has an image more.
fn of_parts(train: &[(i64, &str)], valid: &[(i64, &str)]) -> TempDir {
    let folder = folder(&["train/1.png", "valid/1.png", "valid/3.png"]);
    for (part, images) in [("train", train), ("valid", valid)] {
        let object = annotation(1, 1, 3, BOX);
        write(folder.path(), &format!("{part}/_annotations.coco.json"), coco(images, &[&object], CATEGORIES));
    }
    folder
}

#[test]
fn a_missing_image_is_not_that_of_another_part() {
    let layout = DetectionLayout { allow_missing: true, ..DetectionLayout::default() };
    for name in ["3.png", "train/3.png", "/home/me/train/3.png"] {
        for valid in [&[(1, "1.png")][..], &[(1, "1.png"), (3, "3.png")]] {
            let folder = of_parts(&[(1, "1.png"), (3, name)], valid);
            let message = refused(&folder, &DetectionLayout::default());
            assert!(message.contains("1 of the 2 images that"), "{name}: {message}");
            let data = open_with(&folder, &layout);
            assert_eq!((data.train.len(), data.validation.len()), (1, valid.len()), "{name}");
            says(&data, "1 image that is not there is left out");
        }
    }
    // A path that says the part itself is that of an image there.
    let folder = of_parts(&[(1, "1.png"), (3, "valid/3.png")], &[(1, "1.png")]);
    assert_eq!(open(&folder).train.len(), 2);
}

#[test]
fn a_missing_image_is_not_that_of_another_folder() {
    let folder = folder(&["x/1.png", "y/1.png", "y/3.png"]);
    write(folder.path(), "instances.json", coco(&[(1, "x/1.png"), (2, "x/3.png")], &[], CATEGORIES));
    let message = refused(&folder, &DetectionLayout::default());
    assert!(message.contains("1 of the 2 images") && message.contains("x/3.png"), "{message}");
    // Folders that are not here are those of another machine.
    write(folder.path(), "instances.json", coco(&[(1, "x/1.png"), (2, "data/z/3.png")], &[], CATEGORIES));
    let data = open(&folder);
    assert_eq!(data.train.len() + data.validation.len(), 2);
}

/// Bug: the data was said to hold no annotations.
#[test]
fn a_file_without_any_of_its_images_is_named_with_them() {
    let folder = folder(&["here/a.png"]);
    let named = folder.path().join("instances.json");
    write(folder.path(), "instances.json", coco(&[(1, "gone/b.png"), (2, "c.png")], &[], CATEGORIES));
    let among_images = DetectionLayout { allow_missing: true, ..DetectionLayout::default() };
    let of_file = DetectionLayout { annotations: Some(named.clone()), ..among_images.clone() };
    for (data, layout) in [(folder.path().join("here"), of_file), (folder.path().to_owned(), among_images)] {
        let message = open_detection(&data, &layout, Seed(1)).unwrap_err().to_string();
        let start = format!("none of the 2 images that {} lists is there", named.display());
        assert!(message.starts_with(&start), "{message}");
        assert!(message.contains(":\n  gone/b.png\n  c.png\n"), "{message}");
    }
    // Another file with images is enough.
    write(folder.path(), "instances_2.json", coco(&[(1, "a.png")], &[], CATEGORIES));
    let part = open_detection_part(folder.path(), &DetectionLayout::default(), None).unwrap();
    assert_eq!(part.images.len(), 1);
    assert!(part.decisions.iter().any(|said| said.contains("none of its 2 images is there: left out")));
}

#[test]
fn a_class_of_another_part_is_refused() {
    let folder = folder(&["train/a.png", "val/b.png"]);
    let object = annotation(1, 1, 3, BOX);
    write(
        folder.path(),
        "instances_train.json",
        coco(&[(1, "a.png")], &[&object], r#"{"id":3,"name":"cat"}"#),
    );
    write(folder.path(), "instances_val.json", coco(&[(1, "b.png")], &[&object], r#"{"id":3,"name":"Cat"}"#));
    let message = refused(&folder, &DetectionLayout::default());
    assert!(message.contains("class 'Cat'") && message.contains("another case"), "{message}");
}

#[test]
fn images_of_many_channels_and_other_formats_have_their_sizes() {
    use tiff::encoder::{TiffEncoder, colortype::CMYK8};
    let folder = folder(&["b.png"]);
    let mut bytes = std::io::Cursor::new(Vec::new());
    let pixels = vec![7; WIDTH * HEIGHT * 4];
    TiffEncoder::new(&mut bytes).unwrap().write_image::<CMYK8>(WIDTH as u32, HEIGHT as u32, &pixels).unwrap();
    write(folder.path(), "a.tif", bytes.into_inner());
    write(folder.path(), "instances.json", coco(&[(1, "a.tif"), (2, "b.png")], &[], CATEGORIES));
    let data = open(&folder);
    assert_eq!(data.train.len() + data.validation.len(), 2);
    let wrong =
        coco(&[(1, "a.tif"), (2, "b.png")], &[], CATEGORIES).replace(r#""width":20"#, r#""width":21"#);
    write(folder.path(), "instances.json", wrong);
    assert!(refused(&folder, &DetectionLayout::default()).contains("2 of the 2 images"));
}
