//! Studies: which images they take, and where they are written.
#![cfg(unix)]

use std::fs::File;

use predicates::prelude::*;
use predicates::str::contains;

use super::bench::Bench;
use super::images::CLASSES;
use super::studying::{MINE, RUN};

/// Where the first pre-training of a study takes its images, and what is said of them.
fn pretrained_on(bench: &Bench, data: &str) -> (String, String) {
    let line = format!("study run mine.toml --data {data} --seeds 1 --out study --dry-run");
    let said = bench.run(&line).success().get_output().clone();
    let [commands, said] = [said.stdout, said.stderr].map(|text| String::from_utf8(text).unwrap());
    let place = commands.split_whitespace().skip_while(|word| *word != "--data").nth(1).unwrap();
    let folder = bench.path("").canonicalize().unwrap();
    (place.strip_prefix(&format!("{}/", folder.display())).unwrap().to_owned(), said)
}

/// Bug: by a rule of its own, a study pre-trained on a class that was called like a part, or on validation images.
#[test]
fn pretrainings_take_the_images_that_finetunings_train_on() {
    let bench = Bench::new();
    bench.write("mine.toml", MINE);
    for part in
        ["plain/train", "plain/val", "words/seg_train", "words/seg_test", "wrapped/a/train", "wrapped/a/val"]
    {
        bench.draw_classes(part, 1);
    }
    for class in ["car", "train", "bus"] {
        bench.draw(&format!("classes/{class}/0.png"), CLASSES[0], 0);
    }
    for (data, expected) in [
        ("plain", "plain/train"),
        ("words", "words/seg_train"),
        ("wrapped", "wrapped/a/train"),
        ("classes", "classes"),
    ] {
        let (place, said) = pretrained_on(&bench, data);
        assert!(place == expected && !said.contains("--pretraining-data"), "{data}: {place}\n{said}");
    }
    // No path leads to the part of an archive.
    let mut archive = tar::Builder::new(File::create(bench.path("photos.tar")).unwrap());
    archive.append_dir_all("photos", bench.path("plain")).unwrap();
    archive.finish().unwrap();
    let (place, said) = pretrained_on(&bench, "photos.tar");
    assert_eq!(place, "photos.tar");
    assert!(said.contains("validation among them, unless --pretraining-data names others"), "{said}");
}

/// Bug: every later training of a study that was written among its images took its pictures for one more class.
#[test]
fn a_study_is_not_written_among_its_images() {
    let bench = Bench::new();
    bench.write("mine.toml", MINE);
    bench.draw_classes("photos", 2);
    bench.draw_classes("more", 2);
    let apart = &["lie one in the other", "beside them"][..];
    bench.refuse(
        1,
        &[
            (&format!("{RUN} --out photos/studies/mine"), apart),
            (&format!("{RUN} --pretraining-data more --out more/study"), apart),
            (&format!("{RUN} --out photos/studies/mine --resume"), apart),
        ],
    );
    assert!(!bench.exists("photos/studies") && !bench.exists("more/study"));
    bench
        .run(&format!("{RUN} --out photos/studies/mine --dry-run"))
        .success()
        .stderr(contains("lie one in the other"))
        .stdout(contains("convnext pretrain"));
}

/// Bug: the list of members that the first training wrote beside shards kept the study from going on.
#[test]
fn a_study_on_shards_goes_on() {
    let bench = Bench::labelled();
    bench.write("mine.toml", MINE);
    bench.succeed("data pack labelled packed --labelled");
    let line = RUN.replace("--data photos", "--data packed").replace("--seeds 2", "--seeds 1");
    let line = format!("{line} --only scratch --out study");
    bench.succeed(&line);
    assert!(bench.exists("packed/train/shards.index"));
    bench.run(&format!("{line} --resume")).success().stderr(contains("run 1 of").not());
}
