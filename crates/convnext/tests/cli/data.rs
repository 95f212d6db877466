//! `convnext data`: what is in a set of images, and shards of it.

use predicates::str::contains;

use super::bench::Bench;
use super::weights::classifier;

#[test]
fn a_check_counts_and_shows_what_is_there() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 5);
    bench.draw_classes("labelled/val", 2);
    let said = bench.succeed("data check labelled --out page.html");
    for words in ["train: 15 images", "validation: 6 images", "short sides from"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let page = bench.read_text("page.html");
    assert_eq!(page.matches("data:image/png;base64,").count(), 21);
    let found = bench.json("data check labelled --unlabelled --out all.html --json");
    assert_eq!(
        (found["images"].as_u64(), found["parts"][0]["name"].as_str()),
        (Some(21), Some("all")),
        "{found}"
    );
    assert_eq!(found["formats"]["PNG"], 12, "{found}");
}

#[test]
fn data_without_a_validation_part_is_checked_as_it_would_be_split() {
    let bench = Bench::new();
    bench.draw_classes("plain", 5);
    bench.draw_classes("trained/train", 5);
    for data in ["plain", "trained"] {
        let said = bench.succeed(&format!("data check {data}"));
        assert!(said.contains("train: 12 images") && said.contains("held out: 3 images"), "{data}: {said}");
    }
}

#[test]
fn a_check_names_what_is_wrong() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 3);
    bench.draw_classes("labelled/val", 1);
    let class = std::fs::read_dir(bench.path("labelled/train")).unwrap().next().unwrap().unwrap();
    let class = class.file_name().into_string().unwrap();
    // The same image is learned from and measured on.
    let copied = bench.read(&format!("labelled/train/{class}/02.png"));
    bench.write(&format!("labelled/val/{class}/copy.png"), copied);
    bench.succeed("data check labelled");
    assert!(
        bench.read_text("check.html").contains("in different parts"),
        "{}",
        bench.read_text("check.html")
    );
    bench.draw_truncated(&format!("labelled/train/{class}/broken.jpg"));
    bench
        .run("data check labelled")
        .code(1)
        .stdout(contains("broken.jpg"))
        .stderr(contains("1 of 14 images"));
    bench.refuse(1, &[("data check nowhere", &["nowhere"])]);
}

/// Bug: what a check found was not told where its page could not be written.
#[test]
fn a_check_whose_page_cannot_be_written_tells_what_it_found() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 3);
    let run = bench.run("data check labelled --out missing/page.html").code(1);
    run.stdout(contains("train: ")).stderr(contains("missing/page.html"));
}

/// Bug: a part for a test became OUT/val, which trainings choose by and `evaluate` calls the validation.
#[test]
fn a_packed_part_for_a_test_stays_one() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 4);
    bench.draw_classes("labelled/test", 2);
    bench.succeed("data pack labelled packed --labelled");
    assert!(bench.exists("packed/test/classes.txt") && !bench.exists("packed/val"));
    let said = bench.succeed("data check packed");
    assert!(said.contains("the part for a test, because there is none for validation"), "{said}");
}

/// Bug: that OUT/val was taken came out after OUT/train had been packed, and OUT could lie in what was read.
#[test]
fn folders_of_shards_are_looked_at_before_packing() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 4);
    bench.draw_classes("labelled/val", 2);
    for part in ["val", "test"] {
        let taken = format!("{part}-taken/{part}");
        bench.write(&format!("{taken}/shard-000000.tar"), "");
        bench.refuse(
            1,
            &[(&format!("data pack labelled {part}-taken --labelled"), &[&taken[..], "new folder"])],
        );
        assert!(!bench.exists(&format!("{part}-taken/train")));
    }
    bench.write("file-taken/val", "");
    bench.refuse(1, &[("data pack labelled file-taken --labelled", &["file-taken/val", "new folder"])]);
    assert!(!bench.exists("file-taken/train"));
    bench.refuse(1, &[("data pack labelled labelled/packed --labelled", &["one in the other"])]);
    assert!(!bench.exists("labelled/packed"));
}

