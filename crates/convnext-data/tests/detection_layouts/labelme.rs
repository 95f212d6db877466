//! Files of LabelMe that share an image, state a size, or have shapes of one group.

use super::*;

#[test]
fn an_image_has_one_file_of_labelme_or_voc() {
    let labelme = |image: &str| {
        format!(r#"{{"shapes":[{{"label":"x","points":[[1,1],[9,1],[9,9]]}}],"imagePath":"{image}"}}"#)
    };
    let voc = |image: &str| voc("").replace("<filename>a<", &format!("<filename>{image}<"));
    for (extension, text) in [("json", &labelme as &dyn Fn(&str) -> String), ("xml", &voc)] {
        // Copied files name the image of the first, but are called as their own.
        let folder = folder(&["a.png", "b.png", "c.png"]);
        for stem in ["a", "b", "c"] {
            write(folder.path(), &format!("{stem}.{extension}"), text("a.png"));
        }
        let data = open(&folder);
        assert_eq!(data.train.len() + data.validation.len(), 3);
        write(folder.path(), &format!("d.{extension}"), text("a.png"));
        let message = refused(&folder);
        assert!(message.contains(&format!("d.{extension}: its image is that of a.{extension}")), "{message}");
    }
}

#[test]
fn stated_sizes_take_no_memory() {
    let mask = STANDARD.encode(Image::new(2, 2, 1, vec![255; 4]).unwrap().png());
    for side in [1_000_000_usize, 1 << 33] {
        let folder = folder(&["a.png", "b.png"]);
        let json = format!(
            r#"{{"shapes":[{{"label":"x","points":[[5,6],[7,8]],"shape_type":"mask","mask":"{mask}"}}],
            "imagePath":"a.png","imageHeight":{side},"imageWidth":{side}}}"#
        );
        write(folder.path(), "a.json", json);
        let message = refused(&folder);
        assert!(message.contains("a.json") && message.contains("512"), "{message}");
    }
}

#[test]
fn shapes_of_one_group_are_one_object_and_masks_are_cut_off() {
    let folder = folder(&["a.png", "b.png"]);
    let mask = STANDARD.encode(Image::new(4, 4, 1, vec![255; 16]).unwrap().png());
    let shapes = [
        r#"{"label":"x","points":[[1,1],[5,5]],"shape_type":"rectangle","group_id":1}"#.to_owned(),
        r#"{"label":"x","points":[[9,2],[12,8]],"shape_type":"rectangle","group_id":1}"#.into(),
        format!(
            r#"{{"label":"x","points":[[-2,-1],[2,3]],"shape_type":"mask","group_id":2,"mask":"{mask}"}}"#
        ),
        format!(
            r#"{{"label":"x","points":[[10,10],[14,14]],"shape_type":"mask","group_id":2,"mask":"{mask}"}}"#
        ),
    ]
    .join(",");
    for image in ["a", "b"] {
        let json = format!(
            r#"{{"shapes":[{shapes}],"imagePath":"{image}.png","imageHeight":{HEIGHT},"imageWidth":{WIDTH}}}"#
        );
        write(folder.path(), &format!("{image}.json"), json);
    }
    let data = open(&folder);
    let [boxes, masks] = data.train.instances(0) else { panic!("two objects") };
    assert_eq!((boxes.bounds.edges(), boxes.mask.is_none()), ([1.0, 1.0, 12.0, 8.0], true));
    assert_eq!((masks.bounds.edges(), masks.area), ([0.0, 0.0, 14.0, 14.0], 22.0));
}
