//! A bound on what `tar` reads before it shows a member: long names, links, attributes and the places of sparse files, all
//! of which it keeps. Without it one such header of a small compressed archive fills the memory.

use std::cell::Cell;
use std::io::{self, Read};

use tar::Entry;

use crate::datasets::tar_extent::stored_bytes;

/// The most bytes between the contents of two members. A path has up to 4 KiB on Linux and an attribute 64 KiB; libarchive
/// reads no attribute beyond this size either.
pub(crate) const MAX_HEADERS: u64 = 16 << 20;

/// How far an archive may be read before the next member is known.
pub(crate) struct HeaderLimit {
    /// The most bytes between the contents of two members.
    headers: u64,
    /// The place that is not to be passed now.
    end: Cell<u64>,
}

impl HeaderLimit {
    /// Before the first member, with so many bytes at most between the contents of two.
    pub(crate) fn new(headers: u64) -> Self {
        Self { headers, end: Cell::new(headers) }
    }

    /// The bytes of the archive, which are to be read through this.
    pub(crate) fn watch<R: Read>(&self, source: R) -> Metered<'_, R> {
        Metered { source, bytes: 0, limit: self }
    }

    /// Lets the content of a member be read, and the headers of the next.
    ///
    /// # Errors
    /// When the header of a sparse file has no length.
    pub(crate) fn pass(&self, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let content_end = entry.raw_file_position().saturating_add(stored_bytes(entry)?);
        self.end.set(content_end.saturating_add(self.headers));
        Ok(())
    }

    /// Lets everything be read: nobody keeps what lies behind the last member.
    pub(crate) fn lift(&self) {
        self.end.set(u64::MAX);
    }
}

/// A stream that counts the bytes that were read from it, up to the limit.
pub(crate) struct Metered<'a, R> {
    source: R,
    /// Bytes that were read.
    pub(crate) bytes: u64,
    limit: &'a HeaderLimit,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.bytes += count as u64;
        if self.bytes > self.limit.end.get() {
            let most = self.limit.headers >> 10;
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("the name and the attributes of a member take more than {most} KiB"),
            ));
        }
        Ok(count)
    }
}
