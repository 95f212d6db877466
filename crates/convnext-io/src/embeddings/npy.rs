//! NumPy's format, version 1.0: a header of fixed length, then the values
//! ([definition](https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html)).

use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::lines::{Lines, write_values};
use crate::replace_file::{UnfinishedFile, replace_file};

/// Bytes before the values, a multiple of 64: room for any count.
const HEADER: usize = 128;

#[derive(Debug)]
pub(super) struct Writer {
    unfinished: UnfinishedFile,
    values: BufWriter<File>,
    names_path: PathBuf,
    names: Lines,
    width: usize,
    count: usize,
}

impl Writer {
    pub(super) fn create(path: &Path, width: usize) -> io::Result<Self> {
        let unfinished = UnfinishedFile::beside(path)?;
        let mut values = BufWriter::new(unfinished.file().try_clone()?);
        values.write_all(&header(0, width))?;
        let mut names_path = path.as_os_str().to_owned();
        names_path.push(".names.txt");
        Ok(Self {
            unfinished,
            values,
            names_path: names_path.into(),
            names: Lines::default(),
            width,
            count: 0,
        })
    }

    pub(super) fn push(&mut self, name: &str, vector: &[f32]) -> io::Result<()> {
        self.names.push(name);
        self.count += 1;
        write_values(&mut self.values, vector)
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.values.seek(SeekFrom::Start(0))?;
        self.values.write_all(&header(self.count, self.width))?;
        self.values.flush()?;
        replace_file(&self.names_path, |mut file| file.write_all(self.names.0.as_bytes()))?;
        self.unfinished.finish()
    }
}

fn header(count: usize, width: usize) -> Vec<u8> {
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(((HEADER - 10) as u16).to_le_bytes());
    header
        .extend(format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {width}), }}").bytes());
    header.resize(HEADER - 1, b' ');
    header.push(b'\n');
    header
}
