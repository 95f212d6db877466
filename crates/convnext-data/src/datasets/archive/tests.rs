//! Tests of archives.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use tempfile::NamedTempFile;

use super::*;
use crate::datasets::list_images::list_images;

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        builder.append_data(&mut header, path, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(bytes: &[u8], suffix: &str) -> NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(suffix).tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn open(bytes: &[u8], suffix: &str) -> Result<Listing, DataError> {
    list_images(file(bytes, suffix).path())
}

const LONG: &str =
    "a-folder-with-a-name-so-long-that-a-plain-header-cannot-hold-it-0123456789-0123456789-0123456789/1.png";

#[test]
fn plain_and_compressed_archives_hold_the_same() {
    let bytes = tar(&[("top/b.png", b"bee"), (LONG, b"long"), ("top/notes.txt", b"no"), ("top/a.jpg", b"a")]);
    for listing in [open(&bytes, ".tar"), open(&gzip(&bytes), ".tgz"), open(&bytes, ".bin")] {
        let listing = listing.unwrap();
        let contents: Vec<(&str, Vec<u8>)> = listing
            .images
            .iter()
            .enumerate()
            .map(|(index, path)| (path, listing.storage.read(&listing.images, index).unwrap()))
            .collect();
        let expected =
            [(LONG, b"long".to_vec()), ("top/a.jpg", b"a".to_vec()), ("top/b.png", b"bee".to_vec())];
        assert_eq!(contents, expected);
        assert!(listing.name("top/a.jpg").ends_with(": top/a.jpg"));
    }
}

#[test]
fn the_last_of_two_members_counts_and_hard_links_are_followed() {
    let mut builder = tar::Builder::new(tar(&[("1.png", b"old"), ("1.png", b"new")])[..2048].to_vec());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    builder.append_link(&mut header, "cat/2.png", "1.png").unwrap();
    let listing = open(&builder.into_inner().unwrap(), ".tar").unwrap();
    assert_eq!(listing.images.len(), 2);
    for (index, path) in listing.images.iter().enumerate() {
        assert_eq!(listing.storage.read(&listing.images, index).unwrap(), b"new", "{path}");
    }
    assert!(listing.folders.contains("cat"));
}

#[cfg(unix)]
#[test]
fn folders_that_are_called_alike_without_unicode_are_not_one_class() {
    let archive = |folders: [&[u8]; 2]| {
        let mut builder = tar::Builder::new(Vec::new());
        for folder in folders {
            let mut header = tar::Header::new_gnu();
            let name = [b"data/", folder, b"/1.png"].concat();
            header.as_old_mut().name[..name.len()].copy_from_slice(&name);
            header.set_size(0);
            header.set_cksum();
            builder.append(&header, &b""[..]).unwrap();
        }
        builder.into_inner().unwrap()
    };
    for suffix in [".tar", ".tgz"] {
        let pack = |bytes: Vec<u8>| if suffix == ".tgz" { gzip(&bytes) } else { bytes };
        let message = open(&pack(archive([b"caf\xe9", b"caf\xe8"])), suffix).unwrap_err().to_string();
        assert!(message.contains("'data/caf\u{fffd}' alike"), "{message}");
        // One folder twice, and another.
        assert_eq!(open(&pack(archive([b"caf\xe9", b"caf\xe9"])), suffix).unwrap().images.len(), 1);
        assert_eq!(open(&pack(archive([b"caf\xe9", b"tea"])), suffix).unwrap().images.len(), 2);
    }
}

#[test]
fn damaged_archives_are_refused() {
    let bytes = tar(&[("a.png", &[1; 2000]), ("b.png", &[2; 2000])]);
    let compressed = gzip(&bytes);
    for (bytes, suffix) in
        [(&bytes[..3200], ".tar"), (&compressed[..compressed.len() - 6], ".tar.gz"), (&[7; 1000][..], ".tar")]
    {
        let message = open(bytes, suffix).unwrap_err().to_string();
        assert!(message.contains("cannot read the archive"), "{message}");
    }
    let message = open(b"text", ".zip").unwrap_err().to_string();
    assert!(message.contains("neither a folder nor a .tar"), "{message}");
}

#[test]
fn archives_that_end_between_two_members_are_refused() {
    let whole = tar(&[("a.png", &[1; 2000]), ("b.png", &[2; 2000])]);
    let cut = &whole[..512 + 2048];
    for message in [open(cut, ".tar"), open(&gzip(cut), ".tgz")].map(|found| found.unwrap_err().to_string()) {
        assert!(message.contains("end-of-archive marker is missing"), "{message}");
    }
}

#[test]
fn a_member_with_and_without_a_leading_dot_is_one() {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, bytes) in [("./1.png", b"old"), ("1.png", b"new")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(3);
        // What the builder itself would leave out of the path.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_cksum();
        builder.append(&header, &bytes[..]).unwrap();
    }
    let mut link = tar::Header::new_gnu();
    link.set_entry_type(EntryType::Link);
    link.set_size(0);
    builder.append_link(&mut link, "2.png", "./1.png").unwrap();
    let listing = open(&builder.into_inner().unwrap(), ".tar").unwrap();
    let images: Vec<(&str, Vec<u8>)> = (0..2)
        .map(|at| (listing.images.get(at), listing.storage.read(&listing.images, at).unwrap()))
        .collect();
    assert_eq!(listing.images.len(), 2);
    assert_eq!(images, [("1.png", b"new".to_vec()), ("2.png", b"new".to_vec())]);
}

