//! Image file directory (IFD) of a TIFF file.
//!
//! The decoder reads directories too, but refuses those that it does not know to the end, and its errors do not name
//! the reason. It is given a directory of its own (`stored.rs`).

use tiff::tags::Tag;

/// The types of values, as the format numbers them.
const BYTE: u16 = 1;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const FRACTION: u16 = 5;
const LONG8: u16 = 16;

/// The most values of an entry: tiles of an image of as many pixels as are decoded.
const MAX_VALUES: usize = 1 << 24;

/// The first directory of a file.
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    pub(super) order: Order,
    entries: Vec<Entry<'a>>,
}

/// Byte order and width of the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) little: bool,
    /// BigTIFF, with offsets of 64 bit.
    pub(super) big: bool,
}

/// One entry.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) tag: u16,
    kind: u16,
    count: usize,
    /// The whole entry, as it stands in the file.
    pub(super) raw: &'a [u8],
    /// The values, if they lie within the file.
    values: Option<&'a [u8]>,
}

impl Order {
    /// A number of up to 8 bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, &byte: &u8| number << 8 | u64::from(byte);
        if self.little { bytes.iter().rev().fold(0, add) } else { bytes.iter().fold(0, add) }
    }

    /// A number in so many bytes.
    pub(super) fn bytes(self, number: u64, length: usize) -> Vec<u8> {
        let mut bytes = number.to_le_bytes()[..length].to_vec();
        if !self.little {
            bytes.reverse();
        }
        bytes
    }

    /// Bytes of an offset.
    pub(super) fn offset(self) -> usize {
        if self.big { 8 } else { 4 }
    }

    /// Bytes of an entry: tag, type, count, and the values or their offset.
    pub(super) fn entry(self) -> usize {
        4 + 2 * self.offset()
    }
}

impl<'a> Directory<'a> {
    /// The first directory; `None` where there is none within the file.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let little = bytes.starts_with(b"II");
        let big = Order { little, big: false }.number(bytes.get(2..4)?) == 43;
        let order = Order { little, big };
        let start = order.number(if big { bytes.get(8..16)? } else { bytes.get(4..8)? });
        let rest = bytes.get(usize::try_from(start).ok()?..)?;
        let (count, rest) = rest.split_at_checked(if big { 8 } else { 2 })?;
        let count = usize::try_from(order.number(count)).ok()?;
        // A directory that the end of the file cuts may lack anything.
        let entries = rest.get(..count.checked_mul(order.entry())?)?.chunks_exact(order.entry());
        let entries: Vec<_> = entries.filter_map(|raw| Entry::read(raw, bytes, order)).collect();
        (count > 0 && !entries.is_empty()).then_some(Self { bytes, order, entries })
    }

    /// The file.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn entry(&self, tag: Tag) -> Option<Entry<'a>> {
        let tag = tag.to_u16();
        self.entries.iter().find(|entry| entry.tag == tag).copied()
    }

    /// All values of an entry of whole numbers.
    pub(super) fn numbers(&self, tag: Tag) -> Option<Vec<u64>> {
        let entry = self.entry(tag)?;
        let size = size_of_type(entry.kind).filter(|_| entry.kind != ASCII)?;
        Some(entry.values?.chunks_exact(size).map(|value| self.order.number(value)).collect())
    }

    /// All values of an entry of fractions.
    pub(super) fn fractions(&self, tag: Tag) -> Option<Vec<f64>> {
        let entry = self.entry(tag).filter(|entry| entry.kind == FRACTION)?;
        let parts = entry.values?.chunks_exact(8).map(|value| value.split_at(4));
        let number = |bytes| self.order.number(bytes) as f64;
        Some(parts.map(|(upper, lower)| number(upper) / number(lower)).collect())
    }

    /// The first value of an entry of whole numbers.
    pub(super) fn number(&self, tag: Tag) -> Option<u64> {
        self.numbers(tag)?.first().copied()
    }

    /// An entry of text or of bytes.
    pub(super) fn text(&self, tag: Tag) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        entry.values.filter(|_| matches!(entry.kind, ASCII | BYTE | 7))
    }
}

impl<'a> Entry<'a> {
    fn read(raw: &'a [u8], bytes: &'a [u8], order: Order) -> Option<Self> {
        let offset = order.offset();
        let (head, value) = raw.split_at_checked(4 + offset)?;
        let tag = order.number(&head[..2]) as u16;
        let kind = order.number(&head[2..4]) as u16;
        let count = usize::try_from(order.number(&head[4..])).ok().filter(|&count| count <= MAX_VALUES)?;
        let length = size_of_type(kind).unwrap_or(1).checked_mul(count)?;
        let values = match length <= offset {
            true => value.get(..length),
            false => {
                let start = usize::try_from(order.number(value)).ok()?;
                bytes.get(start..).and_then(|rest| rest.get(..length))
            }
        };
        Some(Self { tag, kind, count, raw, values })
    }

    /// Number of values.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// An entry of places or lengths in a file, written anew at the end of its bytes.
    pub(super) fn of_places(tag: Tag, numbers: &[u64], order: Order, bytes: &mut Vec<u8>) -> Vec<u8> {
        let kind = if order.big { LONG8 } else { LONG };
        let values: Vec<u8> =
            numbers.iter().flat_map(|&number| order.bytes(number, order.offset())).collect();
        let mut raw = order.bytes(tag.to_u16().into(), 2);
        raw.extend(order.bytes(kind.into(), 2));
        raw.extend(order.bytes(numbers.len() as u64, order.offset()));
        if numbers.len() == 1 {
            raw.extend(values);
        } else {
            raw.extend(order.bytes(bytes.len() as u64, order.offset()));
            bytes.extend(values);
        }
        raw
    }

    /// An entry of one number of 16 or 32 bit, written anew.
    pub(super) fn of_number(tag: Tag, number: u64, order: Order) -> Vec<u8> {
        let short = u16::try_from(number).is_ok();
        let (kind, size) = if short { (SHORT, 2) } else { (LONG, 4) };
        let mut raw = order.bytes(tag.to_u16().into(), 2);
        raw.extend(order.bytes(kind.into(), 2));
        raw.extend(order.bytes(1, order.offset()));
        raw.extend(order.bytes(number, size));
        raw.resize(order.entry(), 0);
        raw
    }
}

/// Bytes of a value.
fn size_of_type(kind: u16) -> Option<usize> {
    match kind {
        BYTE | ASCII | 6 | 7 => Some(1),
        SHORT | 8 => Some(2),
        LONG | 9 | 11 | 13 => Some(4),
        FRACTION | 10 | 12 | LONG8 | 17 | 18 => Some(8),
        _ => None,
    }
}
