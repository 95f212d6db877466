//! Packed data sets are the same data sets.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests as well")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use convnext_core::Seed;
use convnext_data::{Dataset, Image, PackSummary, open_for_evaluation, open_unlabelled, pack, pack_parts};
use tempfile::TempDir;

/// Images of three classes with names of many kinds.
fn images() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for (index, file) in
        ["cat/1.png", "cat/2.PNG", "cat/deep/er/1.x.png", "a dog/ü.jpeg", "a dog/1.png", "zebra/.9.a.png"]
            .into_iter()
            .chain(["zebra/9.a.png", "zebra/broken.webp"])
            .enumerate()
    {
        let path = data.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Image::new(9, index + 1, 3, (0..27 * (index + 1)).map(|i| (i * 37) as u8).collect())
            .unwrap()
            .save_png(&path)
            .unwrap();
    }
    fs::write(data.join("zebra/broken.webp"), "no image, but bytes all the same").unwrap();
    (folder, data)
}

fn contents(dataset: &Dataset) -> Vec<(Option<usize>, Vec<u8>)> {
    (0..dataset.len()).map(|index| (dataset.label(index), dataset.read(index).unwrap())).collect()
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn what_is_packed_is_what_is_opened() {
    let (folder, data) = images();
    let dataset = open_for_evaluation(&data, None).unwrap();
    for (number, dataset) in [dataset.clone(), dataset.shuffled(Seed(5))].iter().enumerate() {
        for shard_bytes in [1, 4000, 1 << 30] {
            let out = folder.path().join(format!("packed-{number}-{shard_bytes}"));
            let mut calls = Vec::new();
            let summary = pack(dataset, &out, shard_bytes, |done| calls.push(done)).unwrap();
            assert_eq!(calls, (1..=7).collect::<Vec<_>>());
            let shards: Vec<String> = (0..summary.shards).map(|i| format!("shard-{i:06}.tar")).collect();
            assert_eq!(files(&out), [&["classes.txt".into()][..], &shards].concat());
            let sizes: Vec<u64> =
                shards.iter().map(|shard| fs::metadata(out.join(shard)).unwrap().len()).collect();
            assert_eq!((summary.images, summary.bytes), (7, sizes.iter().sum()));
            match shard_bytes {
                1 => assert_eq!(summary.shards, 7),
                4000 => assert!(sizes.len() > 1 && sizes.iter().all(|&size| size <= 4000), "{sizes:?}"),
                _ => assert_eq!(summary.shards, 1),
            }
            let opened = open_for_evaluation(&out, None).unwrap();
            assert_eq!(contents(&opened), contents(dataset));
            assert_eq!(opened.classes(), dataset.classes());

            // Shards can be packed again, into the same bytes.
            let again = folder.path().join(format!("again-{number}-{shard_bytes}"));
            assert_eq!(pack(&opened, &again, shard_bytes, |_| ()).unwrap(), summary);
            for shard in &shards {
                assert_eq!(fs::read(out.join(shard)).unwrap(), fs::read(again.join(shard)).unwrap());
            }
        }
    }
}

#[test]
fn without_labels_there_are_no_classes() {
    let (folder, data) = images();
    let dataset = open_unlabelled(&data).unwrap();
    let out = folder.path().join("packed");
    let summary = pack(&dataset, &out, 1 << 20, |_| ()).unwrap();
    assert!(matches!(summary, PackSummary { shards: 1, images: 7, .. }));
    assert_eq!(files(&out), ["shard-000000.tar"]);
    assert_eq!(contents(&open_unlabelled(&out).unwrap()), contents(&dataset));
}

#[test]
fn nothing_is_overwritten_or_left_half_done() {
    let (folder, data) = images();
    let dataset = open_for_evaluation(&data, None).unwrap();
    // Bug: images beside shards were taken, and what was packed could not be opened.
    for existing in ["other.tar", "classes.txt", "mine.png"] {
        let out = folder.path().join(existing).with_extension("folder");
        fs::create_dir(&out).unwrap();
        fs::write(out.join(existing), "mine").unwrap();
        let message = pack(&dataset, &out, 1000, |_| ()).unwrap_err().to_string();
        assert!(message.contains(existing) && message.contains("give a new folder"), "{message}");
        assert_eq!(files(&out), [existing]);
    }
    let out = folder.path().join("out");
    let message = pack(&dataset, &out, 0, |_| ()).unwrap_err().to_string();
    assert!(message.contains("size of a shard"), "{message}");

    // An image that is gone: no shard stays, not even those that were full.
    fs::remove_file(data.join("zebra/9.a.png")).unwrap();
    let message = pack(&dataset, &out, 1, |_| ()).unwrap_err().to_string();
    assert!(message.contains("9.a.png"), "{message}");
    assert_eq!(files(&out), Vec::<String>::new());
}

/// Bug: the first part was there before the second was begun, as if it were all.
#[test]
fn parts_appear_together() {
    let (folder, data) = images();
    let dataset = open_for_evaluation(&data, None).unwrap();
    let parts = [("train", dataset.clone()), ("val", dataset.subset(&[0, 6]))];
    let [out, failed] = ["out", "failed"].map(|name| folder.path().join(name));
    let mut calls = Vec::new();
    let progress = |done: usize| {
        assert!(files(&out).iter().all(|name| name.starts_with('.')));
        calls.push(done);
    };
    let summaries = pack_parts(&parts, &out, 1000, progress).unwrap();
    assert_eq!(calls, (1..=9).collect::<Vec<_>>());
    assert_eq!(files(&out), ["train", "val"]);
    for ((name, images), summary) in parts.iter().zip(summaries) {
        assert_eq!(contents(&open_for_evaluation(&out.join(name), None).unwrap()), contents(images));
        assert_eq!(summary.images, images.len());
    }
    let lose = |done: usize| {
        if done == 7 {
            fs::remove_dir_all(&data).unwrap();
        }
    };
    pack_parts(&parts, &failed, 1000, lose).unwrap_err();
    assert_eq!(files(&failed), Vec::<String>::new());
}

#[test]
fn a_shuffled_data_set_has_the_same_images() {
    let (_folder, data) = images();
    let dataset = open_for_evaluation(&data, None).unwrap();
    let shuffled = dataset.shuffled(Seed(1));
    assert_ne!(contents(&shuffled), contents(&dataset));
    assert_eq!(contents(&shuffled), contents(&dataset.shuffled(Seed(1))));
    assert_ne!(contents(&shuffled), contents(&dataset.shuffled(Seed(2))));
    let sorted = |dataset: &Dataset| {
        let mut contents = contents(dataset);
        contents.sort_unstable();
        contents
    };
    assert_eq!(sorted(&shuffled), sorted(&dataset));
}
