//! Label maps as PNG files: indices with a palette, as data sets for segmentation have them.

use convnext_data::LabelMap;
use png::{BitDepth, ColorType, Encoder};

/// Classes that a palette has room for.
const MAX_COLOURS: usize = 256;

/// The bytes of a PNG file with a label map: of at most 256 classes indices into a palette of these colours, of more
/// 16-bit numbers. Pixels without a class have the number of the last index.
pub fn label_png(labels: &LabelMap, colours: &[[u8; 3]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, labels.width as u32, labels.height as u32);
    let pixels: Vec<u8> = if colours.len() <= MAX_COLOURS {
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_palette(colours.as_flattened().to_vec());
        labels.labels.iter().map(|&label| label.min(u16::from(u8::MAX)) as u8).collect()
    } else {
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::Sixteen);
        labels.labels.iter().flat_map(|label| label.to_be_bytes()).collect()
    };
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(&pixels));
    // Memory takes every byte, and there is a number for each pixel.
    if let Err(error) = written {
        unreachable!("{}x{}: {error}", labels.height, labels.width);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> (ColorType, Option<Vec<u8>>, Vec<u8>) {
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        reader.next_frame(&mut pixels).unwrap();
        let info = reader.info();
        (info.color_type, info.palette.as_ref().map(|palette| palette.to_vec()), pixels)
    }

    #[test]
    fn a_label_map_is_indices_with_a_palette() {
        let labels = LabelMap { width: 3, height: 2, labels: vec![0, 1, 2, 2, 1, 0] };
        let bytes = label_png(&labels, &[[1, 2, 3], [4, 5, 6], [7, 8, 9]]);
        let (colour, palette, pixels) = read(&bytes);
        assert_eq!((colour, palette), (ColorType::Indexed, Some((1..10).collect())));
        assert_eq!(pixels, [0, 1, 2, 2, 1, 0]);
    }

    #[test]
    fn many_classes_are_numbers_of_16_bit() {
        let labels = LabelMap { width: 2, height: 1, labels: vec![258, 3] };
        let (colour, _, pixels) = read(&label_png(&labels, &[[0; 3]; 300]));
        assert_eq!((colour, pixels), (ColorType::Grayscale, vec![1, 2, 0, 3]));
    }
}
