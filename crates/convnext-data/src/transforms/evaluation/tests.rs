use convnext_core::{Fit, Geometry, ImageSize, Preprocessing};

use super::*;

/// Red is the column, green the row.
fn ramp(width: usize, height: usize) -> Image {
    let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, 200]).collect();
    Image::new(width, height, 3, rgb).unwrap()
}

fn plain(geometry: Geometry) -> Preprocessing {
    Preprocessing { geometry, mean: vec![0.0; 3], std: vec![1.0; 3], ..Preprocessing::for_size(32, 3) }
}

fn crop(size: impl Into<ImageSize>, crop: f64) -> Preprocessing {
    plain(Geometry::CentreCrop { size: size.into(), crop })
}

fn warp(size: impl Into<ImageSize>) -> Preprocessing {
    plain(Geometry::Warp { size: size.into() })
}

#[test]
fn evaluation_cuts_the_centre() {
    // The short side is already 10 = floor(7 / 0.7): nothing is resized. (19 - 7) / 2 = 6, and
    // (10 - 7) / 2 = 1.5 goes to the even 2.
    let image = resize_for_evaluation(&ramp(19, 10), &crop(7, 0.7));
    assert_eq!((image.width(), image.height()), (7, 7));
    assert_eq!(image.pixel(0, 0), [6, 2, 200]);
}

#[test]
fn evaluation_without_crop_warps() {
    let image = ramp(8, 8);
    assert_eq!(resize_for_evaluation(&image, &warp(8)), image);
    let warped = resize_for_evaluation(&ramp(40, 10), &warp(8));
    assert_eq!((warped.width(), warped.height()), (8, 8));
    assert!(warped.pixel(0, 0)[0] < 4 && warped.pixel(7, 0)[0] > 35);
}

#[test]
fn the_centre_of_a_rectangle_is_cut() {
    // 10 = floor(7 / 0.7) and 20 = floor(14 / 0.7): the height is already as it must be, the width has 26 - 14 to spare.
    let image = resize_for_evaluation(&ramp(26, 10), &crop([7, 14], 0.7));
    assert_eq!(image.size(), ImageSize { height: 7, width: 14 });
    assert_eq!((image.pixel(0, 0), image.pixel(13, 6)), (&[6, 2, 200][..], &[19, 8, 200][..]));
    // A tall image is enlarged to the width and cut above and below.
    let image = resize_for_evaluation(&ramp(10, 40), &crop([7, 14], 0.7));
    let (top, bottom) = (image.pixel(0, 0)[1], image.pixel(0, 6)[1]);
    assert!(top.abs_diff(18) <= 1 && bottom.abs_diff(21) <= 1, "{top} {bottom}");
}

#[test]
fn images_of_one_pixel_are_enlarged() {
    let dot = Image::new(1, 1, 3, vec![9, 8, 7]).unwrap();
    for preprocessing in [warp(16), crop(16, 0.875), crop([16, 20], 0.875)] {
        assert_eq!(resize_for_evaluation(&dot, &preprocessing).pixel(15, 15), [9, 8, 7]);
    }
    let fit = Geometry::Fit(Fit { long: 20, short: 16, pad: 1 });
    assert_eq!(resize_for_evaluation(&dot, &plain(fit)).size(), ImageSize::square(16));
}

/// Values of padding are 0 whatever the statistics, and all others those of the image before it.
#[test]
fn padding_is_the_mean_below_and_at_the_right() {
    let statistics = Preprocessing::for_size(32, 3);
    for (geometry, [height, width]) in [
        (Geometry::None { pad: 8 }, [16, 24]),
        (Geometry::None { pad: 1 }, [10, 19]),
        (Geometry::Fit(Fit { long: 38, short: 30, pad: 16 }), [32, 48]),
    ] {
        let preprocessing = Preprocessing { geometry, ..statistics.clone() };
        let image = ramp(19, 10);
        let resized = resize_for_evaluation(&image, &preprocessing);
        let unpadded = normalize(&resized, &preprocessing.mean, &preprocessing.std);
        let PreparedImage { values, size } = prepare_for_evaluation(&image, &preprocessing);
        assert_eq!((size, values.len()), (ImageSize { height, width }, 3 * height * width));
        for (index, value) in values.into_iter().enumerate() {
            let (channel, y, x) = (index / size.pixels(), index / width % height, index % width);
            let expected = match y < resized.height() && x < resized.width() {
                true => unpadded[(channel * resized.height() + y) * resized.width() + x],
                false => 0.0,
            };
            assert_eq!(value.to_bits(), expected.to_bits(), "{geometry}: {channel}, {y}, {x}");
        }
    }
}

#[test]
fn an_image_of_its_own_size_is_not_resized() {
    let image = ramp(19, 10);
    assert_eq!(resize_for_evaluation(&image, &plain(Geometry::None { pad: 32 })), image);
}
