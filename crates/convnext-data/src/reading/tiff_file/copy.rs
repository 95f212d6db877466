//! The copy of a TIFF file that the decoder is shown.

use tiff::tags::{PhotometricInterpretation, Tag};

use super::{
    compression::{self, Places},
    directory::{Directory, Entry},
    shape::{Shape, bits},
};
use crate::error::DataError;
use crate::reading::sample_type::SampleType;

/// Tags that are copied from the directory of the file.
const KEPT: [Tag; 12] = [
    Tag::ImageWidth,
    Tag::ImageLength,
    Tag::RowsPerStrip,
    Tag::TileWidth,
    Tag::TileLength,
    Tag::PlanarConfiguration,
    Tag::Predictor,
    Tag::JPEGTables,
    Tag::StripOffsets,
    Tag::StripByteCounts,
    Tag::TileOffsets,
    Tag::TileByteCounts,
];

/// The file with a directory that calls everything levels of grey; with `plane` only those of one plane. Some numbers
/// of the directory may be replaced.
pub(super) fn file(
    directory: &Directory<'_>,
    shape: &Shape,
    plane: Option<usize>,
    replaced: &[(Tag, u64)],
    name: &str,
) -> Result<Vec<u8>, DataError> {
    let order = directory.order;
    compression::check(directory, name)?;
    let mut bytes = directory.bytes().to_vec();
    compression::straighten(&mut bytes, directory);
    let places = compression::places(directory).map(|places| match plane {
        Some(plane) => of_plane(places, plane, directory),
        None => places,
    });
    let places: Vec<Places> = places.collect();
    let (compression, changed) = match compression::unpack(&mut bytes, &places, directory, name)? {
        Some(unpacked) => (compression::NONE, unpacked),
        None if plane.is_some() => (compression::of(directory), places),
        None => (compression::of(directory), Vec::new()),
    };
    let moved = |tag: &Tag| changed.iter().flatten().any(|(moved, _)| moved == tag);
    let stays = |tag: &Tag| !moved(tag) && !replaced.iter().any(|(replaced, _)| replaced == tag);
    let kept = KEPT.into_iter().filter(stays).filter_map(|tag| directory.entry(tag));
    let mut entries: Vec<Vec<u8>> = kept.map(|entry| entry.raw.to_vec()).collect();
    for (tag, numbers) in changed.iter().flatten() {
        entries.push(Entry::of_places(*tag, numbers, order, &mut bytes));
    }
    let length = only_strip(directory, shape);
    entries.extend(length.map(|length| Entry::of_number(Tag::StripByteCounts, length, order)));
    for (tag, number) in
        as_grey(shape).into_iter().chain([(Tag::Compression, compression)]).chain(replaced.iter().copied())
    {
        entries.push(Entry::of_number(tag, number, order));
    }
    let start = order.bytes(bytes.len() as u64, order.offset());
    bytes.extend(order.bytes(entries.len() as u64, if order.big { 8 } else { 2 }));
    bytes.extend(entries.concat());
    bytes.extend(order.bytes(0, order.offset()));
    bytes[if order.big { 8..16 } else { 4..8 }].copy_from_slice(&start);
    Ok(bytes)
}

/// Directory entries of the values: levels of grey of as many bits.
fn as_grey(shape: &Shape) -> [(Tag, u64); 4] {
    let (bits, samples) = match bits(shape.kind) {
        // The decoder takes so many values of one bit for one value.
        bits if bits > 8 && !matches!(bits, 16 | 32 | 64) => (1, bits * shape.samples),
        bits => (bits, shape.samples),
    };
    let format = match shape.kind {
        SampleType::Unsigned(_) => 1,
        SampleType::Signed(_) => 2,
        SampleType::Float(_) => 3,
    };
    let grey = PhotometricInterpretation::BlackIsZero.to_u16();
    [
        (Tag::PhotometricInterpretation, u64::from(grey)),
        (Tag::BitsPerSample, bits as u64),
        (Tag::SamplesPerPixel, samples as u64),
        (Tag::SampleFormat, format),
    ]
}

/// The places of one plane, of which all have as many strips or tiles.
fn of_plane(places: Places, plane: usize, directory: &Directory<'_>) -> Places {
    let planes = directory.number(Tag::SamplesPerPixel).unwrap_or(1).max(1) as usize;
    places.map(|(tag, places)| {
        let each = places.len() / planes;
        let own = places.get(plane * each..(plane + 1) * each).unwrap_or_default().to_vec();
        (tag, own)
    })
}

/// The length of a single strip whose length the file does not tell, as old programs write it.
fn only_strip(directory: &Directory<'_>, shape: &Shape) -> Option<u64> {
    let told = directory.numbers(Tag::StripByteCounts).is_some_and(|lengths| lengths.iter().any(|&n| n > 0));
    let single = directory.entry(Tag::StripOffsets).is_some_and(|entry| entry.count() == 1);
    (!told && single && compression::of(directory) == compression::NONE)
        .then_some((shape.row() * shape.height) as u64)
}
