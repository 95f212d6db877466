use convnext_core::{Purpose, Seed};

use super::*;

const SIZE: ImageSize = ImageSize { height: 60, width: 80 };

fn image() -> Image {
    let bytes =
        (0..SIZE.pixels()).flat_map(|at| [(at % 251) as u8, (at % 80) as u8, (at / 80) as u8]).collect();
    Image::new(SIZE.width, SIZE.height, 3, bytes).unwrap()
}

fn rectangle([left, top, right, bottom]: [f64; 4], has_mask: bool) -> Instance {
    let ring = vec![left, top, right, top, right, bottom, left, bottom];
    let bounds = BoundingBox { left, top, right, bottom };
    let mask = has_mask.then(|| InstanceMask::Rings(vec![ring]));
    Instance { class: 1, bounds, mask, area: bounds.area(), is_crowd: false }
}

fn objects() -> Vec<Instance> {
    let crowd = Instance { is_crowd: true, ..rectangle([0.0, 0.0, 80.0, 12.0], true) };
    vec![
        rectangle([10.0, 8.0, 34.0, 30.0], true),
        rectangle([30.0, 20.0, 70.0, 50.0], true),
        rectangle([40.0, 10.0, 60.0, 25.0], false),
        crowd,
    ]
}

/// Large-scale jittering of the paper's recipes to this size.
fn jitter(side: usize) -> DetectionTransform {
    let resize = DetectionResize::Jitter { size: side.into(), ratio: [0.1, 2.0] };
    DetectionTransform { resize, flip_probability: 0.5 }
}

/// Whole images within a shorter and a longer side.
fn fit(short: usize, long: usize) -> DetectionTransform {
    let resize = DetectionResize::MultiScale { short: vec![short], long };
    DetectionTransform { resize, flip_probability: 0.5 }
}

fn rng(sample: u64) -> impl rand::Rng {
    Seed(3).stream(Purpose::Augmentation, 0, sample)
}

#[test]
fn jittered_boxes_are_around_their_masks_and_inside() {
    let transform = jitter(64);
    let (mut sizes, mut fewer) = (Vec::new(), 0);
    for sample in 0..200 {
        let found = transform.apply(&image(), &objects(), &mut rng(sample));
        let size = found.image.size();
        assert!(size.height <= 64 && size.width <= 64, "{size}");
        for instance in &found.instances {
            assert_eq!(instance.bounds.clipped(size), instance.bounds);
            if let Some(mask) = &instance.mask {
                let mask = mask.run_lengths(size);
                assert_eq!((mask.bounds(), mask.area() as f64), (instance.bounds, instance.area));
                assert_eq!(mask.size(), size);
            }
        }
        fewer += usize::from(found.instances.len() < objects().len());
        sizes.push(size.pixels());
    }
    // Ratios from 0.1 on: from 6 pixels to the whole part.
    assert!(*sizes.iter().min().unwrap() < 100 && *sizes.iter().max().unwrap() == 64 * 64);
    assert!(fewer > 10, "{fewer}");
}

#[test]
fn sizes_and_parts_are_those_of_mmdetection() {
    let transform = DetectionTransform { flip_probability: 1.0, ..jitter(64) };
    for sample in 0..100 {
        let drawn = transform.draw(SIZE, &mut rng(sample));
        let [Step::ResizedCut(cut), Step::Mirror] = drawn.steps[..] else { panic!("{drawn:?}") };
        // Bounds are whole numbers, and sides are rounded.
        let bound =
            (1..=128).find(|&bound| Fit { long: bound, short: bound, pad: 1 }.resized(SIZE) == cut.resized);
        assert!(bound.is_some_and(|bound| bound >= 6), "{cut:?}");
        assert!(
            cut.left + cut.size.width <= cut.resized.width && cut.top + cut.size.height <= cut.resized.height
        );
        assert_eq!(cut.size.width, cut.resized.width.min(64));
    }
}

#[test]
fn whole_images_keep_all_objects_and_their_boxes() {
    let doubled = DetectionTransform { flip_probability: 0.0, ..fit(120, 160) };
    let found = doubled.apply(&image(), &objects(), &mut rng(0));
    assert_eq!((found.image.size(), found.instances.len()), (ImageSize { height: 120, width: 160 }, 4));
    for (before, after) in objects().iter().zip(&found.instances) {
        assert_eq!(after.bounds, before.bounds.scaled([2.0, 2.0]));
        assert_eq!(after.area, 4.0 * before.area);
        assert_eq!((after.class, after.is_crowd), (before.class, before.is_crowd));
    }
    let scales = DetectionTransform {
        resize: DetectionResize::MultiScale { short: vec![30, 60], long: 200 },
        flip_probability: 0.0,
    };
    let heights: Vec<usize> =
        (0..20).map(|sample| scales.apply(&image(), &[], &mut rng(sample)).image.height()).collect();
    assert!(heights.contains(&30) && heights.contains(&60) && heights.iter().all(|height| height % 30 == 0));
}

#[test]
fn mirrored_twice_is_the_same() {
    let flip = DetectionTransform { flip_probability: 1.0, ..fit(60, 80) };
    let once = flip.apply(&image(), &objects(), &mut rng(0));
    assert_eq!(once.instances[0].bounds.edges(), [46.0, 8.0, 70.0, 30.0]);
    let twice = flip.apply(&once.image, &once.instances, &mut rng(0));
    assert_eq!(twice.image, image());
    for (before, after) in objects().iter().zip(&twice.instances) {
        assert_eq!(after.bounds, before.bounds);
        let pixels = |instance: &Instance| Some(instance.mask.as_ref()?.run_lengths(SIZE));
        assert_eq!(pixels(after), pixels(before));
    }
}

#[test]
fn a_part_is_drawn_anew_where_masks_are_lost() {
    // One pixel, which most small sizes pass over, in a box that none can.
    let pixel = rectangle([41.0, 31.0, 42.0, 32.0], true);
    let lost = Instance { bounds: BoundingBox { left: 0.0, top: 0.0, right: 80.0, bottom: 60.0 }, ..pixel };
    let transform = DetectionTransform {
        resize: DetectionResize::Jitter { size: ImageSize::square(80), ratio: [0.1, 1.0] },
        flip_probability: 0.0,
    };
    let kept = (0..200).filter(|&sample| {
        !transform.apply(&image(), std::slice::from_ref(&lost), &mut rng(sample)).instances.is_empty()
    });
    assert!(kept.count() > 190);
    // Where there was nothing, the first part is taken.
    let mut one = rng(1);
    let drawn = transform.draw(SIZE, &mut rng(1));
    assert_eq!(transform.apply(&image(), &[], &mut one).image.size(), drawn.size_after(SIZE));
}

#[test]
fn settings_are_checked() {
    assert!(jitter(64).validate().is_ok() && fit(800, 1333).validate().is_ok());
    for (transform, expected) in [
        (DetectionTransform { flip_probability: 2.0, ..fit(8, 8) }, "flip probability"),
        (fit(9, 8), "sides of images"),
        (
            DetectionTransform {
                resize: DetectionResize::MultiScale { short: Vec::new(), long: 8 },
                flip_probability: 0.5,
            },
            "sides of images",
        ),
        (
            DetectionTransform {
                resize: DetectionResize::Jitter { size: ImageSize::square(8), ratio: [0.0, 1.0] },
                flip_probability: 0.5,
            },
            "resize ratio",
        ),
    ] {
        assert!(transform.validate().unwrap_err().to_string().contains(expected));
    }
}
