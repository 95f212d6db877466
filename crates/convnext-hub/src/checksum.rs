//! Checksums by which the hub names the content of files.

use std::fmt::Write;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Checksum of a file, from the `ETag` of the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// SHA-256 of the content, for large files: 64 hexadecimal digits.
    Sha256(String),
    /// Git's name of the content, for small files: the SHA-1 of `blob SIZE\0` and the content, 40 digits.
    GitBlob(String),
}

impl Checksum {
    /// Reads a header `ETag`, weak or not; `None` if it is no checksum.
    pub(crate) fn parse(etag: &str) -> Option<Self> {
        let digits = etag.trim().trim_start_matches("W/").trim_matches('"');
        let is_hexadecimal = digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match digits.len() {
            64 if is_hexadecimal => Some(Self::Sha256(digits.into())),
            40 if is_hexadecimal => Some(Self::GitBlob(digits.into())),
            _ => None,
        }
    }

    /// Its digits, which are also the name of the file among the blobs of a cache.
    pub(crate) fn digits(&self) -> &str {
        match self {
            Self::Sha256(digits) | Self::GitBlob(digits) => digits,
        }
    }

    /// Checksum of the same kind over a file as it stands on the disk.
    pub(crate) fn of_file(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        match self {
            Self::Sha256(_) => sum(Sha256::new(), &mut file),
            Self::GitBlob(_) => {
                let start = format!("blob {}\0", file.metadata()?.len());
                sum(Sha1::new().chain_update(start), &mut file)
            }
        }
    }
}

fn sum(mut digest: impl Digest, file: &mut File) -> io::Result<String> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            length => digest.update(&buffer[..length]),
        }
    }
    let mut digits = String::new();
    for byte in digest.finalize() {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Ok(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From `printf hello | sha256sum` and `printf hello | git hash-object --stdin`.
    const HELLO: [&str; 2] = [
        "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0",
    ];

    #[test]
    fn sums_are_those_of_sha256sum_and_git() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hello");
        std::fs::write(&path, "hello").unwrap();
        for digits in HELLO {
            assert_eq!(Checksum::parse(digits).unwrap().of_file(&path).unwrap(), digits);
        }
    }

    #[test]
    fn etags_are_read_in_every_form_and_nothing_else() {
        let expected = Some(Checksum::GitBlob(HELLO[1].into()));
        assert_eq!(Checksum::parse(&format!("\"{}\"", HELLO[1])), expected);
        assert_eq!(Checksum::parse(&format!("W/\"{}\"", HELLO[1])), expected);
        for etag in ["", "\"abc\"", "../../../../../../../../../../etc/passwd", &HELLO[1].to_uppercase()] {
            assert_eq!(Checksum::parse(etag), None, "{etag}");
        }
    }
}
