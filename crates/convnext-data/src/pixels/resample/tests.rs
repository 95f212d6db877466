//! Resampling of images: regions, channels, filters.

use super::*;

fn ramp(width: usize, height: usize) -> Image {
    let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, 7]).collect();
    Image::new(width, height, 3, rgb).unwrap()
}

#[test]
fn the_same_size_changes_nothing() {
    let image = ramp(13, 9);
    assert_eq!(resize(&image, Region::whole(&image), 13, 9), image);
}

#[test]
fn a_region_of_its_own_size_is_cut_out() {
    let image = ramp(13, 9);
    let cut = resize(&image, Region { left: 4.0, top: 2.0, width: 5.0, height: 3.0 }, 5, 3);
    assert_eq!((cut.width(), cut.height()), (5, 3));
    assert_eq!(cut.pixel(0, 0), [4, 2, 7]);
    assert_eq!(cut.pixel(4, 2), [8, 4, 7]);
}

#[test]
fn every_channel_is_resized_as_if_it_were_alone() {
    let region = Region { left: 1.5, top: 0.25, width: 10.0, height: 8.0 };
    for channels in 1..=6 {
        let bytes = (0..13 * 9 * channels).map(|i| (i * i * 31 % 251) as u8).collect();
        let image = Image::new(13, 9, channels, bytes).unwrap();
        for (width, height) in [(5, 4), (20, 17), (4, 21)] {
            let all = resize(&image, region, width, height);
            assert_eq!((all.width(), all.height(), all.channels()), (width, height, channels));
            for band in 0..channels {
                assert_eq!(all.band(band), resize(&image.band(band), region, width, height));
            }
            let deep = image.bytes().iter().map(|&level| u16::from(level) * 257).collect();
            let deep = resize(&Image::deep(13, 9, channels, deep).unwrap(), region, width, height);
            assert!(deep.is_deep());
            // Both steps of the resizing round, to 8 bit or to 16.
            let near = |(a, b): (&u8, &u8)| a.abs_diff(*b) <= 2;
            assert!(deep.bytes().iter().zip(all.bytes()).all(near), "{channels} {width}x{height}");
        }
    }
}

#[test]
fn every_filter_keeps_an_image_of_one_colour() {
    let image = Image::new(9, 7, 3, vec![77; 9 * 7 * 3]).unwrap();
    let region = Region { left: 0.5, top: 1.0, width: 7.25, height: 5.5 };
    for interpolation in Interpolation::PILLOW {
        for (width, height) in [(4, 3), (20, 31), (2, 20)] {
            let resized = resize_with(interpolation, &image, region, width, height);
            assert_eq!(resized.bytes(), vec![77; 3 * width * height], "{interpolation:?}");
        }
    }
}

#[test]
fn regions_outside_and_empty_sides_do_no_harm() {
    let image = ramp(13, 9);
    for region in [
        Region { left: -5.0, top: 20.0, width: 100.0, height: 0.0 },
        Region { left: f64::NAN, top: f64::NAN, width: f64::NAN, height: f64::INFINITY },
    ] {
        let small = resize(&image, region, 0, 2);
        assert_eq!((small.width(), small.height()), (1, 2));
    }
}
