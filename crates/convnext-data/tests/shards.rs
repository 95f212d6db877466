//! Folders of shards are data sets: what counts as a sample, its label and its part, and what is damaged.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

#[path = "shards/damaged.rs"]
mod damaged;
mod shard_files;

use std::fs;

use convnext_core::{Preprocessing, Seed};
use convnext_data::{
    Cache, DataError, Dataset, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation, Transform,
    open_for_evaluation, open_labelled, open_unlabelled, pack,
};
use shard_files::{content, folder, message, numbered, png, shard};

fn config(threads: usize) -> LoaderConfig {
    LoaderConfig {
        batch_size: 4,
        threads,
        queue: 3,
        shuffle: true,
        drop_last: false,
        on_corrupt: OnCorrupt::Replace,
        cache: Cache::Off,
        seed: Seed(11),
    }
}

fn samples(dataset: &Dataset, threads: usize, first_batch: usize) -> Result<Vec<usize>, DataError> {
    let evaluation = Transform::Evaluation(Preprocessing::for_size(32, 3));
    let source = ImageSource::new(dataset.clone(), evaluation, Orientation::Honour).unwrap();
    let loader = Loader::new(source, config(threads)).unwrap();
    let mut samples = Vec::new();
    for batch in loader.epoch_from(3, first_batch) {
        samples.extend(batch?.samples);
    }
    Ok(samples)
}

