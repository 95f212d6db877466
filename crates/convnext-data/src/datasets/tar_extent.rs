//! How far the members of a `.tar` reach, by which a file that was cut is told.

use std::io::{self, Read};

use tar::Entry;

/// The unit of a `.tar`, in bytes: headers take one block, and every member begins with one.
pub(crate) const BLOCK: u64 = 512;

/// The bytes that the content of a member takes in its archive: fewer than it is long, if it is sparse.
///
/// # Errors
/// When the header of a sparse file has no length.
pub(crate) fn stored_bytes(entry: &Entry<'_, impl Read>) -> io::Result<u64> {
    match entry.header().entry_type().is_gnu_sparse() {
        true => entry.header().entry_size(),
        false => Ok(entry.size()),
    }
}

/// The end of a `.tar` file and of the members that were seen.
pub(crate) struct Extent {
    /// Bytes of the file.
    file: u64,
    /// Where the block of zeros begins that ends the archive, if no more members come.
    mark: u64,
}

impl Extent {
    /// Of so many bytes, before the first member; of a compressed archive nobody knows them yet.
    pub(crate) fn of(bytes: Option<u64>) -> Self {
        Self { file: bytes.unwrap_or(u64::MAX), mark: 0 }
    }

    /// The same for so many bytes.
    pub(crate) fn ends_at(self, bytes: u64) -> Self {
        Self { file: bytes, ..self }
    }

    /// Passes the next member.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the file ends before it.
    pub(crate) fn pass(&mut self, entry: &Entry<'_, impl Read>) -> io::Result<()> {
        let after =
            entry.raw_file_position().checked_add(stored_bytes(entry)?).filter(|&after| after <= self.file);
        let Some(after) = after else {
            let member = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{member} is truncated")));
        };
        self.mark = after.next_multiple_of(BLOCK);
        Ok(())
    }

    /// Checks that nothing is missing behind the last member: a file that was cut between two members looks whole but
    /// for the mark at the end.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the mark is missing.
    pub(crate) fn check_end(&self) -> io::Result<()> {
        if self.file < self.mark + BLOCK {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the end-of-archive marker is missing"));
        }
        Ok(())
    }
}
