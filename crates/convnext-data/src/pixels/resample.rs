//! Resizing with Pillow's antialiased filters, above all the bicubic one that the official models were trained with.

use std::error::Error;

use convnext_core::{COLOURS, ImageSize, Interpolation};
use fast_image_resize::{
    FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer,
    images::{TypedImage, TypedImageRef},
    pixels::{InnerPixel, U8, U8x3, U16},
};

use crate::pixels::image::Image;
use crate::pixels::levels::Levels;

/// Pixels of the target that a filter reaches to each side.
fn radius(interpolation: Interpolation) -> f64 {
    match interpolation {
        Interpolation::Nearest | Interpolation::Box => 0.5,
        Interpolation::Bilinear | Interpolation::Hamming => 1.0,
        Interpolation::Bicubic => 2.0,
        Interpolation::Lanczos => 3.0,
    }
}

fn algorithm(interpolation: Interpolation) -> ResizeAlg {
    ResizeAlg::Convolution(match interpolation {
        Interpolation::Nearest => return ResizeAlg::Nearest,
        Interpolation::Box => FilterType::Box,
        Interpolation::Bilinear => FilterType::Bilinear,
        Interpolation::Hamming => FilterType::Hamming,
        Interpolation::Bicubic => FilterType::CatmullRom,
        Interpolation::Lanczos => FilterType::Lanczos3,
    })
}

/// A rectangle of an image in pixels; its borders may lie between pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Region {
    /// Distance from the left border of the image.
    pub left: f64,
    /// Distance from the upper border of the image.
    pub top: f64,
    /// Width, above 0.
    pub width: f64,
    /// Height, above 0.
    pub height: f64,
}

/// Size of a crop after resizing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CropTarget {
    /// In pixels, each side at least 1.
    pub(crate) size: ImageSize,
    /// The filter of the resizing.
    pub(crate) interpolation: Interpolation,
}

impl CropTarget {
    /// A region of an image, resized.
    pub(crate) fn of(self, image: &Image, region: Region) -> Image {
        resize_with(self.interpolation, image, region, self.size.width, self.size.height)
    }
}

impl Region {
    /// The whole image.
    pub fn whole(image: &Image) -> Self {
        Self::of_size(image.size())
    }

    /// The whole of an image of this size.
    pub(crate) fn of_size(size: ImageSize) -> Self {
        Self { left: 0.0, top: 0.0, width: size.width as f64, height: size.height as f64 }
    }

    /// This region, cut off at the borders of an image.
    fn within(self, image: &Image) -> Self {
        // Each side keeps a little of the image. `max` and `min` also turn NaN into a number.
        const LEAST: f64 = 1e-3;
        let cut = |start: f64, length: f64, side: usize| {
            let side = side as f64;
            let start = start.max(0.0).min(side - LEAST);
            (start, length.max(LEAST).min(side - start))
        };
        let (left, width) = cut(self.left, self.width, image.width());
        let (top, height) = cut(self.top, self.height, image.height());
        Self { left, top, width, height }
    }
}

/// Resizes a region of an image to `width` x `height` pixels, bicubic (a = -0.5) with antialiasing:
/// within 1 level of 255 of `resize((width, height), BICUBIC, box=region)` of Pillow 13.
///
/// Parts of the region outside the image are cut off. A side of 0 counts as 1.
pub fn resize(image: &Image, region: Region, width: usize, height: usize) -> Image {
    resize_with(Interpolation::Bicubic, image, region, width, height)
}

/// [`resize`] with any filter of Pillow: the nearest pixels are the same, Lanczos is within 2 levels, others within 1.
pub fn resize_with(
    interpolation: Interpolation,
    image: &Image,
    region: Region,
    width: usize,
    height: usize,
) -> Image {
    resize_in_order(interpolation, image, region, [width, height], Order::of(image, width, height))
}

/// Order of the two resizing passes. The result of the first step is rounded to 8 bit, so the order matters
/// where the filter overshoots, at sharp edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Order {
    WidthFirst,
    HeightFirst,
}

impl Order {
    /// The rule of Pillow 13 for the sides of the whole image: the height comes first when it shrinks by
    /// more than twice as many pixels as the width. Before version 13 the width always came first.
    pub(crate) fn of(image: &Image, width: usize, height: usize) -> Self {
        let shrinks_by = |from: usize, to: usize| from as i64 - to as i64;
        let (wide, high) = (shrinks_by(image.width(), width), shrinks_by(image.height(), height));
        if high > 0 && high > 2 * wide { Self::HeightFirst } else { Self::WidthFirst }
    }
}

