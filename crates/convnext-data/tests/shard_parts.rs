//! Parts of data in shards: by folders, by names, or by a list beside them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests are tests as well")]

mod shard_files;

use std::{fs, path::Path};

use convnext_core::Seed;
use convnext_data::{Dataset, open_for_evaluation, open_labelled, open_parts, open_unlabelled};
use shard_files::{content, folder, message, numbered, png, shard};

/// Shards of one labelled image each, with these names.
fn named(data: &Path, names: &[&str]) {
    for (number, name) in names.iter().enumerate() {
        let class = format!("{}", number % 2);
        shard(data.join(name), &[("1.png", &png(number as u8)), ("1.cls", class.as_bytes())]);
    }
}

#[test]
fn parts_in_one_folder_are_told_by_names_or_by_a_list() {
    let values = |dataset: &Dataset| content(dataset).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
    let parts = |data: &Path| {
        let (opened, test) = open_parts(data, None, 0.5, Seed(0)).unwrap();
        assert!(!opened.held_out);
        let test = test.map(|part| values(&part.images)).unwrap_or_default();
        (values(&opened.train), values(&opened.validation), test)
    };
    let (_root, data) = folder();
    named(&data, &["x-train-0.tar", "x-train-1.tar", "x-validation-0.tar"]);
    assert_eq!(parts(&data), (vec![0, 1], vec![2], vec![]));
    assert_eq!(values(&open_for_evaluation(&data, None).unwrap()), [2]);
    named(&data, &["x-train-0.tar", "x-train-1.tar", "x-validation-0.tar", "x-test-0.tar"]);
    assert_eq!(parts(&data), (vec![0, 1], vec![2], vec![3]));
    assert_eq!(open_unlabelled(&data).unwrap().len(), 4);
    fs::remove_file(data.join("x-validation-0.tar")).unwrap();
    assert_eq!(parts(&data), (vec![0, 1], vec![3], vec![]));

    // A shard without a part, or with two.
    named(&data, &["x-0.tar"]);
    let text = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(
        text.contains("1 of its 4 shards have no part in their names") && text.contains("x-0.tar"),
        "{text}"
    );
    fs::rename(data.join("x-0.tar"), data.join("x-train-val-0.tar")).unwrap();
    let text = message(open_for_evaluation(&data, None));
    assert!(text.contains("x-train-val-0.tar speaks of several parts"), "{text}");

    let (_root, data) = folder();
    named(&data, &["000.tar", "001.tar", "002.tar"]);
    let info = |train: &str, other: &str| {
        let text = format!(
            r#"{{"splits": {{"train": {{"name": "train", "num_samples": 2, "filenames": [{train}], "shard_lengths": [1, 1]}},
                "validation": {{"filenames": ["002.tar"]{other}}}}}}}"#
        );
        fs::write(data.join("_info.json"), text).unwrap();
    };
    info(r#""000.tar", "001.tar""#, "");
    assert_eq!(parts(&data), (vec![0, 1], vec![2], vec![]));
    info(r#""000.tar""#, "");
    let text = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(
        text.contains("1 of its 3 shards are in no part of the list") && text.contains("001.tar"),
        "{text}"
    );
    info(r#""000.tar", "001.tar", "009.tar""#, "");
    for text in [message(open_labelled(&data, None, 0.5, Seed(0))), message(open_for_evaluation(&data, None))]
    {
        assert!(text.contains("1 of the 4 shards in the list") && text.contains("009.tar"), "{text}");
    }
    info(r#""000.tar", "001.tar", "002.tar""#, "");
    let text = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(text.contains("_info.json") && text.contains("002.tar in the parts"), "{text}");
    fs::write(data.join("_info.json"), "{\"splits\": 3}").unwrap();
    let text = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(text.contains("_info.json") && text.contains("no list of 'splits'"), "{text}");
}

#[test]
fn names_of_one_part_are_not_those_of_another() {
    let (_root, data) = folder();
    let labelled = |name: &str, labels: [&str; 2]| {
        let members =
            [("1.png", png(1)), ("1.cls", labels[0].into()), ("2.png", png(2)), ("2.cls", labels[1].into())];
        shard(data.join(name), &members.each_ref().map(|(name, bytes)| (*name, &bytes[..])));
    };
    labelled("train-0.tar", ["cat", "dog"]);
    labelled("val-0.tar", ["dog", "cat"]);
    assert_eq!(open_labelled(&data, None, 0.5, Seed(0)).unwrap().train.classes().0, ["cat", "dog"]);
    labelled("val-0.tar", ["dog", "ape"]);
    let text = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(text.contains("class 'ape' in") && text.contains("its 2 classes are: cat, dog"), "{text}");
}

#[test]
fn folders_of_shards_go_by_the_words_for_parts() {
    let (_root, data) = folder();
    numbered(&data.join("top/Training"), 2, 4, 2);
    numbered(&data.join("top/dev"), 1, 2, 2);
    numbered(&data.join("top/test"), 1, 2, 2);
    let (opened, test) = open_parts(&data, None, 0.5, Seed(0)).unwrap();
    assert_eq!((opened.train.len(), opened.validation.len(), test.unwrap().images.len()), (8, 2, 2));
    numbered(&data.join("top/more"), 1, 2, 2);
    let text = message(open_labelled(&data, None, 0.5, Seed(0)));
    assert!(text.contains("no parts by their names") && text.contains("top/more"), "{text}");
}
