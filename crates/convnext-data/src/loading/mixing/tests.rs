use convnext_core::{Purpose, Seed};

use super::*;
use crate::transforms::distributions::Reference;

const BOTH: Mixing = Mixing { mixup: 0.8, cutmix: 1.0, probability: 1.0, switch_probability: 0.5 };

const HEIGHT: usize = 6;
const WIDTH: usize = 5;
const PIXELS: usize = HEIGHT * WIDTH;
const VALUES: usize = 3 * PIXELS;

/// Every value of image i is 10 i, plus a little for its place.
fn batch(images: usize) -> ImageBatch {
    let values = (0..images)
        .flat_map(|image| (0..VALUES).map(move |place| (10 * image) as f32 + place as f32 / 128.0));
    ImageBatch {
        images: values.collect(),
        channels: 3,
        height: HEIGHT,
        width: WIDTH,
        labels: (0..images).map(Some).collect(),
        samples: (0..images).collect(),
        epoch: 0,
        mix: None,
    }
}

#[test]
fn mixup_adds_an_image_and_its_partner() {
    let mixup = Mixing { cutmix: 0.0, ..BOTH };
    for images in 1..6 {
        let old = batch(images);
        let mut new = old.clone();
        mixup.apply(&mut new, &mut Seed(1).stream(Purpose::Mixing, 0, images as u64));
        let lam = new.mix.unwrap().lam;
        assert!((0.0..=1.0).contains(&lam));
        for image in 0..images {
            let partner = images - 1 - image;
            for place in 0..VALUES {
                let mixed = lam * old.images[image * VALUES + place]
                    + (1.0 - lam) * old.images[partner * VALUES + place];
                let found = new.images[image * VALUES + place];
                assert!((found - mixed).abs() < 1e-5, "image {image} of {images}: {found}, not {mixed}");
            }
        }
        assert_eq!(ImageBatch { images: old.images.clone(), mix: None, ..new }, old);
    }
}

#[test]
fn cutmix_takes_a_box_from_the_partner() {
    let cutmix = Mixing { mixup: 0.0, ..BOTH };
    let mut shares = std::collections::BTreeSet::new();
    for sample in 0..300 {
        let images = 1 + sample % 5;
        let old = batch(images);
        let mut new = old.clone();
        cutmix.apply(&mut new, &mut Seed(1).stream(Purpose::Mixing, 0, sample as u64));
        // Which pixels the first image has from its partner, in each colour.
        let taken = |image: usize, place: usize| {
            let (value, partner) = (new.images[image * VALUES + place], images - 1 - image);
            let from_partner = value == old.images[partner * VALUES + place];
            assert!(from_partner || value == old.images[image * VALUES + place], "{value}");
            from_partner
        };
        let lam = new.mix.unwrap().lam;
        for image in (0..images).filter(|image| 2 * image + 1 != images) {
            let pixels: Vec<bool> = (0..PIXELS).map(|place| taken(image, place)).collect();
            for place in 0..VALUES {
                assert_eq!(taken(image, place), pixels[place % PIXELS]);
            }
            let count = pixels.iter().filter(|&&taken| taken).count();
            assert_eq!(lam, 1.0 - count as f32 / PIXELS as f32);
            let mut rows: Vec<&[bool]> = pixels.chunks(WIDTH).filter(|row| row.contains(&true)).collect();
            rows.dedup();
            assert!(rows.len() <= 1, "no box: {pixels:?}");
            shares.insert(count);
        }
    }
    assert!(shares.len() >= 6, "{shares:?}");
}

#[test]
fn weights_boxes_and_frequencies_are_those_of_timm() {
    for (mixup, cutmix, probability, switch_probability, height, width) in [
        (0.8, 1.0, 0.7, 0.5, 224, 224),
        (0.3, 0.3, 1.0, 0.2, 32, 20),
        (0.5, 0.0, 1.0, 0.5, 8, 8),
        (0.0, 0.5, 1.0, 0.5, 8, 8),
    ] {
        let mixing = Mixing { mixup, cutmix, probability, switch_probability };
        mixing.validate().unwrap();
        let mut reference = Reference::read(&format!(
            "mixing {mixup:?} {cutmix:?} {probability:?} {switch_probability:?} {height}x{width}"
        ));
        let mut rng = Seed(9).stream(Purpose::Mixing, 0, 0);
        let flag = |flag: bool| f64::from(u8::from(flag));
        for _ in 0..10_000 {
            let mix = mixing.draw(height, width, &mut rng);
            reference.add("mixed", flag(mix.is_some()));
            match mix {
                None => {}
                Some(Mix::Mixup { lam }) => {
                    reference.add("cut", 0.0);
                    reference.add("mixup weight", f64::from(lam));
                }
                Some(Mix::CutMix { rows, columns }) => {
                    reference.add("cut", 1.0);
                    let share = (rows.len() * columns.len()) as f64 / (height * width) as f64;
                    reference.add("cutmix weight", 1.0 - share);
                    reference.add("box height", rows.len() as f64);
                    reference.add("box width", columns.len() as f64);
                    reference.add("box top", rows.start as f64);
                    reference.add("box left", columns.start as f64);
                }
            }
        }
        reference.check();
    }
}

#[test]
fn extreme_settings_do_no_harm() {
    let mut rng = Seed(0).stream(Purpose::Mixing, 0, 0);
    for alpha in [1e-300, 1e-3, 1e3, 1e300] {
        for mixing in
            [Mixing { mixup: alpha, cutmix: 0.0, ..BOTH }, Mixing { cutmix: alpha, mixup: 0.0, ..BOTH }]
        {
            mixing.validate().unwrap();
            for _ in 0..100 {
                let mut batch = batch(2);
                mixing.apply(&mut batch, &mut rng);
                assert!((0.0..=1.0).contains(&batch.mix.unwrap().lam), "{mixing:?}");
            }
        }
    }
    let mut never = batch(3);
    Mixing { probability: 0.0, ..BOTH }.apply(&mut never, &mut rng);
    assert_eq!(never, batch(3));
}

#[test]
fn settings_outside_their_range_are_refused() {
    for (wrong, expected) in [
        (Mixing { mixup: -1.0, ..BOTH }, "mixup is -1"),
        (Mixing { cutmix: f64::NAN, ..BOTH }, "cutmix is NaN"),
        (Mixing { mixup: 0.0, cutmix: 0.0, ..BOTH }, "leave mixing out"),
        (Mixing { probability: 1.5, ..BOTH }, "probability of mixing is 1.5"),
        (Mixing { switch_probability: -0.5, ..BOTH }, "switching to CutMix is -0.5"),
    ] {
        let error = wrong.validate().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