#[test]
fn members_of_a_key_are_one_sample() {
    let (_root, data) = folder();
    let images: Vec<Vec<u8>> = (0..6).map(png).collect();
    shard(
        data.join("a.tar"),
        &[
            ("x/1.cls", b"2"),
            ("x/1.PNG", &images[0]),
            ("x/1.txt", b"caption"),
            ("y/1.png", &images[1]),
            ("y/1.json", br#"{"label": 0, "other": [1]}"#),
            ("y/1.mask.png", &images[5]),
            ("._y.png", &images[5]),
            ("2.json", br#"{"caption": "no label"}"#),
            ("2.webp", &images[2]),
            ("3.cls", b"1"),
            ("5.png", &images[4]),
            ("5.cls", b"-1"),
        ],
    );
    shard(data.join("b.tar"), &[("4.json", br#"{"class": 9}"#), ("4.cls", b"1"), ("4.jpg", &images[3])]);
    fs::write(data.join("README.md"), "text").unwrap();

    let all = open_unlabelled(&data).unwrap();
    assert_eq!(content(&all), [(None, 0), (None, 1), (None, 2), (None, 4), (None, 3)]);
    assert!(all.name(0).ends_with("a.tar: x/1.PNG"), "{}", all.name(0));
    assert!(all.name(4).ends_with("b.tar: 4.jpg"), "{}", all.name(4));

    // Without names, numbers are the names; the images without a label are left out.
    let labelled = open_for_evaluation(&data, None).unwrap();
    assert_eq!(labelled.classes().0, ["0", "1", "2"]);
    assert_eq!(content(&labelled), [(Some(2), 0), (Some(0), 1), (Some(1), 3)]);
    assert_ne!(labelled.fingerprint(), all.fingerprint());

    fs::write(data.join("classes.txt"), "zebra\r\nape\ncat\n").unwrap();
    let labelled = open_for_evaluation(&data, None).unwrap();
    assert_eq!(labelled.classes().0, ["zebra", "ape", "cat"]);
    assert_eq!(labelled.labels_per_class(), [1, 1, 1]);
    for (text, words) in [
        ("zebra\nape\n", "class '2' in"),
        ("zebra\nape\nape\n", "'ape' is in lines 2 and 3"),
        ("zebra\n\nape\n", "line 2 is empty"),
        ("", "it is empty"),
    ] {
        fs::write(data.join("classes.txt"), text).unwrap();
        let message = message(open_for_evaluation(&data, None));
        assert!(message.contains(words), "{text:?}: {message}");
    }
    let message = message(open_for_evaluation(&data, Some(&data.join("labels.csv"))));
    assert!(message.contains("it holds shards"), "{message}");
}

#[test]
fn members_with_long_names_are_told_apart() {
    let (_root, data) = folder();
    let names = ["1", "2"].map(|end| format!("{}/{}{end}.png", "folder".repeat(20), "key".repeat(40)));
    shard(data.join("a.tar"), &[(&names[0], &png(1)), (&names[1], &png(2))]);
    let dataset = open_unlabelled(&data).unwrap();
    assert_eq!(content(&dataset), [(None, 1), (None, 2)]);
    let (first, second) = (dataset.name(0), dataset.name(1));
    assert!(first.contains("a.tar: folderfolder") && first.contains(" at byte "), "{first}");
    assert_ne!(first, second);
    // Packed again they get short ones, with the extension of their content.
    let again = data.with_extension("again");
    pack(&dataset, &again, 1 << 20, |_| ()).unwrap();
    let packed = open_unlabelled(&again).unwrap();
    assert_eq!(content(&packed), content(&dataset));
    assert!(packed.name(1).ends_with(": 000000001.png"), "{}", packed.name(1));
}

#[test]
fn files_that_are_copied_from_shards_are_called_as_images() {
    let (_root, data) = folder();
    let long = format!("{}.png", "key".repeat(40));
    let images = [png(1), png(2), png(3)];
    let members = [("a/1.png", 0), ("b?r.png", 1), (long.as_str(), 2)]
        .map(|(name, image)| (name, images[image].as_slice()));
    shard(data.join("a.tar"), &members);
    let dataset = open_unlabelled(&data).unwrap();
    let names = [0, 1, 2].map(|index| dataset.file_name(index));
    assert_eq!(names, ["1.png", "000000001.png", "000000002.png"]);
}

#[test]
fn labels_may_be_names() {
    let (_root, data) = folder();
    let (one, two) = (png(1), png(2));
    let members: [(&str, &[u8]); 4] = [
        ("1.png", &one),
        ("1.json", br#"{"cls": "dog"}"#),
        ("2.png", &two),
        ("2.json", br#"{"cls": "cat"}"#),
    ];
    shard(data.join("a.tar"), &members);
    let labelled = open_for_evaluation(&data, None).unwrap();
    assert_eq!(labelled.classes().0, ["cat", "dog"]);
    assert_eq!(content(&labelled), [(Some(1), 1), (Some(0), 2)]);
    // The same from the index that was written.
    assert!(data.join("shards.index").exists());
    assert_eq!(content(&open_for_evaluation(&data, None).unwrap()), content(&labelled));

    shard(data.join("b.tar"), &[("3.png", &one), ("3.cls", b"7")]);
    let text = message(open_for_evaluation(&data, None));
    assert!(text.contains("some labels of its shards are numbers and others names"), "{text}");
    fs::write(data.join("classes.txt"), "dog\nbird\n").unwrap();
    let text = message(open_for_evaluation(&data, None));
    assert!(text.contains("class 'cat' in"), "{text}");
}

#[test]
fn parts_are_folders_or_a_division() {
    let (_root, data) = folder();
    numbered(&data, 3, 10, 3);
    let opened = open_labelled(&data, None, 0.3, Seed(1)).unwrap();
    assert!(opened.held_out);
    assert_eq!(opened.validation.labels_per_class(), [3, 3, 3]);
    let values = |dataset: &Dataset| content(dataset).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    assert!(values(&opened.train).is_sorted() && values(&opened.validation).is_sorted());
    let mut all = [content(&opened.train), content(&opened.validation)].concat();
    all.sort_unstable_by_key(|&(_, value)| value);
    assert_eq!(all, (0..30).map(|i| (Some(i % 3), i as u8)).collect::<Vec<_>>());

    let parts = data.join("parts");
    numbered(&parts.join("train"), 2, 6, 3);
    numbered(&parts.join("val"), 1, 2, 2);
    let opened = open_labelled(&parts, None, 0.5, Seed(1)).unwrap();
    assert!(!opened.held_out);
    assert_eq!((opened.train.len(), opened.validation.len()), (12, 2));
    assert_eq!(opened.validation.classes().0, ["0", "1", "2"]);
    assert_eq!(open_for_evaluation(&parts, None).unwrap().len(), 2);
    assert_eq!(open_unlabelled(&parts).unwrap().len(), 14);
    fs::write(parts.join("classes.txt"), "a\nb\nc\n").unwrap();
    let opened = open_labelled(&parts, None, 0.5, Seed(1)).unwrap();
    assert_eq!(opened.validation.classes().0, ["a", "b", "c"]);

    numbered(&parts.join("val"), 1, 8, 4);
    fs::remove_file(parts.join("classes.txt")).unwrap();
    let text = message(open_labelled(&parts, None, 0.5, Seed(1)));
    assert!(text.contains("class '3' in") && text.contains("0, 1, 2"), "{text}");
    fs::remove_dir_all(parts.join("val")).unwrap();
    let text = message(open_for_evaluation(&parts, None));
    assert!(text.contains("it has shards for 'train' but no 'val'"), "{text}");
    shard(data.join("bare/1.tar"), &[("1.png", &png(1))]);
    let text = message(open_labelled(&data.join("bare"), None, 0.5, Seed(1)));
    assert!(text.contains("no image of its shards has a label"), "{text}");
    numbered(&data.join("one"), 1, 5, 1);
    let text = message(open_labelled(&data.join("one"), None, 0.5, Seed(1)));
    assert!(text.contains("fewer than two classes"), "{text}");
}

#[test]
fn images_beside_shards_are_refused() {
    let (_root, data) = folder();
    numbered(&data, 2, 3, 2);
    fs::create_dir(data.join("cat")).unwrap();
    fs::write(data.join("cat/stray.png"), png(9)).unwrap();
    for text in [message(open_unlabelled(&data)), message(open_labelled(&data, None, 0.5, Seed(0)))] {
        assert!(
            text.contains("1 image(s)") && text.contains("cat/stray.png") && text.contains("2 .tar file(s)"),
            "{text}"
        );
    }
    // One archive alone is what it was: images at any path.
    assert_eq!(open_unlabelled(&data.join("part-0.tar")).unwrap().len(), 3);
}

#[cfg(target_os = "linux")]
#[test]
fn few_shards_are_open_at_a_time() {
    let (_root, data) = folder();
    numbered(&data, 150, 1, 2);
    let dataset = open_unlabelled(&data).unwrap();
    let expected: Vec<(Option<usize>, u8)> = (0..150).map(|number| (None, number)).collect();
    let mut sorted = content(&dataset);
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    let open = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(&data))
        .count();
    assert!((1..=64).contains(&open), "{open} are open");
}

#[test]
fn epochs_of_shards_can_be_entered_anywhere() {
    let (_root, data) = folder();
    numbered(&data, 4, 9, 2);
    let dataset = open_unlabelled(&data).unwrap();
    let all = samples(&dataset, 1, 0).unwrap();
    let mut sorted = all.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..36).collect::<Vec<_>>());
    assert!(!all.is_sorted());
    for (threads, first) in [(1, 0), (2, 3), (3, 8)] {
        assert_eq!(samples(&dataset, threads, first).unwrap(), all[first * 4..]);
    }
    // A subset keeps to its samples.
    let some = dataset.subset(&[35, 2, 3, 20]);
    let mut names: Vec<usize> = samples(&some, 2, 0).unwrap();
    names.sort_unstable();
    assert_eq!(names, [0, 1, 2, 3]);
}
