//! A file for each scan of a JPEG file that keeps some channels together and others apart, which the decoder does
//! not read; a file of one scan it does.

use super::complete::next_marker;

/// The channels that one scan holds, as a file of its own.
pub(super) struct Scan {
    /// Places of the channels in the frame header, in its order.
    pub(super) channels: Vec<usize>,
    /// A JPEG file of these channels alone.
    pub(super) file: Vec<u8>,
}

/// Takes the scans of a sequential JPEG file apart; `None` where its headers do not fit together, or a channel has
/// several scans.
pub(super) fn apart(bytes: &[u8]) -> Option<Vec<Scan>> {
    let mut tables = Vec::new();
    let mut frame: Option<Frame> = None;
    let mut scans = Vec::new();
    let mut position = 2; // after the start-of-image marker
    loop {
        let (marker, after) = next_marker(bytes, position)?;
        if matches!(marker, 0xD0..=0xD8 | 0x01) {
            position = after;
            continue;
        }
        if marker == 0xD9 {
            return Some(scans);
        }
        let length = usize::from(u16::from_be_bytes([*bytes.get(after)?, *bytes.get(after + 1)?])).max(2);
        let segment = bytes.get(after - 1..after + length)?;
        position = after + length;
        match marker {
            // Tables of Huffman codes, arithmetic coding, quantisation and restarts hold until they are replaced.
            0xC4 | 0xCC | 0xDB | 0xDD => tables.extend([&[0xFF][..], segment].concat()),
            0xC0..=0xCF => frame = Frame::read(segment),
            0xDA => {
                let frame = frame.as_ref()?;
                // Each scan becomes a file with a copy of all tables: one of thousands of scans would fill the memory.
                if scans.len() >= frame.channels.len() {
                    return None;
                }
                let end = end_of_scan(bytes, position)?;
                scans.push(frame.scan(segment, &tables, &bytes[position..end])?);
                position = end;
            }
            _ => {}
        }
    }
}

/// Offset of the marker that ends the coded data.
fn end_of_scan(bytes: &[u8], mut position: usize) -> Option<usize> {
    loop {
        let (marker, after) = next_marker(bytes, position)?;
        if !matches!(marker, 0xD0..=0xD7) {
            return Some(after - 2);
        }
        position = after;
    }
}

/// The most samples that one of these channels has in a block, across and down.
fn finest(channels: &mut dyn Iterator<Item = &[u8; 3]>) -> Option<[u32; 2]> {
    let factors = channels.map(|channel| [u32::from(channel[1] >> 4), u32::from(channel[1] & 15)]);
    factors.reduce(|[a, b], [c, d]| [a.max(c), b.max(d)]).filter(|most| !most.contains(&0))
}

/// A frame header.
struct Frame {
    marker: u8,
    bits: u8,
    height: u16,
    width: u16,
    /// Name, sampling factors and table of each channel.
    channels: Vec<[u8; 3]>,
}

impl Frame {
    /// From the marker on.
    fn read(segment: &[u8]) -> Option<Self> {
        let [marker, _, _, bits, height_high, height_low, width_high, width_low, _, channels @ ..] = segment
        else {
            return None;
        };
        Some(Self {
            marker: *marker,
            bits: *bits,
            height: u16::from_be_bytes([*height_high, *height_low]),
            width: u16::from_be_bytes([*width_high, *width_low]),
            channels: channels.as_chunks().0.to_vec(),
        })
    }

    fn scan(&self, header: &[u8], tables: &[u8], data: &[u8]) -> Option<Scan> {
        // After the marker and the length: the number of channels, and of each its name and its tables.
        let named: Vec<u8> =
            header.get(4..)?.chunks_exact(2).take(usize::from(*header.get(3)?)).map(|pair| pair[0]).collect();
        let place = |name: &u8| self.channels.iter().position(|channel| channel[0] == *name);
        let channels = named.iter().map(place).collect::<Option<Vec<usize>>>()?;
        let all = finest(&mut self.channels.iter())?;
        let own = finest(&mut channels.iter().map(|&channel| &self.channels[channel]))?;
        // The sides of an image at the finest grid of these channels, so that they have as many blocks as here.
        let side = |side: u16, axis: usize| (u32::from(side) * own[axis]).div_ceil(all[axis]) as u16;
        let length = (8 + 3 * channels.len()) as u8;
        let mut file = [&[0xFF, 0xD8][..], tables, &[0xFF, self.marker, 0, length, self.bits]].concat();
        file.extend(side(self.height, 1).to_be_bytes());
        file.extend(side(self.width, 0).to_be_bytes());
        file.push(channels.len() as u8);
        file.extend(channels.iter().flat_map(|&channel| self.channels[channel]));
        file.extend([&[0xFF][..], header, data, &[0xFF, 0xD9]].concat());
        Some(Scan { channels, file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_endless_scans_are_not_copied_for_each() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/jpegs/pairs-420.jpg");
        let whole = std::fs::read(path).unwrap();
        assert_eq!(apart(&whole).unwrap().len(), 2);
        let first = whole.windows(2).position(|two| two == [0xFF, 0xDA]).unwrap();
        let (before, scans) = whole[..whole.len() - 2].split_at(first);
        let many = [before, &scans.repeat(2), &[0xFF, 0xD9]].concat();
        assert!(apart(&many).is_none());
    }
}
