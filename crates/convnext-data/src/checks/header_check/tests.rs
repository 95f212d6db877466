//! Data sets with unreadable files.

use std::{fs, path::Path, time::Duration};

use super::*;
use crate::datasets::open::open_unlabelled;
use crate::pixels::image::Image;

/// A folder of `count` images of which some are no images.
fn data(folder: &Path, count: usize, broken: &[usize]) -> Dataset {
    fs::create_dir_all(folder).unwrap();
    let image = Image::new(2, 2, 3, vec![9; 12]).unwrap();
    for number in 0..count {
        let path = folder.join(format!("{number:04}.png"));
        match broken.contains(&number) {
            true => fs::write(&path, "no image").unwrap(),
            false => image.save_png(&path).unwrap(),
        }
    }
    open_unlabelled(folder).unwrap()
}

const HOW: HeaderCheck = HeaderCheck { channels: 3, strict: false, threads: 2, seed: Seed(3) };

#[test]
fn all_findings_of_all_parts_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let train = data(&folder.path().join("a"), 200, &[7, 100]);
    let broken: Vec<usize> = (0..13).collect();
    let validation = data(&folder.path().join("b"), 20, &broken);
    check_headers(&[("training", &train)], HOW).unwrap();
    let parts = [("training", &train), ("validation", &validation)];
    let text = check_headers(&parts, HOW).unwrap_err().to_string();
    assert!(
        text.starts_with("2 of 200 training images and 13 of 20 validation images cannot be read"),
        "{text}"
    );
    assert!(
        text.contains("more than 1 %") && text.contains("a/0007.png: ") && text.contains("b/0007.png"),
        "{text}"
    );
    assert!(!text.contains("b/0008.png") && text.contains("and 5 more"), "{text}");
    let strict = HeaderCheck { strict: true, ..HOW };
    let text = check_headers(&[("training", &train)], strict).unwrap_err().to_string();
    assert!(text.starts_with("2 of 200 images cannot be read, and none may be"), "{text}");
}

#[test]
fn of_very_many_files_some_are_looked_at_first_and_the_rest_later() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = data(folder.path(), 300, &[1, 2, 3, 4]);
    let wait = |check: BackgroundCheck| {
        while !check.thread.as_ref().unwrap().is_finished() {
            thread::sleep(Duration::from_millis(2));
        }
        check.failed().map(|error| error.to_string())
    };
    // More than 1 % of all, and perhaps none among the first.
    let check = check_some(&[("", &dataset)], HOW, 100, 20).unwrap().unwrap();
    let text = wait(check).unwrap();
    assert!(text.starts_with("4 of 300 images cannot be read"), "{text}");
    let fine = dataset.subset(&(3..300).collect::<Vec<_>>());
    let check = check_some(&[("", &fine)], HOW, 100, 20).unwrap().unwrap();
    assert_eq!(wait(check), None);
    // Most of the first are broken.
    let broken: Vec<usize> = (0..290).collect();
    let dataset = data(&folder.path().join("more"), 300, &broken);
    let text = check_some(&[("", &dataset)], HOW, 100, 20).unwrap_err().to_string();
    assert!(text.contains("of 20 images cannot be read"), "{text}");
}
