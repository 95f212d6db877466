//! The files of COCO's annotations of a data set.

use std::io::{self, BufReader, Read};
use std::path::Path;

use crate::datasets::listing::Listing;
use crate::datasets::relative::last;
use crate::datasets::side_files::{side_names, visit_side_files};
use crate::error::DataError;
use crate::instances::coco_json::CocoJson;

/// A file of annotations with its relative path, or the reason in words why it is none.
pub(crate) type CocoFile = (String, Result<CocoJson, String>);

/// What lies beside COCO's `instances_*.json` and is of other tasks.
const OTHER_TASKS: [&str; 5] = ["captions_", "person_keypoints_", "panoptic_", "stuff_", "image_info_"];

/// Reads the JSON files of a folder or an archive that are COCO's, sorted by their paths. Where some are called
/// `instances_*`, those of COCO's other tasks are left alone.
///
/// # Errors
/// [`DataError::Io`] or [`DataError::Archive`] when the data cannot be read.
pub(crate) fn coco_files(path: &Path, listing: &Listing) -> Result<Vec<CocoFile>, DataError> {
    let mut names = side_names(path, listing, |file| file.to_lowercase().ends_with(".json"))?;
    if names.iter().any(|name| last(name).starts_with("instances_")) {
        names.retain(|name| !OTHER_TASKS.iter().any(|task| last(name).starts_with(task)));
    }
    let mut files = Vec::new();
    let wanted = |file: &str| names.binary_search_by(|name| name.as_str().cmp(file)).is_ok();
    visit_side_files(path, listing, wanted, &mut |file, content| {
        if let Some(read) = read_coco(content) {
            files.push((file.to_owned(), read));
        }
        Ok(())
    })?;
    files.sort_by(|(path, _), (other, _)| path.cmp(other));
    Ok(files)
}

/// Reads one file; `None` for JSON of another kind. Damaged files are COCO's when they speak of images and annotations.
pub(crate) fn read_coco(content: impl Read) -> Option<Result<CocoJson, String>> {
    let mut watched = Watched { content, tail: Vec::new(), seen: [false; 2] };
    let read = CocoJson::read(BufReader::with_capacity(BUFFER, &mut watched));
    if read.is_err() {
        // What cannot be read has not shown its words.
        let _ = io::copy(&mut watched, &mut io::sink());
    }
    match read {
        Ok(read) => read.map(Ok),
        Err(why) => (watched.seen == [true; 2]).then_some(Err(why)),
    }
}

const BUFFER: usize = 1 << 16;

/// Words of every file of annotations.
const WORDS: [&[u8]; 2] = [b"\"images\"", b"\"annotations\""];

/// A stream that remembers which words went by.
struct Watched<R> {
    content: R,
    /// The last bytes, which may begin a word.
    tail: Vec<u8>,
    seen: [bool; 2],
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        const LONGEST: usize = WORDS[1].len();
        let count = self.content.read(buffer)?;
        if self.seen != [true; 2] {
            self.tail.extend(&buffer[..count]);
            for (seen, word) in self.seen.iter_mut().zip(WORDS) {
                *seen |= memchr::memmem::find(&self.tail, word).is_some();
            }
            self.tail.drain(..self.tail.len().saturating_sub(LONGEST));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two bytes at a time.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let (now, later) = self.0.split_at(self.0.len().min(2));
            buffer[..now.len()].copy_from_slice(now);
            self.0 = later;
            Ok(now.len())
        }
    }

    #[test]
    fn damaged_files_are_refused_and_other_json_is_left_alone() {
        let read = |text: &str| read_coco(Slow(text.as_bytes()));
        let whole = r#"{"images":[],"annotations":[],"categories":[]}"#;
        assert!(read(whole).unwrap().is_ok());
        let why = read(&whole.replace("[]}", "[}")).unwrap().unwrap_err();
        assert!(why.contains("no JSON with COCO's images"), "{why}");
        let early = r#"{"version":,"images":[],"annotations":[]}"#;
        assert!(read(early).unwrap().is_err());
        for other in [r#"{"shapes":[]}"#, r#"{"images":"folder"}"#, "{", "[]"] {
            assert!(read(other).is_none(), "{other}");
        }
    }
}
