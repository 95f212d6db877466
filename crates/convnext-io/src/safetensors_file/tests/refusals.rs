//! Files that are refused.

use super::*;

#[test]
fn foreign_files_are_told_apart() {
    for header in ["{}", r#"{"__metadata__":{"format":"pt"}}"#] {
        let (_folder, path) = file_from(header, 0);
        assert_eq!(read_header(&path).unwrap().metadata, None);
        let message = read_weights(&path).unwrap_err().to_string();
        assert!(message.contains("foreign: no `convnext` metadata"), "{message}");
    }
}

#[test]
fn a_missing_file_says_check_the_path() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(&folder.path().join("none.safetensors"), &["does not exist", "check the path"]);
}

#[test]
fn an_empty_folder_holds_no_weights() {
    let folder = tempfile::tempdir().unwrap();
    check_refused(folder.path(), &["holds no weights, only nothing"]);
}

#[test]
fn other_formats_are_recognised() {
    let cases: [(&[u8], &[&str]); 8] = [
        (
            b"PK\x03\x04\0\0\x08\x08\0\0archive/data.pkl",
            &["the archive", "is damaged", "copy the file again"],
        ),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", &["the structure of", "is truncated"]),
        (b"version https://git-lfs.github.com/spec/v1\n", &["not a safetensors file", "it is text"]),
        (b"<!DOCTYPE html><html>", &["not a safetensors file", "it is text"]),
        (b"weights {", &["not a safetensors file", "it is text"]),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &["not a safetensors file", "does not start with a header"]),
        (b"\0\0\0\0\0\0\0\0{}", &["not a safetensors file", "does not start with a header"]),
        (b"", &["not a safetensors file", "it is empty"]),
    ];
    for (bytes, words) in cases {
        let (_folder, path) = file_with(bytes);
        check_refused(&path, words);
    }
}

#[test]
fn a_header_that_counts_like_a_pickle_is_a_header() {
    // 640 bytes: in little-endian order the file starts with 80 02, like a pickle of protocol 2.
    let (_folder, path) = file_from(&format!("{:<640}", "{}"), 0);
    assert_eq!(read_header(&path).unwrap().size, 648);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write_weights(&path, &arrays(), &metadata()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let whole = file.metadata().unwrap().len();
    file.set_len(whole + 1).unwrap();
    check_refused(&path, &[&format!("should have {whole}:")]);
    for size in (9..whole).rev() {
        file.set_len(size).unwrap();
        check_refused(&path, &[&format!("has {size} bytes, but should have"), "copy it again"]);
    }
    for size in (0..9).rev() {
        file.set_len(size).unwrap();
        check_refused(&path, &["not a safetensors file"]);
    }
}

#[test]
fn damaged_headers_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("weights.safetensors");
    write_weights(&path, &arrays(), &metadata()).unwrap();
    let whole = fs::read(&path).unwrap();
    let header = whole.len() - arrays().iter().map(|array| array.bytes.len()).sum::<usize>();
    // Written in place, because many file systems take long to replace a file.
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let mut put = |index: usize, byte: u8| {
        file.seek(SeekFrom::Start(index as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    for (index, &intact) in whole[..header].iter().enumerate() {
        for byte in [0, b'9', b'{', b'"', 0xff] {
            put(index, byte);
            let _ = read_weights(&path);
            let _ = read_header(&path);
        }
        put(index, intact);
    }
    read_weights(&path).unwrap();
}

#[test]
fn contradictory_headers_are_refused() {
    let huge = usize::MAX;
    let cases = [
        (r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#.to_owned(), "EOF"),
        (r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#.to_owned(), "invalid shape"),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#.to_owned(),
            "invalid offset for tensor `a`",
        ),
        (
            r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#.to_owned(),
            "invalid offset for tensor `a`",
        ),
        (r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#.to_owned(), "invalid value"),
        (r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#.to_owned(), "F99"),
        (format!(r#"{{"a":{{"dtype":"F32","shape":[{huge},2],"data_offsets":[0,4]}}}}"#), "overflow"),
        (format!(r#"{{"a":{{"dtype":"F32","shape":[{huge}],"data_offsets":[0,{huge}]}}}}"#), "overflow"),
    ];
    for (header, why) in cases {
        let (_folder, path) = file_from(&header, 4);
        check_refused(&path, &["header", "damaged", why]);
    }
    let vast = format!(r#"{{"a":{{"dtype":"U8","shape":[{0}],"data_offsets":[0,{0}]}}}}"#, 1_u64 << 60);
    let (_folder, path) = file_from(&vast, 4);
    check_refused(&path, &["is truncated"]);
}

#[test]
fn metadata_must_parse() {
    for text in ["not json", r#"{\"kind\":\"detector\"}"#] {
        let (_folder, path) = file_from(&format!(r#"{{"__metadata__":{{"convnext":"{text}"}}}}"#), 0);
        check_refused(&path, &["`convnext` metadata", "cannot be understood", "newer"]);
    }
}

#[test]
fn types_that_are_not_read_are_refused_by_tensor() {
    let text = serde_json::to_string(&serde_json::to_string(&metadata()).unwrap()).unwrap();
    let header = format!(
        r#"{{"__metadata__":{{"convnext":{text}}},"step":{{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}}}"#
    );
    let (_folder, path) = file_from(&header, 8);
    let message = read_weights(&path).unwrap_err().to_string();
    assert!(message.contains("tensor step of") && message.contains("type I32"), "{message}");
}