/// [`resize_with`] with a given order, for callers that need a part of a larger result.
pub(crate) fn resize_in_order(
    interpolation: Interpolation,
    image: &Image,
    region: Region,
    size: [usize; 2],
    order: Order,
) -> Image {
    let [width, height] = size.map(|side| side.max(1));
    let reached = |start, length, target, side| reached(radius(interpolation), start, length, target, side);
    let convolve = |image: &Image, region, width, height| {
        convolve(algorithm(interpolation), image, region, width, height)
    };
    let region = region.within(image);
    if region == Region::whole(image) && (width, height) == (image.width(), image.height()) {
        return image.clone();
    }
    if interpolation == Interpolation::Nearest {
        return convolve(image, region, width, height);
    }
    // The first step makes only what the second looks at.
    match order {
        Order::WidthFirst => {
            let (top, rows) = reached(region.top, region.height, height, image.height());
            let narrowed = convolve(image, Region { top, height: rows, ..region }, width, rows as usize);
            let rest = Region { left: 0.0, top: region.top - top, width: width as f64, ..region };
            convolve(&narrowed, rest, width, height)
        }
        Order::HeightFirst => {
            let (left, columns) = reached(region.left, region.width, width, image.width());
            let flattened =
                convolve(image, Region { left, width: columns, ..region }, columns as usize, height);
            let rest = Region { left: region.left - left, top: 0.0, height: height as f64, ..region };
            convolve(&flattened, rest, width, height)
        }
    }
}

/// First row and number of rows, of `rows` in all, that a filter reads to make `target` rows of a region.
pub(crate) fn rows_reached(
    interpolation: Interpolation,
    region: &Region,
    target: usize,
    rows: usize,
) -> (f64, f64) {
    reached(radius(interpolation), region.top, region.height, target, rows)
}

/// First pixel and number of pixels that a filter of this radius reads along one side, of `side` in all.
fn reached(radius: f64, start: f64, length: f64, target: usize, side: usize) -> (f64, f64) {
    let reach = radius * (length / target as f64).max(1.0) + 1.0;
    let first = (start - reach).floor().max(0.0);
    (first, (start + length + reach).ceil().min(side as f64) - first)
}

/// Resizes both sides at once.
fn convolve(algorithm: ResizeAlg, image: &Image, region: Region, width: usize, height: usize) -> Image {
    let channels = image.channels();
    // Each type of pixel takes ten seconds to build, so what is neither grey nor coloured goes band by band.
    let convolved = match (image.levels(), channels) {
        (Levels::Eight(_), 1 | COLOURS) => {
            let mut convolved = vec![0; width * height * channels];
            let done = match channels {
                1 => convolve_as::<U8>(algorithm, image, region, &mut convolved, (width, height)),
                _ => convolve_as::<U8x3>(algorithm, image, region, &mut convolved, (width, height)),
            };
            done.map(|()| Levels::from(convolved))
        }
        (Levels::Sixteen(..), 1) => {
            let mut convolved = vec![0_u16; width * height];
            let to = bytemuck::cast_slice_mut(&mut convolved);
            let done = convolve_as::<U16>(algorithm, image, region, to, (width, height));
            done.map(|()| Levels::from(convolved))
        }
        _ => {
            let bands =
                (0..channels).map(|band| convolve(algorithm, &image.band(band), region, width, height));
            return Image::of_bands(&bands.collect::<Vec<_>>());
        }
    };
    match convolved {
        Ok(levels) => Image::from_parts(width, height, channels, levels),
        // Both buffers hold what their sides promise and the region lies inside.
        Err(error) => unreachable!("{region:?} of {image:?}: {error}"),
    }
}

/// [`convolve`] for pixels of a type that has as many channels, from the bytes of the image's levels to others.
fn convolve_as<P: InnerPixel + PixelTrait>(
    algorithm: ResizeAlg,
    image: &Image,
    region: Region,
    convolved: &mut [u8],
    (width, height): (usize, usize),
) -> Result<(), Box<dyn Error>> {
    let options = ResizeOptions::new()
        .resize_alg(algorithm)
        .crop(region.left, region.top, region.width, region.height)
        .use_alpha(false);
    let (source_width, source_height) = (image.width() as u32, image.height() as u32);
    let source = TypedImageRef::<P>::from_buffer(source_width, source_height, image.levels().as_bytes())?;
    let mut target = TypedImage::<P>::from_buffer(width as u32, height as u32, convolved)?;
    Ok(Resizer::new().resize_typed(&source, &mut target, &options)?)
}

#[cfg(test)]
mod tests;
