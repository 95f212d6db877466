//! Curves for TensorBoard: records of protocol buffers, each with its checksums.

use std::fs::File;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

/// Name of the events in a run folder. TensorBoard looks for the middle part.
pub(crate) const EVENTS_FILE: &str = "events.out.tfevents.convnext";

/// One entry of the file (TensorFlow's `event.proto`, the fields that are used).
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    /// In the first entry only.
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// Writes the entry that begins a file.
pub(crate) fn begin(file: &mut File) -> io::Result<()> {
    let file_version = Some("brain.Event:2".to_owned());
    write(file, &Event { wall_time: now(), file_version, ..Event::default() })
}

/// Writes values that belong to a step.
pub(crate) fn record<'a>(
    file: &mut File,
    step: usize,
    values: impl Iterator<Item = (&'a str, f64)>,
) -> io::Result<()> {
    let values = values.map(|(tag, value)| Value { tag: tag.to_owned(), simple_value: value as f32 });
    let summary = Some(Summary { values: values.collect() });
    write(file, &Event { wall_time: now(), step: step as i64, summary, ..Event::default() })
}

/// A record is its length, the checksum of the length, the bytes and their checksum.
fn write(file: &mut File, event: &Event) -> io::Result<()> {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(bytes.len() + 16);
    record.extend(length);
    record.extend(masked_checksum(&length).to_le_bytes());
    record.extend(&bytes);
    record.extend(masked_checksum(&bytes).to_le_bytes());
    file.write_all(&record)
}

/// CRC-32C, turned and shifted as the format wants it.
fn masked_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_the_one_of_tensorboard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(EVENTS_FILE);
        let event = Event { file_version: Some("brain.Event:2".to_owned()), ..Event::default() };
        write(&mut File::create(&path).unwrap(), &event).unwrap();
        // Field 3, a text of 13 bytes; the checksum of 32 zeros is the one of RFC 3720.
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes[..8], 15_u64.to_le_bytes());
        assert_eq!(bytes[12..14], [0x1a, 13]);
        assert_eq!(&bytes[14..27], b"brain.Event:2");
        assert_eq!(masked_checksum(&[0; 32]), 0x8a91_36aa_u32.rotate_right(15).wrapping_add(0xa282_ead8));
    }
}
