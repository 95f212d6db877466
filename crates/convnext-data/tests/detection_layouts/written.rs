//! Data that is read, written in another layout, cut into tiles, and surveyed.

use super::*;

/// Class, box and pixels of an object.
type Object = (usize, [f64; 4], Option<u64>);

/// The objects of all images, by their names.
fn content(set: &DetectionSet) -> Vec<(String, Vec<Object>)> {
    let objects = |index: usize| {
        let size = set.image_size(index);
        let instances = set.instances(index).iter();
        let mask = |mask: &InstanceMask| mask.run_lengths(size).area();
        instances.map(|found| (found.class, found.bounds.edges(), found.mask.as_ref().map(mask))).collect()
    };
    let mut all: Vec<_> =
        (0..set.len()).map(|index| (set.images().file_name(index), objects(index))).collect();
    all.sort_by(|one, other| one.0.cmp(&other.0));
    all
}

#[test]
fn layouts_are_converted_there_and_back() {
    let folder = yolo();
    let data = open(&folder);
    let out = tempfile::tempdir().unwrap();
    let [coco, back] = ["coco", "yolo"].map(|name| out.path().join(name));
    let summary = convert_annotations(&data, &coco, AnnotationFormat::Coco, true, |_| ()).unwrap();
    assert_eq!(summary.parts, [("train", 2, 2), ("val", 1, 1)]);
    let layout = DetectionLayout::default();
    let of_coco = open_detection(&coco, &layout, Seed(1)).unwrap();
    let summary = convert_annotations(&of_coco, &back, AnnotationFormat::Yolo, false, |_| ()).unwrap();
    assert_eq!(summary.lost, ["train: 1 box is written as an outline, as images with masks have"]);
    assert!(back.join("labels/train/b.txt").exists());
    let of_yolo = open_detection(&back, &layout, Seed(1)).unwrap();
    // A box beside a mask has come back as an outline of its pixels.
    let mut outlined = content(&data.train);
    outlined[0].1[0].2 = Some(100);
    for (other, train) in [(&of_coco, content(&data.train)), (&of_yolo, outlined)] {
        assert_eq!(other.classes, data.classes);
        assert_eq!(content(&other.train), train);
        assert_eq!(content(&other.validation), content(&data.validation));
    }
    let message =
        convert_annotations(&data, &back, AnnotationFormat::Yolo, true, |_| ()).unwrap_err().to_string();
    assert!(message.contains("it holds files already"), "{message}");
}

/// Bug: a call that was stopped half way left a folder that looked whole.
#[test]
fn a_layout_appears_when_all_is_written() {
    let out = tempfile::tempdir().unwrap();
    let is_seen = |entry: &fs::DirEntry| !entry.file_name().to_string_lossy().starts_with('.');
    let seen =
        |out: &Path| fs::read_dir(out).unwrap().filter(|entry| is_seen(entry.as_ref().unwrap())).count();
    for (name, format) in [("coco", AnnotationFormat::Coco), ("yolo", AnnotationFormat::Yolo)] {
        let folder = yolo();
        let data = open(&folder);
        let [whole, failed] = ["whole", "failed"].map(|end| out.path().join(format!("{name}-{end}")));
        convert_annotations(&data, &whole, format, false, |_| assert_eq!(seen(&whole), 0)).unwrap();
        assert_eq!(seen(&whole), 3, "{name}");
        let lose = |_: usize| drop(fs::remove_file(folder.path().join("images/val/c.png")));
        let message = convert_annotations(&data, &failed, format, false, lose).unwrap_err().to_string();
        assert!(message.contains("c.png"), "{message}");
        assert_eq!(fs::read_dir(&failed).unwrap().count(), 0, "{name}");
    }
}

/// Bug: it was written as one for validation, of which there was none.
#[test]
fn a_part_for_a_test_stays_one() {
    let folder = yolo();
    write(folder.path(), "data.yaml", YOLO.replace("val: [", "test: ["));
    let data = open(&folder);
    assert_eq!(data.validation_split, Some(Split::Test));
    let folder = tempfile::tempdir().unwrap();
    for (name, format) in [("coco", AnnotationFormat::Coco), ("yolo", AnnotationFormat::Yolo)] {
        let out = folder.path().join(name);
        let summary = convert_annotations(&data, &out, format, false, |_| ()).unwrap();
        assert_eq!(summary.parts, [("train", 2, 2), ("test", 1, 1)], "{name}");
        assert_eq!(summary.lost.iter().any(|said| said.contains("has no val")), name == "yolo");
        let again = open_detection(&out, &DetectionLayout::default(), Seed(1)).unwrap();
        assert_eq!((again.validation_split, again.validation.len()), (Some(Split::Test), 1), "{name}");
    }
    let text = fs::read_to_string(folder.path().join("yolo/data.yaml")).unwrap();
    assert!(text.starts_with("path: .\ntrain: images/train\ntest: images/test\nnames:\n"), "{text}");
}

#[test]
fn huge_images_become_tiles_with_their_objects() {
    let data = open(&yolo());
    let options = TileOptions { overlap: 0.0, limit: 30, ..TileOptions::of_size(20) };
    let tiles = data.train.tiled(options).unwrap();
    assert_eq!((tiles.len(), tiles.image_size(1)), (4, ImageSize::square(20)));
    assert_eq!(data.train.tile_count(options).unwrap(), tiles.len());
    assert_eq!(tiles.tile_count(options).unwrap(), tiles.len());
    assert_eq!(tiles.instances(1)[0].bounds.edges(), [0.0, 5.0, 5.0, 15.0]);
    let image =
        Image::new(WIDTH, HEIGHT, 1, (0..WIDTH * HEIGHT).map(|at| (at % WIDTH) as u8).collect()).unwrap();
    let tile = tiles.cut(1, image.clone()).unwrap();
    assert_eq!((tile.size(), tile.pixel(3, 7)), (ImageSize::square(20), &[23][..]));
    assert_eq!(data.train.cut(0, image.clone()).unwrap(), image);
    assert_ne!(tiles.fingerprint(), data.train.fingerprint());
    assert!(data.train.tiled(TileOptions { overlap: 1.0, ..options }).is_err());
}

#[test]
fn a_survey_counts_objects_by_class_and_size() {
    let survey =
        survey_detection(yolo().path(), &DetectionLayout::default(), Seed(1), None, |_, _| ()).unwrap();
    let train = &survey.parts[0];
    assert_eq!((train.images, train.empty_images, train.masks), (2, 1, 1));
    assert_eq!(
        (train.objects_per_class.clone(), train.sizes_per_class.clone()),
        (vec![1, 1], vec![[1, 0, 0]; 2])
    );
    assert_eq!(
        (train.objects_per_image, survey.sizes),
        ([0, 2, 2], Some([ImageSize { height: 20, width: 40 }; 2]))
    );
    assert_eq!((survey.images, survey.images_alone.len()), (3, 1));
    let folder = yolo();
    write(folder.path(), "labels/train/b.txt", "7 0.5 0.5 0.1 0.1\n");
    let survey =
        survey_detection(folder.path(), &DetectionLayout::default(), Seed(1), None, |_, _| ()).unwrap();
    assert!(survey.refusal.unwrap().contains("class 7") && survey.data.is_none());
}
