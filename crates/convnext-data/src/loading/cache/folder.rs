//! Decoded images in a folder.
//!
//! Two files for each data set, number of channels and value range: `.pixels` has the pixels of all images, one
//! after the other as they were decoded, and `.slots` has 40 bytes a sample that say where its pixels are. Pixels are only added, and
//! both slots and pixels carry a CRC-32. What was half written by an interrupted run, or reached the disk in another
//! order, fits no checksum and is decoded again.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use convnext_core::ValueRange;

use crate::datasets::dataset::Dataset;
use crate::datasets::storage::Stamp;
use crate::error::DataError;
use crate::pixels::image::Image;
use crate::pixels::orientation::Orientation;
use crate::reading::decoding::Decoding;

/// Raised when files are decoded to other pixels than before, within one version of the package.
const DECODING: u32 = 3;

/// The images of one data set.
#[derive(Debug)]
pub(crate) struct FolderCache {
    /// Channels of every image.
    channels: usize,
    /// The path of both files, without their extensions.
    name: PathBuf,
    slots: SharedFile,
    pixels: SharedFile,
    /// Offset of the next pixels.
    end: Mutex<u64>,
    /// Images are added: not after an error, and not while another process does.
    grows: AtomicBool,
}

/// The bit of a width that says that there are two bytes a level. No image that can be decoded is as wide.
const DEEP: u32 = 1 << 31;

/// Suffix that tells the images of one range from those of another; nothing for those of 8 bit.
fn range_in_name(range: &ValueRange) -> String {
    match range {
        ValueRange::Unstated => String::new(),
        range => format!("-{:08x}", crc32fast::hash(format!("{range:?}").as_bytes())),
    }
}

/// Location of the pixels of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Slot {
    offset: u64,
    stamp: Stamp,
    width: u32,
    height: u32,
    pixel_sum: u32,
}

impl Slot {
    const BYTES: usize = 40;

    /// The bytes of the file, the checksum last. It includes the sample, for a slot in the wrong place.
    fn to_bytes(self, sample: usize) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.offset.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.stamp.size.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stamp.modified.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.width.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.height.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.pixel_sum.to_le_bytes());
        let sum = Self::sum(&bytes[..36], sample);
        bytes[36..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// `None` when the checksum does not fit.
    fn from_bytes(bytes: &[u8; Self::BYTES], sample: usize) -> Option<Self> {
        let (fields, sum) = bytes.split_last_chunk::<4>()?;
        if Self::sum(fields, sample) != u32::from_le_bytes(*sum) {
            return None;
        }
        let (offset, rest) = fields.split_first_chunk()?;
        let (size, rest) = rest.split_first_chunk()?;
        let (modified, rest) = rest.split_first_chunk()?;
        let (width, rest) = rest.split_first_chunk()?;
        let (height, rest) = rest.split_first_chunk()?;
        Some(Self {
            offset: u64::from_le_bytes(*offset),
            stamp: Stamp { size: u64::from_le_bytes(*size), modified: u64::from_le_bytes(*modified) },
            width: u32::from_le_bytes(*width),
            height: u32::from_le_bytes(*height),
            pixel_sum: u32::from_le_bytes(*rest.first_chunk()?),
        })
    }

    fn sum(fields: &[u8], sample: usize) -> u32 {
        let mut hash = crc32fast::Hasher::new();
        hash.update(&(sample as u64).to_le_bytes());
        hash.update(fields);
        hash.finalize()
    }
}

