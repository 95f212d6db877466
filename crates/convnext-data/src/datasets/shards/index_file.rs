//! The list of a folder's shards and their images, kept beside the shards.
//!
//! A line of magic bytes, the length of a header in JSON, the header, 12 bytes an image and a CRC-32 of
//! all before; numbers are little-endian. It counts only as long as all shards have the sizes and times
//! of change that it names.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use super::{
    Place, Shard,
    index::{Index, IndexedImage, Label, LabelNames, Meaning},
};
use crate::datasets::partial_file::PartialFile;
use crate::datasets::tar_extent::BLOCK;

/// Name of the list of the members of shards, which the first command that opens them keeps beside them.
pub const INDEX_FILE: &str = "shards.index";

const MAGIC: &[u8; 16] = b"convnext shards\n";

/// Bytes of one image in the file.
const IMAGE: usize = 12;

#[derive(Serialize, Deserialize)]
struct Header {
    shards: Vec<HeaderShard>,
    names: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct HeaderShard {
    name: String,
    size: u64,
    modified: u64,
    images: u32,
    /// Lists of earlier versions have none.
    #[serde(default)]
    remarks: Vec<String>,
}

/// Name of a shard within its folder.
fn file_name(shard: &Shard) -> String {
    shard.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Writes the index of the shards in `folder`.
pub(crate) fn write(folder: &Path, index: &Index) -> io::Result<()> {
    let shards = index.shards.iter().zip(&index.counts).zip(&index.remarks);
    let shards = shards.map(|((shard, &images), remarks)| HeaderShard {
        name: file_name(shard),
        size: shard.stamp.size,
        modified: shard.stamp.modified,
        images,
        remarks: remarks.clone(),
    });
    let header = serde_json::to_vec(&Header { shards: shards.collect(), names: index.names.list.clone() })?;
    let mut bytes = Vec::with_capacity(MAGIC.len() + 8 + header.len() + index.images.len() * IMAGE);
    bytes.extend_from_slice(MAGIC);
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header);
    for IndexedImage { place, label } in &index.images {
        for number in [place.block, place.length, label.0] {
            bytes.extend(number.to_le_bytes());
        }
    }
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    let (partial, mut file) = PartialFile::create(&folder.join(INDEX_FILE))?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    partial.publish()
}

/// The index of these shards; `None` when there is none, or not of these shards as they are, or damaged.
pub(crate) fn read(folder: &Path, shards: &[Shard]) -> Option<Index> {
    let bytes = fs::read(folder.join(INDEX_FILE)).ok()?;
    let index = parse(&bytes, shards);
    if index.is_none() {
        log::info!("{}: {INDEX_FILE} does not fit the shards any more", folder.display());
    }
    index
}

fn parse(bytes: &[u8], shards: &[Shard]) -> Option<Index> {
    let (content, sum) = bytes.split_last_chunk::<4>()?;
    if crc32fast::hash(content) != u32::from_le_bytes(*sum) {
        return None;
    }
    let (length, rest) = content.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let (header, images) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let header: Header = serde_json::from_slice(header).ok()?;

    let same = |(known, shard): (&HeaderShard, &Shard)| {
        known.name == file_name(shard)
            && (known.size, known.modified) == (shard.stamp.size, shard.stamp.modified)
    };
    let fits = header.shards.len() == shards.len() && header.shards.iter().zip(shards).all(same);
    let total: u64 = header.shards.iter().map(|shard| u64::from(shard.images)).sum();
    if !fits || total.checked_mul(IMAGE as u64) != Some(images.len() as u64) {
        return None;
    }
    let mut names = LabelNames::default();
    for name in &header.names {
        names.label(name);
    }
    let counts: Vec<u32> = header.shards.iter().map(|shard| shard.images).collect();
    let images: Vec<IndexedImage> = images.as_chunks::<IMAGE>().0.iter().map(image).collect();
    let remarks = header.shards.into_iter().map(|shard| shard.remarks).collect();
    let index = Index { shards: shards.to_vec(), counts, remarks, images, names };
    is_sound(&index).then_some(index)
}

/// `true` if images lie in their shards and labels are names that there are: a checksum does not tell who wrote it, so
/// what is used as a position is checked.
fn is_sound(index: &Index) -> bool {
    let named = |image: &IndexedImage| match image.label.meaning() {
        Meaning::Name(name) => name < index.names.list.len(),
        _ => true,
    };
    let mut rest = &index.images[..];
    index.shards.iter().zip(&index.counts).all(|(shard, &count)| {
        let (own, others) = rest.split_at(count as usize);
        rest = others;
        let inside = |image: &IndexedImage| {
            let Place { block, length } = image.place;
            u64::from(block) * BLOCK + u64::from(length) <= shard.stamp.size
        };
        own.iter().all(|image| inside(image) && named(image))
    })
}

fn image(bytes: &[u8; IMAGE]) -> IndexedImage {
    let number = |place: usize| {
        let four = [bytes[place], bytes[place + 1], bytes[place + 2], bytes[place + 3]];
        u32::from_le_bytes(four)
    };
    IndexedImage { place: Place { block: number(0), length: number(4) }, label: Label(number(8)) }
}
