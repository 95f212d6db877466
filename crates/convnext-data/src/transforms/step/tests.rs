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
        assert!(step.is_geometric());
        let (changed, labels) = (step.apply(Cow::Borrowed(&image)), step.apply_to_labels(map.clone()));
        let wrong = differing(&changed, &labels);
        // Bicubic filters blur the borders of blocks.
        assert!(wrong < 0.25, "{step:?}: {wrong}");
        assert_ne!(labels, map);
        let exact = !matches!(step, Step::Operation { .. });
        assert!(!exact || wrong < 1e-9, "{step:?}: {wrong}");
    }
    for photometric in [Operation::Invert, Operation::Color(0.3), Operation::Sharpness(1.5)].map(operation) {
        assert!(!photometric.is_geometric());
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
