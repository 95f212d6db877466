//! Lists of the parts of Pascal VOC.

use super::*;

/// Three images with annotations, and lists of these names.
fn listed(lists: &[(&str, &str)]) -> TempDir {
    let folder =
        folder(&["JPEGImages/a.png", "JPEGImages/b.png", "JPEGImages/c.png", "SegmentationClass/a.bmp"]);
    for stem in ["a", "b", "c"] {
        let text = voc("").replace("<filename>a<", &format!("<filename>{stem}.png<"));
        write(folder.path(), &format!("Annotations/{stem}.xml"), text);
    }
    for (list, text) in lists {
        write(folder.path(), &format!("ImageSets/Main/{list}.txt"), text);
    }
    folder
}

#[test]
fn lines_with_folders_extensions_and_a_mark_before_them_are_no_strangers() {
    let data = open(&listed(&[("train", "\u{feff}a.jpg\nJPEGImages/c.png\n"), ("val", "./b.png\n")]));
    assert_eq!((data.train.len(), data.validation.len(), data.held_out), (2, 1, false));
}

#[test]
fn an_image_in_the_lists_of_two_parts_is_not_trained_on_in_silence() {
    let data = open(&listed(&[("train", "a\nb\ngone\n"), ("test", "c\nb\n")]));
    assert_eq!((data.train.len(), data.validation.len()), (1, 2));
    for said in
        ["1 image is in the lists of several parts", "1 line in lists of parts names none", "'gone' in"]
    {
        assert!(data.decisions.iter().any(|words| words.contains(said)), "{said}: {:?}", data.decisions);
    }
}

#[test]
fn lists_that_name_no_image_are_refused_and_images_not_divided_at_random() {
    let message = refused(&listed(&[("train", "x\ny\n"), ("val", "a\n")]));
    assert!(
        message.contains("train.txt") && message.contains("an image that has annotations; the first is 'x'"),
        "{message}"
    );
}

/// Bug: images without annotations counted, and so the validation images were held out at random after all.
#[test]
fn lists_of_images_without_annotations_are_refused() {
    let folder = listed(&[("train", "a\nb\nc\n"), ("val", "d\n")]);
    fs::copy(folder.path().join("JPEGImages/a.png"), folder.path().join("JPEGImages/d.png")).unwrap();
    let message = refused(&folder);
    assert!(message.contains("val.txt") && message.contains("the first is 'd'"), "{message}");
}

#[test]
fn an_image_may_be_called_otherwise_than_its_annotations_and_listed_by_either() {
    let folder = listed(&[("train", "a\n0001\n"), ("val", "c\nIMG_7.png\n")]);
    for (stem, image) in [("0001", "IMG_6.png"), ("0002", "IMG_7.png")] {
        let images = folder.path().join("JPEGImages");
        fs::copy(images.join("a.png"), images.join(image)).unwrap();
        let text = voc("").replace("<filename>a<", &format!("<filename>{image}<"));
        write(folder.path(), &format!("Annotations/{stem}.xml"), text);
    }
    let data = open(&folder);
    assert_eq!((data.train.len(), data.validation.len(), data.held_out), (2, 2, false));
}
