//! Data sets in shards, by the convention of WebDataset: a folder of `.tar` files whose members `KEY.jpg`
//! (or another image) and `KEY.cls` or `KEY.json` lie beside each other.
//!
//! Every shard is scanned once, header by header; what was found stays beside the shards in a file of
//! its own ([`index_file`]), and 8 bytes an image are kept in memory.

pub(crate) mod classes;
mod index;
pub(crate) mod index_file;
pub(crate) mod open;
mod open_index;
pub(crate) mod parts;
mod scan;

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::datasets::extensions::extension_of;
use crate::datasets::relative::last;
use crate::datasets::storage::{ArchiveFile, Range, Section, Stamp};
use crate::datasets::tar_extent::BLOCK;
use crate::error::DataError;

/// Images in shards, one shard after the other.
#[derive(Debug, Default)]
pub(crate) struct Shards {
    shards: Vec<Shard>,
    /// For each shard, where its images end in `images`.
    ends: Vec<u32>,
    images: Vec<Place>,
    open: OpenShards,
}

/// One `.tar` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shard {
    pub(crate) path: PathBuf,
    pub(crate) stamp: Stamp,
}

/// Location of an image in its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Its first byte, in blocks of 512.
    pub(crate) block: u32,
    /// Number of bytes.
    pub(crate) length: u32,
}

impl Shards {
    /// Makes room for more images, and no more than that.
    pub(crate) fn reserve(&mut self, images: usize) {
        self.images.reserve_exact(images);
    }

    /// Adds a shard and its images.
    pub(crate) fn push(&mut self, shard: Shard, images: impl Iterator<Item = Place>) {
        self.images.extend(images);
        self.shards.push(shard);
        self.ends.push(self.images.len() as u32);
    }

    /// Number of images.
    pub(crate) fn len(&self) -> usize {
        self.images.len()
    }

    /// The images of the shard that an image is in.
    pub(crate) fn neighbours(&self, index: usize) -> std::ops::Range<usize> {
        let shard = self.shard_of(index);
        let start = shard.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        start..self.ends[shard] as usize
    }

    /// The stamp of the shard that an image is in.
    pub(crate) fn stamp(&self, index: usize) -> Stamp {
        self.shards[self.shard_of(index)].stamp
    }

    /// `shard.tar: member`. The member's name is read from the shard, where it ends after 100 bytes.
    pub(crate) fn name(&self, index: usize) -> String {
        let shard = self.shards[self.shard_of(index)].path.display();
        let member = self.member(index).unwrap_or_default();
        match is_whole(&member) {
            true => format!("{shard}: {member}"),
            // The name alone would not tell which member it is.
            false => format!("{shard}: {member} at byte {}", u64::from(self.images[index].block) * BLOCK),
        }
    }

    /// The name of the file that an image was packed from, without its folders. Where the shard does not tell the whole
    /// of it, it is the number of the image with the extension of its content.
    pub(crate) fn file_name(&self, index: usize) -> String {
        match self.member(index).filter(|member| is_whole(member)) {
            Some(member) => last(&member).to_owned(),
            None => {
                let mut start = Vec::new();
                let read = self.open(index).and_then(|file| file.take(BLOCK).read_to_end(&mut start));
                if read.is_err() {
                    start.clear();
                }
                format!("{index:09}.{}", extension_of(&start))
            }
        }
    }

    /// The name in the header of an image.
    fn member(&self, index: usize) -> Option<String> {
        let start = (u64::from(self.images[index].block) * BLOCK).saturating_sub(BLOCK);
        let header = self.read_range(index, Range { start, length: BLOCK }).ok()?;
        let header = <[u8; BLOCK as usize]>::try_from(header).ok()?;
        let header = tar::Header::from_byte_slice(&header);
        Some(String::from_utf8_lossy(&header.path_bytes()).into_owned())
    }

    /// The bytes of an image.
    ///
    /// # Errors
    /// [`DataError::Archive`] with the shard: what cannot be read was there when the shard was scanned.
    pub(crate) fn read(&self, index: usize) -> Result<Vec<u8>, DataError> {
        let Place { block, length } = self.images[index];
        let range = Range { start: u64::from(block) * BLOCK, length: length.into() };
        self.read_range(index, range).map_err(|error| {
            let path = self.shards[self.shard_of(index)].path.display().to_string();
            DataError::Archive { path, why: error.to_string() }
        })
    }

    /// An image from its first byte on.
    pub(crate) fn open(&self, index: usize) -> io::Result<Section<Arc<ArchiveFile>>> {
        let Place { block, length } = self.images[index];
        let shard = self.shard_of(index);
        let range = Range { start: u64::from(block) * BLOCK, length: length.into() };
        Ok(Section::new(self.open.get(shard, &self.shards[shard])?, range))
    }

    fn read_range(&self, index: usize, range: Range) -> io::Result<Vec<u8>> {
        let shard = self.shard_of(index);
        self.open.get(shard, &self.shards[shard])?.read(range)
    }

    fn shard_of(&self, index: usize) -> usize {
        self.ends.partition_point(|&end| end as usize <= index)
    }

    /// All that tells these images from others, but for what is in the files: for a checksum.
    pub(crate) fn describe(&self, mut add: impl FnMut(&[u8])) {
        for (shard, end) in self.shards.iter().zip(&self.ends) {
            add(shard.path.as_os_str().as_encoded_bytes());
            add(&shard.stamp.size.to_le_bytes());
            add(&end.to_le_bytes());
        }
        for Place { block, length } in &self.images {
            add(&block.to_le_bytes());
            add(&length.to_le_bytes());
        }
    }
}

/// `true` if the name in the header of a member is all of it.
fn is_whole(member: &str) -> bool {
    /// Maximum length of the name in the header.
    const CUT: usize = 100;
    // Python puts a question mark for each letter that it writes down elsewhere.
    !member.is_empty() && member.len() < CUT && !member.contains('?')
}

/// The shards that were used last, open.
#[derive(Debug, Default)]
struct OpenShards {
    /// The one used last stands last.
    recent: Mutex<Vec<(usize, Arc<ArchiveFile>)>>,
}

impl OpenShards {
    /// The most shards that are open at a time: more than a window of an epoch touches, as a rule.
    const MOST: usize = 64;

    /// The file of a shard, opened unless it is.
    fn get(&self, number: usize, shard: &Shard) -> io::Result<Arc<ArchiveFile>> {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = recent.iter().position(|(known, _)| *known == number) {
            let found = recent.remove(place);
            let file = Arc::clone(&found.1);
            recent.push(found);
            return Ok(file);
        }
        let file = File::open(&shard.path)?;
        if Stamp::of(&file.metadata()?) != shard.stamp {
            return Err(io::Error::other("it has changed since its members were listed"));
        }
        let file = Arc::new(ArchiveFile::new(file, &shard.path));
        if recent.len() == Self::MOST {
            recent.remove(0);
        }
        recent.push((number, Arc::clone(&file)));
        Ok(file)
    }
}
