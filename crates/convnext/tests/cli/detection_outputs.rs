//! What `detect --csv` and `evaluate --write-predictions` replace: nothing that is read, and nothing before they are whole.

use super::bench::Bench;
use super::cells::cells;
use super::detectors_of_others::fixture;

const DETECT: &str = "detect cells/val --weights weights.pth --class-names names.txt --out found --overwrite \
                      --score 0.05 --resize none --csv";

/// Images, and a detector of their classes.
fn bench() -> Bench {
    let bench = cells();
    bench.write("weights.pth", std::fs::read(fixture("faster_rcnn.pth")).unwrap());
    bench.write("names.txt", "red\ngreen\n");
    bench
}

/// Bug: the table that was there was emptied before the first image was looked at.
#[test]
fn a_table_of_objects_is_replaced_only_when_it_is_whole() {
    let bench = bench();
    bench.write("objects.csv", "old\n");
    bench.draw_truncated("cells/val/cut.jpg");
    bench.run(&format!("{DETECT} objects.csv --strict")).code(1);
    assert_eq!(bench.read_text("objects.csv"), "old\n");
    assert!(!bench.exists("objects.csv.part"));
    bench.succeed(&format!("{DETECT} objects.csv"));
    let table = bench.read_text("objects.csv");
    assert!(table.starts_with("image,class,score,left,top,width,height,pixels\n"), "{table}");
    assert!(table.lines().skip(1).all(|row| row.starts_with("cells/val/0")) && table.lines().count() > 1);
}

/// Bug: a file was renamed over the device.
#[cfg(unix)]
#[test]
fn a_table_goes_into_a_device() {
    let bench = bench();
    std::os::unix::fs::symlink("/dev/null", bench.path("null")).unwrap();
    bench.succeed(&format!("{DETECT} null"));
    assert!(bench.path("null").is_symlink());
}

/// Bug: the table replaced the results that had just been written.
#[test]
fn a_table_takes_the_place_of_no_other_output() {
    let bench = bench();
    let lines = ["results.json", "../found/results.json", "00.png --overlay"]
        .map(|place| format!("{DETECT} found/{place}"));
    let words = ["another file that is written", "another name"];
    let refusals: Vec<(&str, &[&str])> = lines.iter().map(|line| (&line[..], &words[..])).collect();
    bench.refuse(1, &refusals);
    bench.succeed(&format!("{DETECT} found/objects.csv --overlay"));
    assert!(
        ["objects.csv", "results.json", "00.png"].iter().all(|name| bench.exists(&format!("found/{name}")))
    );
}

/// Bug: annotations that were found among the images were replaced by predictions in the end, and names of classes by
/// both outputs.
#[test]
fn names_and_annotations_are_not_replaced() {
    let bench = bench();
    let annotations = "cells/annotations/instances_val.json";
    let before = [annotations, "names.txt"].map(|file| bench.read(file));
    let evaluate = "evaluate --data cells --weights weights.pth --class-names names.txt --resize none";
    let writing = format!("{evaluate} --write-predictions");
    let read = ["names, labels or annotations that are read", "another name"];
    bench.refuse(
        1,
        &[
            (&format!("{writing} {annotations}"), &["is there already, in the data cells", "another name"]),
            (&format!("{writing} {annotations} --annotations {annotations}"), &read),
            (&format!("{writing} names.txt"), &read),
            (&format!("{DETECT} names.txt"), &read),
        ],
    );
    assert!(before == [annotations, "names.txt"].map(|file| bench.read(file)));
    bench.succeed(&format!("{writing} cells/predictions.json"));
    assert!(bench.read_text("cells/predictions.json").starts_with('['));
}
