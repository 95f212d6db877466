//! Shards that change, are damaged or cannot be indexed.

use std::{
    fs::{self, File, FileTimes},
    time::{Duration, SystemTime},
};

use convnext_data::{Decoding, Orientation, open_unlabelled};

use super::samples;
use super::shard_files::{content, folder, message, numbered, png, shard};

#[test]
fn the_index_is_made_again_when_shards_change() {
    let (_root, data) = folder();
    numbered(&data, 2, 3, 2);
    let first = open_unlabelled(&data).unwrap();
    let index = data.join("shards.index");
    let written = fs::read(&index).unwrap();
    // It is used: with the time of change put back, changed content is not seen.
    let path = data.join("part-0.tar");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let touch = |time: SystemTime| {
        let file = File::options().write(true).open(&path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, vec![0; bytes.len()]).unwrap();
    touch(modified);
    assert_eq!(open_unlabelled(&data).unwrap().len(), 6);
    fs::write(&path, &bytes).unwrap();
    touch(modified);

    // Another time, another size, another shard.
    touch(modified + Duration::from_secs(5));
    assert_eq!(open_unlabelled(&data).unwrap().len(), 6);
    assert_ne!(fs::read(&index).unwrap(), written);
    shard(path.clone(), &[("0.png", &png(0))]);
    assert_eq!(open_unlabelled(&data).unwrap().len(), 4);
    shard(data.join("part-2.tar"), &[("0.png", &png(0))]);
    let last = open_unlabelled(&data).unwrap();
    assert_eq!(last.len(), 5);
    assert_ne!(last.fingerprint(), first.fingerprint());

    // Damaged in any byte or cut anywhere: the index is made again.
    let written = fs::read(&index).unwrap();
    for place in (0..written.len()).step_by(7) {
        let mut damaged = written.clone();
        damaged[place] ^= 0x55;
        for bytes in [&damaged[..], &written[..place]] {
            fs::write(&index, bytes).unwrap();
            assert_eq!(content(&open_unlabelled(&data).unwrap()), content(&last));
            assert_eq!(fs::read(&index).unwrap(), written);
        }
    }
}

#[test]
fn a_folder_that_cannot_be_written_to_is_read() {
    let (_root, data) = folder();
    numbered(&data, 2, 3, 2);
    // A folder in the place of the index: works for every user, root included.
    fs::create_dir(data.join("shards.index")).unwrap();
    for _ in 0..2 {
        assert_eq!(open_unlabelled(&data).unwrap().len(), 6);
    }
    assert_eq!(fs::read_dir(&data).unwrap().count(), 3, "a partial file was left");
}

#[test]
fn damaged_shards_are_errors_with_their_name() {
    let (_root, data) = folder();
    numbered(&data, 3, 40, 2);
    let path = data.join("part-1.tar");
    let whole = fs::read(&path).unwrap();
    // Cut within an image, within what fills up its block, and between members.
    for damaged in [&whole[..20 * 2048 + 520], &whole[..20 * 2048 + 700], &whole[..20 * 2048], &[7; 3000][..]]
    {
        fs::write(&path, damaged).unwrap();
        let text = message(open_unlabelled(&data));
        assert!(text.contains("cannot read the archive") && text.contains("part-1.tar"), "{text}");
    }
    // Changed or gone while the data set is open; other images cannot stand in for a shard.
    fs::write(&path, &whole).unwrap();
    let dataset = open_unlabelled(&data).unwrap();
    assert_eq!(samples(&dataset, 2, 0).unwrap().len(), 120);
    let dataset = open_unlabelled(&data).unwrap();
    fs::write(&path, &whole[..4096]).unwrap();
    for _ in 0..2 {
        let text = message(samples(&dataset, 2, 0));
        assert!(text.contains("part-1.tar") && text.contains("changed"), "{text}");
        let _ = fs::remove_file(&path);
        fs::write(&path, b"").unwrap();
    }
    fs::remove_file(&path).unwrap();
    let text = message(samples(&dataset, 2, 0));
    assert!(text.contains("cannot read the archive") && text.contains("part-1.tar"), "{text}");
}

#[test]
fn corrupt_images_in_shards_are_replaced() {
    let (_root, data) = folder();
    numbered(&data, 3, 60, 2);
    shard(data.join("x.tar"), &[("bad.png", b"no image")]);
    let dataset = open_unlabelled(&data).unwrap();
    let seen = samples(&dataset, 2, 0).unwrap();
    assert_eq!(seen.len(), 181);
    assert!(!seen.contains(&180));
    let text = message(dataset.image(180, &Decoding::new(3, Orientation::Honour)));
    assert!(text.contains("x.tar: bad.png is not a readable image"), "{text}");
}