impl FolderCache {
    /// Opens or begins the cache of a data set.
    pub(crate) fn open(folder: &Path, dataset: &Dataset, decoding: &Decoding) -> Result<Self, DataError> {
        let failed = |path: &Path, source| DataError::io("open", path.display().to_string(), source);
        fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
        // Another version may decode another way.
        let version = format!("{}.{DECODING}", env!("CARGO_PKG_VERSION"));
        let turned = match decoding.orientation {
            Orientation::Honour => "upright",
            Orientation::Ignore => "stored",
        };
        let (data, channels, range) =
            (dataset.fingerprint(), decoding.channels, range_in_name(&decoding.range));
        let name = folder.join(format!("pictures-{data:08x}-{channels}-{turned}{range}-v{version}"));
        let open = |extension: &str| {
            let path = PathBuf::from(format!("{}.{extension}", name.display()));
            let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
            options.map_err(|source| failed(&path, source))
        };
        let (slots, pixels) = (open("slots")?, open("pixels")?);
        // Two that add would write over each other: no wrong image would come of it, but lost ones.
        let grows = match pixels.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                log::info!("{}: another loader adds to this cache; this one only reads it", name.display());
                false
            }
            Err(TryLockError::Error(error)) => {
                log::warn!(
                    "{}: the cache cannot be locked ({error}) and is read only; use a local disk",
                    name.display()
                );
                false
            }
        };
        // Only now, when no other loader adds any more, is the end where it stays.
        let end = pixels.metadata().map_err(|source| failed(&name, source))?.len();
        let (slots, pixels) = (SharedFile::new(slots), SharedFile::new(pixels));
        Ok(Self { channels, name, slots, pixels, end: Mutex::new(end), grows: AtomicBool::new(grows) })
    }

    /// The image of a sample, if it is there, whole, and of a file with this stamp.
    pub(crate) fn load(&self, sample: usize, stamp: Stamp) -> Option<Image> {
        let mut bytes = [0; Slot::BYTES];
        self.slots.read_at(&mut bytes, (sample * Slot::BYTES) as u64).ok()?;
        let slot = Slot::from_bytes(&bytes, sample).filter(|slot| slot.stamp == stamp)?;
        let deep = slot.width & DEEP > 0;
        let (width, height) = ((slot.width & !DEEP) as usize, slot.height as usize);
        let levels = width.checked_mul(height)?.checked_mul(self.channels)?;
        let mut bytes = vec![0; levels.checked_mul(if deep { 2 } else { 1 })?];
        self.pixels.read_at(&mut bytes, slot.offset).ok()?;
        if crc32fast::hash(&bytes) != slot.pixel_sum {
            return None;
        }
        match deep {
            false => Image::new(width, height, self.channels, bytes).ok(),
            true => Image::deep(width, height, self.channels, bytemuck::pod_collect_to_vec(&bytes)).ok(),
        }
    }

    /// Keeps an image. Where that fails, such as on a full disk, no more are kept.
    pub(crate) fn store(&self, sample: usize, stamp: Stamp, image: &Image) {
        if !self.grows.load(Ordering::Relaxed) {
            return;
        }
        let bytes = image.levels().as_bytes();
        let offset = {
            let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
            let offset = *end;
            *end += bytes.len() as u64;
            offset
        };
        let depth = if image.is_deep() { DEEP } else { 0 };
        let (width, height) = (image.width() as u32 | depth, image.height() as u32);
        let slot = Slot { offset, stamp, width, height, pixel_sum: crc32fast::hash(bytes) };
        let written = self
            .pixels
            .write_at(bytes, offset)
            .and_then(|()| self.slots.write_at(&slot.to_bytes(sample), (sample * Slot::BYTES) as u64));
        if let Err(error) = written
            && self.grows.swap(false, Ordering::Relaxed)
        {
            log::warn!("{}: {error}; no more images are kept", self.name.display());
        }
    }
}

/// A file that many threads read and write at given places.
#[derive(Debug)]
struct SharedFile {
    #[cfg(unix)]
    file: File,
    #[cfg(not(unix))]
    file: Mutex<File>,
}

#[cfg(unix)]
impl SharedFile {
    fn new(file: File) -> Self {
        Self { file }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(&self.file, bytes, offset)
    }
}

// Without positioned access, one thread at a time.
#[cfg(not(unix))]
impl SharedFile {
    fn new(file: File) -> Self {
        Self { file: Mutex::new(file) }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        use std::io::{Read, Seek, SeekFrom};

        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        use std::io::{Seek, SeekFrom, Write};

        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        file.write_all(bytes)
    }
}
