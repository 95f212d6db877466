//! Shards of several parts in one folder.

use std::fs;

use super::bench::Bench;
use super::images::CLASSES;
use super::splits::{FINETUNE, bench, measured, taken};

/// The one shard of a part.
fn shard(bench: &Bench, part: &str) -> Vec<u8> {
    let folder = fs::read_dir(bench.path(&format!("packed/{part}"))).unwrap();
    let mut files = folder.map(|entry| entry.unwrap().path());
    fs::read(files.find(|path| path.extension().is_some_and(|extension| extension == "tar")).unwrap())
        .unwrap()
}

/// A part for training and one for validation, packed, and with their shards in the folder `one`.
fn packed() -> Bench {
    let bench = bench();
    bench.draw_classes("labelled/train", 4);
    bench.draw_classes("labelled/val", 1);
    bench.succeed("data pack labelled packed --labelled");
    bench.write("one/x-train-0000.tar", shard(&bench, "train"));
    bench.write("one/x-validation-0000.tar", shard(&bench, "val"));
    bench.write("one/classes.txt", bench.read("packed/train/classes.txt"));
    bench
}

#[test]
fn shards_of_several_parts_lie_in_one_folder() {
    let bench = packed();
    let expected = ["train: 12 from one/x-train-0000.tar", "validation: 3 from one/x-validation-0000.tar"];
    assert_eq!(taken(&bench, "one").0, expected);
    assert_eq!(measured(&bench, "one"), "validation: 3 from one/x-validation-0000.tar");

    bench.write("listed/000.tar", shard(&bench, "train"));
    bench.write("listed/001.tar", shard(&bench, "val"));
    bench.write("listed/classes.txt", bench.read("packed/train/classes.txt"));
    bench.write(
        "listed/_info.json",
        r#"{"splits": {"train": {"filenames": ["000.tar"]}, "test": {"filenames": ["001.tar"]}}}"#,
    );
    let expected = ["train: 12 from listed/000.tar", "validation: 3 from listed/001.tar"];
    assert_eq!(taken(&bench, "listed").0, expected);
}

#[test]
fn shards_of_no_part_and_images_beside_shards_are_refused() {
    let bench = packed();
    bench.write("one/x-0001.tar", shard(&bench, "val"));
    bench.refuse(1, &[(&format!("{FINETUNE} one"), &["1 of its 3 shards", "x-0001.tar", "'train'"])]);
    fs::remove_file(bench.path("one/x-0001.tar")).unwrap();
    bench.draw("one/stray.png", CLASSES[0], 1);
    let words = &["one/stray.png", ".tar", "move"][..];
    bench.refuse(
        1,
        &[
            (&format!("{FINETUNE} one"), words),
            ("pretrain --model micro --out run --data one", words),
            ("evaluate --weights classifier.safetensors --data one", words),
            ("classify one --weights classifier.safetensors", words),
        ],
    );
}