/// Bug: without --labelled, images beside the shards were in nobody's way but that of who opened them.
#[test]
fn a_folder_with_files_is_not_packed_into() {
    let bench = Bench::new();
    bench.draw_classes("photos", 2);
    bench.write("used/notes.txt", "mine");
    bench.make_folder("left/.4711.partial/train");
    bench.write("file", "");
    let left = &["left/.4711.partial", "delete it"][..];
    bench.refuse(
        1,
        &[
            ("data pack photos used", &["used/notes.txt", "new folder"]),
            ("data pack photos left", left),
            ("data pack photos left --labelled", left),
            ("data split photos left", left),
            ("data pack photos file", &["cannot read file"]),
        ],
    );
}

/// Bug: the share was ignored where the data has a part to measure on.
#[test]
fn a_share_is_used_or_refused() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 4);
    bench.draw_classes("labelled/val", 2);
    let words = &["--val-fraction 0.5", "labelled/val", "leave --val-fraction out"][..];
    bench.refuse(1, &[("data pack labelled packed --labelled --val-fraction 0.5", words)]);
    assert!(!bench.exists("packed"));
    let said = bench.succeed("data pack labelled/train packed --labelled --val-fraction 0.5");
    assert_eq!(said.matches("wrote 6 images").count(), 2, "{said}");
}

/// Bug: a size beyond 64 bit became one of no bytes.
#[test]
fn shards_may_be_of_any_size() {
    let bench = Bench::new();
    bench.draw_classes("photos", 1);
    let said = bench.succeed("data pack photos packed --shard-size 17592186044416");
    assert!(said.contains("wrote 3 images") && said.contains("1 shard"), "{said}");
}

#[test]
fn packed_images_are_the_same_ones() {
    let bench = Bench::new();
    bench.draw_classes("labelled/train", 4);
    bench.draw_classes("labelled/val", 2);
    let said = bench.succeed("data pack labelled packed --labelled --seed 3");
    assert!(said.contains("wrote 12 images") && said.contains("wrote 6 images"), "{said}");
    bench.write("classifier.safetensors", classifier());
    let measured = |data: &str| {
        bench.json(&format!("evaluate --data {data} --weights classifier.safetensors --json"))["top1"].clone()
    };
    assert_eq!(measured("labelled"), measured("packed"));
    let line = "finetune --data packed --init none --model micro --image-size 32 --steps 2";
    bench
        .run(&format!("{line} --out run -v"))
        .success()
        .stderr(contains("on 12 images of 3 classes (6 for validation)"));
    bench.succeed("data pack labelled flat");
    bench.succeed("pretrain --data flat --model micro --image-size 64 --steps 1 --out pretrained");
    bench.refuse(1, &[("data pack labelled flat", &["flat"])]);
    bench.refuse(2, &[("data pack labelled other --labels labels.csv", &["--labelled"])]);
}

#[test]
fn decoded_images_may_be_kept_or_decoded_fast_and_the_run_says_so() {
    let bench = Bench::new();
    bench.draw_classes("labelled", 4);
    let line = "finetune --data labelled --init none --model micro --image-size 32 --epochs 2 --batch-size 3";
    let weights = |out: &str, more: &str| {
        bench.succeed(&format!("{line} {more} --out {out}"));
        bench.read(&format!("{out}/weights.safetensors"))
    };
    let plain = weights("plain", "");
    assert!(plain == weights("ram", "--cache ram"));
    assert!(plain == weights("first", "--cache kept") && plain == weights("second", "--cache kept"));
    assert!(std::fs::read_dir(bench.path("kept")).unwrap().count() > 0);
    weights("fast", "--fast-decode");
    assert!(bench.read_text("fast/config.toml").contains("fast_decode = true"));
    assert!(!bench.read_text("plain/config.toml").contains("fast_decode"));
    bench.refuse(2, &[(&format!("{line} --fast-decode --cache ram --out x"), &["--cache"])]);
}
