//! Labels that are indices of classes, and classes whose names are numbers.

use std::fs;

use convnext_core::Seed;
use convnext_data::{Image, open_labelled};

#[test]
fn labels_of_a_file_are_all_names_or_all_indices() {
    let folder = tempfile::tempdir().unwrap();
    let image = |path: String| {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Image::new(1, 1, 3, vec![7; 3]).unwrap().save_png(&path).unwrap();
    };
    for class in 1..=4 {
        image(format!("train/{class}/a.png"));
        image(format!("val/{class}.png"));
    }
    // One by one, the class called 1 would take the images of index 1, which is the class called 2.
    for (labels, expected) in [
        (["0", "1", "2", "3"], Ok(["1", "2", "3", "4"])),
        (["1", "2", "3", "4"], Ok(["1", "2", "3", "4"])),
        (["4", "4", "1", "1"], Ok(["4", "4", "1", "1"])),
        (
            ["0", "1", "2", "4"],
            Err("val.txt, line 1: expected one of the 4 classes of the training part, as"),
        ),
        (["0", "1", "2", "5"], Err("val.txt, line 4: expected one of the 4 classes of the training part or")),
    ] {
        let lines = (1..).zip(labels).map(|(image, label)| format!("{image}.png {label}\n"));
        fs::write(folder.path().join("val.txt"), lines.collect::<String>()).unwrap();
        let opened = open_labelled(folder.path(), None, 0.5, Seed(0));
        match expected {
            Ok(expected) => {
                let opened = opened.unwrap().validation;
                let class = |number: usize| {
                    let image = (0..4).find(|&i| opened.name(i).ends_with(&format!("{number}.png"))).unwrap();
                    opened.classes().name(opened.label(image).unwrap())
                };
                assert_eq!([1, 2, 3, 4].map(class), expected, "{labels:?}");
            }
            Err(words) => {
                let message = opened.unwrap_err().to_string();
                assert!(message.contains(words), "{labels:?}: {message}");
            }
        }
    }
}
