//! A file on its way into the cache.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::client::{Backoff, Client, Remote, Transfer};
use crate::error::HubError;
use crate::model::HubModel;

/// Bytes that are read at a time.
const CHUNK: usize = 256 << 10;

/// A file of a model that is to be downloaded.
pub(crate) struct Download<'a> {
    pub(crate) client: &'a Client<'a>,
    pub(crate) model: &'a HubModel,
    pub(crate) file: &'a str,
    pub(crate) remote: &'a Remote,
    /// Path of the unfinished file; what lies there is the beginning of the file and is not asked for again.
    pub(crate) place: &'a Path,
}

impl Download<'_> {
    /// Fetches the rest of the file and checks all of it. `progress` gets the bytes that are there and those of
    /// the whole file, 0 if the server does not tell.
    ///
    /// # Errors
    /// [`HubError::Truncated`] and [`HubError::DiskFull`], after which the place holds what arrived;
    /// [`HubError::WrongHash`], after which it is empty; and what the client reports.
    pub(crate) fn run(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), HubError> {
        let resumed = self.length()? > 0;
        self.receive(progress)?;
        match self.check() {
            // Somebody else began this file; perhaps only the beginning was wrong.
            Err(HubError::WrongHash { .. }) if resumed => {
                self.receive(progress)?;
                self.check()
            }
            result => result,
        }
    }

    /// Asks again after each interruption, for what is missing.
    fn receive(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), HubError> {
        let mut backoff = Backoff::new(self.client.retry());
        let before = self.length()?;
        let mut furthest = before;
        loop {
            let error = match self.transfer(progress) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let reached = self.length()?;
            if reached > furthest {
                furthest = reached;
                backoff.reset();
            }
            // A server that has already sent something is worth waiting for.
            let vanished = matches!(error, HubError::Unreachable { .. }) && furthest > before;
            if !error.may_pass() && !vanished {
                return Err(error);
            }
            backoff.wait(error)?;
        }
    }

    /// The unfinished file, and the bytes in it that may be the beginning of the whole one.
    fn beginning(&self) -> Result<(File, u64), HubError> {
        let options = File::options().create(true).write(true).truncate(false).open(self.place);
        let file = options.map_err(HubError::cache(self.place))?;
        let have = self.length()?;
        if self.remote.size.is_none_or(|size| have <= size) {
            return Ok((file, have));
        }
        file.set_len(0).map_err(HubError::cache(self.place))?;
        Ok((file, 0))
    }

    fn transfer(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<(), HubError> {
        let (mut file, have) = self.beginning()?;
        let size = self.remote.size;
        progress(have, size.unwrap_or(0));
        if size == Some(have) {
            return Ok(());
        }
        let Transfer { start, length, mut reader } =
            self.client.open(self.model, &self.remote.commit, self.file, have)?;
        if start < have {
            file.set_len(start).map_err(HubError::cache(self.place))?;
        }
        file.seek(SeekFrom::Start(start)).map_err(HubError::cache(self.place))?;
        let size = size.or_else(|| Some(start + length?));
        let mut done = start;
        let mut buffer = vec![0; CHUNK];
        let end = loop {
            match reader.read(&mut buffer) {
                Ok(0) => break "the connection was closed".to_owned(),
                Ok(length) => {
                    let whole = size.unwrap_or(u64::MAX);
                    if length as u64 > whole - done {
                        return Err(self.too_long(whole));
                    }
                    file.write_all(&buffer[..length]).map_err(|error| self.unwritable(error, size, done))?;
                    done += length as u64;
                    progress(done, size.unwrap_or(0));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break error.to_string(),
            }
        };
        match size {
            Some(expected) if done != expected => {
                Err(HubError::Truncated { file: self.file.into(), expected, found: done, why: end })
            }
            _ => file.sync_all().map_err(HubError::cache(self.place)),
        }
    }

    /// Holds what lies at the place against the checksum, as it was read back.
    fn check(&self) -> Result<(), HubError> {
        let expected = self.remote.checksum.digits();
        let found = self.remote.checksum.of_file(self.place).map_err(HubError::cache(self.place))?;
        if found == expected {
            return Ok(());
        }
        fs::remove_file(self.place).map_err(HubError::cache(self.place))?;
        Err(HubError::WrongHash { file: self.file.into(), expected: expected.into(), found })
    }

    /// Bytes that are there already.
    fn length(&self) -> Result<u64, HubError> {
        match fs::metadata(self.place) {
            Ok(metadata) => Ok(metadata.len()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(HubError::cache(self.place)(error)),
        }
    }

    fn too_long(&self, size: u64) -> HubError {
        let why = format!("it sends more of {} than the {size} bytes that it announced", self.file);
        self.client.bad_answer(&why)
    }

    fn unwritable(&self, error: io::Error, size: Option<u64>, done: u64) -> HubError {
        match HubError::cache(self.place)(error) {
            HubError::DiskFull { path, .. } => {
                HubError::DiskFull { path, missing: size.map(|size| size - done) }
            }
            error => error,
        }
    }
}