#[test]
fn images_that_are_links_are_counted_and_not_lost_in_silence() {
    let mut builder = tar::Builder::new(Vec::new());
    for (kind, path) in
        [(EntryType::Symlink, "a/1.png"), (EntryType::Link, "2.png"), (EntryType::Symlink, "x")]
    {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(0);
        builder.append_link(&mut header, path, "elsewhere/0.png").unwrap();
    }
    let file = file(&builder.into_inner().unwrap(), ".tar");
    let mut members = Members::default();
    members.index(&mut File::open(file.path()).unwrap()).unwrap();
    let said = members.linked.summary().unwrap();
    assert!(said.starts_with("2 member(s)") && said.contains("the first a/1.png"), "{said}");
}

#[test]
fn compressed_archives_must_fit_into_memory() {
    let file = file(&gzip(&tar(&[("a.png", &[0; 600]), ("b.png", &[0; 600])])), ".tar.gz");
    let list = |unpacked| list_up_to(file.path(), "x".into(), Limits { unpacked, ..Limits::default() });
    assert!(list(1200).is_ok());
    let message = list(1199).unwrap_err().to_string();
    assert!(message.contains("decompress it to a .tar"), "{message}");
}

/// Bug: a small compressed archive filled the memory with the name of one member.
#[test]
fn long_names_in_compressed_archives_do_not_fill_the_memory() {
    let long = format!("{}.png", "a".repeat(5000));
    let mut bytes = tar(&[("0.png", &[0; 9000]), (&long[..], b"long"), ("b.txt", &[0; 9000])]);
    // What lies behind the last member is read and not kept.
    bytes.extend([0; 20_000]);
    let file = file(&gzip(&bytes), ".tar.gz");
    let list = |headers| list_up_to(file.path(), "x".into(), Limits { headers, ..Limits::default() });
    assert_eq!(list(8 << 10).unwrap().images.len(), 2);
    let message = list(4 << 10).unwrap_err().to_string();
    assert!(message.contains("a member take more than 4 KiB") && !message.contains("damaged"), "{message}");
}

/// Bug: as every folder above a member is kept, one deep path took the square of its length.
#[test]
fn deep_paths_do_not_fill_the_memory() {
    let deep = format!("{}1.png", "a/".repeat(500));
    let bytes = tar(&[(&deep[..], b"deep")]);
    for (bytes, suffix) in [(&bytes, ".tar"), (&gzip(&bytes), ".tgz")] {
        let file = file(bytes, suffix);
        let list = |paths| list_up_to(file.path(), "x".into(), Limits { paths, ..Limits::default() });
        assert_eq!(list(600_000).unwrap().folders.len(), 500);
        let message = list(400_000).unwrap_err().to_string();
        assert!(
            message.contains("the paths of its members take more than") && !message.contains("damaged"),
            "{message}"
        );
    }
}
