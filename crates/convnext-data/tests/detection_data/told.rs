//! What is told of annotations.

use convnext_data::{AnnotationFormat, convert_annotations};

use super::*;

#[test]
fn images_of_one_name_are_told_apart() {
    let folder = folder(&["x/a.png", "y/a.png"]);
    let outside = annotation(1, 2, 3, r#""bbox":[15,1,40,3]"#);
    write(folder.path(), "instances.json", coco(&[(1, "x/a.png"), (2, "y/a.png")], &[&outside], CATEGORIES));
    says(&open(&folder), "in annotation 1 of y/a.png");
}

#[test]
fn crowds_are_no_objects_of_converted_data() {
    let folder = coco_folder();
    let out = tempfile::tempdir().unwrap();
    let data = open(&folder);
    for (name, format) in [("coco", AnnotationFormat::Coco), ("yolo", AnnotationFormat::Yolo)] {
        let summary = convert_annotations(&data, &out.path().join(name), format, false, |_| ()).unwrap();
        assert_eq!(summary.parts, [("train", 2, 2), ("val", 1, 1)], "{name}");
    }
    let again = open_detection(&out.path().join("coco"), &DetectionLayout::default(), Seed(1)).unwrap();
    assert!(again.train.instances(0).iter().any(|instance| instance.is_crowd));
}
