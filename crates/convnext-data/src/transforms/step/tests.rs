use convnext_core::{Purpose, Seed};
use rand::RngExt;

use super::*;

/// An image of blocks of 8 x 8 pixels whose red is their label, and the labels.
fn blocks(width: usize, height: usize) -> (Image, LabelMap) {
    let label = |x: usize, y: usize| (1 + (x / 8 + 5 * (y / 8)) % 12) as u16;
    let places = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let rgb = places().flat_map(|(x, y)| [label(x, y) as u8 * 20, 0, 0]).collect();
    let map = LabelMap { width, height, labels: places().map(|(x, y)| label(x, y)).collect() };
    (Image::new(width, height, COLOURS, rgb).unwrap(), map)
}

/// The share of the pixels whose label is not that of the image's red; borders between blocks are a few.
fn differing(image: &Image, map: &LabelMap) -> f64 {
    assert_eq!(image.size(), map.size());
    let outside = |label: u16| if label == LabelMap::IGNORED { 0 } else { label };
    let reds = image.bytes().iter().step_by(COLOURS).map(|&red| (u16::from(red) + 10) / 20);
    let wrong = reds.zip(&map.labels).filter(|&(red, &label)| red != outside(label)).count();
    wrong as f64 / map.labels.len() as f64
}

#[test]
fn labels_follow_every_geometric_step() {
    let (image, map) = blocks(64, 48);
    let size = ImageSize { height: 60, width: 80 };
    let region = Region { left: 8.0, top: 3.0, width: 40.0, height: 30.0 };
    let operation = |operation| Step::Operation { operation, fill: [0; COLOURS] };
    let mut steps = vec![
        Step::Crop { region, size, interpolation: Interpolation::Nearest },
        Step::Border(Bordered { padding: 9, left: 2, top: 15 }),
        Step::Mirror,
    ];
    steps.extend(
        [
            Operation::Rotate(27.0),
            Operation::ShearX(-0.27),
            Operation::ShearY(0.2),
            Operation::TranslateX(0.3),
            Operation::TranslateY(-0.4),
        ]
        .map(operation),
    );
    for step in &steps {
        let (changed, labels) = (step.apply(Cow::Borrowed(&image)), step.apply_to_labels(map.clone()));
        let wrong = differing(&changed, &labels);
        // Bicubic filters blur the borders of blocks.
        assert!(wrong < 0.25, "{step:?}: {wrong}");
        assert_ne!(labels, map);
        let exact = !matches!(step, Step::Operation { .. });
        assert!(!exact || wrong < 1e-9, "{step:?}: {wrong}");
    }
    for photometric in [Operation::Invert, Operation::Color(0.3), Operation::Sharpness(1.5)].map(operation) {
        assert_eq!(photometric.apply_to_labels(map.clone()), map);
    }
}

#[test]
fn a_quarter_turn_of_labels_is_exact() {
    let mut rng = Seed(3).stream(Purpose::Augmentation, 0, 0);
    let labels = (0..49).map(|_| rng.random_range(0..9)).collect();
    let map = LabelMap { width: 7, height: 7, labels };
    let turned = Operation::Rotate(90.0).apply_to_labels(map.clone());
    for y in 0..7 {
        for x in 0..7 {
            assert_eq!(turned.get(y, 6 - x), map.get(x, y));
        }
    }
}

/// The box around the pixels of a label map that have labels.
fn bounds_of(map: &LabelMap) -> BoundingBox {
    let inside = |&(x, y): &(usize, usize)| map.get(x, y) == 1;
    let places: Vec<(usize, usize)> =
        (0..map.height).flat_map(|y| (0..map.width).map(move |x| (x, y))).filter(inside).collect();
    let along = |of: fn(&(usize, usize)) -> usize| {
        let found = places.iter().map(of);
        (found.clone().min().unwrap() as f64, (found.max().unwrap() + 1) as f64)
    };
    let ((left, right), (top, bottom)) = (along(|place| place.0), along(|place| place.1));
    BoundingBox { left, top, right, bottom }
}

#[test]
fn boxes_follow_every_geometric_step() {
    let bounds = BoundingBox { left: 20.0, top: 10.0, right: 44.0, bottom: 30.0 };
    let size = ImageSize { height: 48, width: 64 };
    let label = |at: usize| {
        let (x, y) = (at % size.width, at / size.width);
        u16::from((20..44).contains(&x) && (10..30).contains(&y))
    };
    let map = LabelMap { width: 64, height: 48, labels: (0..size.pixels()).map(label).collect() };
    let region = Region { left: 8.0, top: 3.0, width: 40.0, height: 30.0 };
    let operation = |operation| Step::Operation { operation, fill: [0; COLOURS] };
    let resized = ImageSize { height: 96, width: 32 };
    let cut = ResizedCut { resized, left: 5, top: 9, size: ImageSize { height: 70, width: 20 } };
    for (step, within) in [
        (Step::Crop { region, size: resized, interpolation: Interpolation::Nearest }, 1.0),
        (Step::Border(Bordered { padding: 9, left: 2, top: 15 }), 0.0),
        (Step::Mirror, 0.0),
        (Step::ResizedCut(cut), 0.0),
        (operation(Operation::TranslateX(0.25)), 0.0),
        (operation(Operation::ShearX(-0.27)), 1.0),
        (operation(Operation::Rotate(12.0)), 1.5),
        (operation(Operation::Invert), 0.0),
    ] {
        let (found, labels) = (step.apply_to_box(bounds, size), step.apply_to_labels(map.clone()));
        assert_eq!(step.size_after(size), labels.size(), "{step:?}");
        let expected = bounds_of(&labels).edges();
        let far =
            found.clipped(labels.size()).edges().iter().zip(expected).any(|(a, b)| (a - b).abs() > within);
        assert!(!far, "{step:?}: {found:?} {expected:?}");
    }
}
