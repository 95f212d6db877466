//! Thumbnails of a survey.

use std::fs::File;

use convnext_data::{Orientation, Survey, SurveyOptions, decode};

use super::{image, labelled, mixed, threads};

#[test]
fn thumbnails_show_each_class_evenly() {
    let data = mixed();
    let two = SurveyOptions { thumbnails_per_class: 2, ..threads(2) };
    let found = data.labelled(two);
    // Of 15 cats those in the middle of either half, and of 8 dogs; the images of a class in all parts count.
    let shown: Vec<(usize, Option<usize>, &str)> = found
        .thumbnails
        .iter()
        .map(|small| (small.image.part, small.image.class, small.image.name.rsplit('/').next().unwrap()))
        .collect();
    assert_eq!(
        shown,
        [(0, Some(0), "03.png"), (0, Some(0), "11.png"), (0, Some(1), "02.png"), (1, Some(1), "a.png")]
    );
    let small = &found.thumbnails[0];
    assert_eq!(decode(&small.png, "small", 3, Orientation::Honour).unwrap(), image(3, 6, 5));
    assert_eq!((small.width, small.height), (6, 5));
    // All but the corrupt ones, and none.
    assert_eq!(data.labelled(threads(2)).thumbnails.len(), 21);
    assert!(data.labelled(SurveyOptions { thumbnails_per_class: 0, ..two }).thumbnails.is_empty());
}

#[test]
fn very_many_classes_share_the_thumbnails() {
    let folder = tempfile::tempdir().unwrap();
    // An archive, because as many folders take seconds to make.
    let path = folder.path().join("data.tar");
    let mut builder = tar::Builder::new(File::create(&path).unwrap());
    let png = image(1, 1, 1).png();
    for image in 0..3200 {
        let mut header = tar::Header::new_ustar();
        header.set_size(png.len() as u64);
        builder.append_data(&mut header, format!("{:04}/{image}.png", image / 2), &png[..]).unwrap();
    }
    builder.finish().unwrap();
    let found = labelled(&path, threads(8));
    assert_eq!(found.thumbnails.len(), 1600);
    // One group of all, across everything, in the order of the data.
    assert_eq!(found.duplicates.len(), 1);
    let group: Vec<_> = found.duplicates[0].images.iter().map(|image| (image.part, image.class)).collect();
    let expected: Vec<_> = (0..3200).map(|place| (place / 1600, Some(place % 1600))).collect();
    assert_eq!(group, expected);
    assert!(found.duplicates[0].crosses_parts && found.duplicates[0].crosses_classes);
}

#[test]
fn a_survey_is_written_without_its_thumbnails() {
    let found = mixed().labelled(threads(2));
    let text = serde_json::to_string(&found).unwrap();
    assert!(text.contains(r#""channels":{"colour":21}"#) && !text.contains("png\":["), "{text}");
    let read: Survey = serde_json::from_str(&text).unwrap();
    assert_eq!(read, Survey { thumbnails: Vec::new(), ..found });
}
