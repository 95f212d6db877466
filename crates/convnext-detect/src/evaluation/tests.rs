//! COCO's measures of 200 drawn sets against pycocotools.

use convnext_core::{BoundingBox, ClassNames, ImageSize};
use convnext_data::{Instance, InstanceMask, RunLengths};
use serde::Deserialize;

use crate::detection::Detection;
use crate::evaluation::average_precision::DetectionScores;
use crate::evaluation::detection_evaluation::DetectionEvaluation;
use crate::evaluation::measured_image::{DetectionMeasures, MeasuredImage};
use crate::evaluation::scorer::DetectionScorer;

const SIZE: ImageSize = ImageSize { height: 160, width: 160 };
const MEASURES: DetectionMeasures = DetectionMeasures { masks: true, min_score: 0.5 };

/// Written by `tests/goldens/evaluation/make.py`; -1 where there is no object.
#[derive(Deserialize)]
struct Golden {
    #[serde(rename = "box")]
    boxes: [f64; 12],
    mask: [f64; 12],
    #[serde(default)]
    box_classes: Vec<f64>,
    #[serde(default)]
    mask_classes: Vec<f64>,
}

/// A linear congruential generator (Knuth's MMIX), of which the upper bits are taken.
struct Numbers(u64);

/// A set of images, each with objects and detections.
struct Set {
    classes: usize,
    images: Vec<(Vec<Instance>, Vec<Detection>)>,
}

/// An object as it was drawn.
struct Drawn {
    class: usize,
    sides: [f64; 4],
    kind: usize,
    is_crowd: bool,
    area: f64,
}

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }

    fn quarters(&mut self, bound: usize) -> f64 {
        self.below(bound) as f64 / 4.0
    }

    fn sides(&mut self) -> [f64; 4] {
        let [width, mut height] = [0; 2].map(|_| match self.below(6) {
            kind @ 0..3 => [8.0, 32.0, 96.0][kind],
            _ => self.quarters(400) + 0.25,
        });
        if self.below(3) == 0 {
            height = width;
        }
        [self.quarters(100), self.quarters(100), width, height]
    }

    fn jittered(&mut self, [x, y, width, height]: [f64; 4]) -> [f64; 4] {
        match self.below(5) {
            0 => [x, y, width / 2.0, height],
            1 => [x, y, width, height],
            _ => {
                let [right, down] = [0; 2].map(|_| self.quarters(33) - 4.0);
                let [wider, higher] = [0; 2].map(|_| self.quarters(17));
                [x + right, y + down, width + wider, height + higher]
            }
        }
    }

    fn object(&mut self, classes: usize) -> Drawn {
        let sides = self.sides();
        let kind = self.below(2);
        let class = self.below(classes);
        let is_crowd = self.below(7) == 0;
        let area = sides[2] * sides[3] + [0.0, 0.0, 1.0, -1.0][self.below(4)];
        Drawn { class, sides, kind, is_crowd, area }
    }

    fn detection(&mut self, objects: &[Drawn], set: usize, classes: usize) -> Detection {
        let is_near = !objects.is_empty() && self.below(5) > 0;
        let near = if is_near { Some(&objects[self.below(objects.len())]) } else { None };
        let sides = near.map(|near| near.sides);
        let sides = sides.map_or_else(|| None, |sides| Some(self.jittered(sides)));
        let sides = sides.unwrap_or_else(|| self.sides());
        let own_class = near.filter(|_| self.below(6) > 0).map(|near| near.class);
        let class = own_class.unwrap_or_else(|| self.below(classes));
        let own_kind = near.filter(|_| self.below(4) > 0).map(|near| near.kind);
        let kind = own_kind.unwrap_or_else(|| self.below(2));
        let steps = if set.is_multiple_of(2) { 10 } else { 1000 };
        let score = self.below(if steps == 10 { 11 } else { 1000 }) as f64 / steps as f64;
        let bounds = BoundingBox::of_corner_and_size(sides);
        Detection { class, score, bounds, mask: Some(RunLengths::of_rings(&[ring(kind, sides)], SIZE)) }
    }
}

fn ring(kind: usize, [x, y, width, height]: [f64; 4]) -> Vec<f64> {
    let ([middle_x, middle_y], [right, bottom]) =
        ([x + width / 2.0, y + height / 2.0], [x + width, y + height]);
    match kind {
        0 => vec![x, y, right, y, right, bottom, x, bottom],
        _ => vec![middle_x, y, right, middle_y, middle_x, bottom, x, middle_y],
    }
}

fn drawn_set(number: usize) -> Set {
    let mut numbers = Numbers(1000 + number as u64);
    let classes = 1 + numbers.below(4);
    let images = 1 + numbers.below(6);
    let object_classes = if classes > 1 && numbers.below(3) == 0 { classes - 1 } else { classes };
    let images = (0..images).map(|image| {
        let objects: Vec<Drawn> = (0..numbers.below(8)).map(|_| numbers.object(object_classes)).collect();
        let is_crowded = number % 20 == 3 && image == 0;
        let found = match number % 20 {
            7 => 0,
            _ if is_crowded => 130,
            _ => numbers.below(14),
        };
        let detections = (0..found).map(|_| {
            let found = numbers.detection(&objects, number, classes);
            if is_crowded { Detection { class: 0, ..found } } else { found }
        });
        let detections = detections.collect();
        (objects.iter().map(instance).collect(), detections)
    });
    Set { classes, images: images.collect() }
}

fn instance(drawn: &Drawn) -> Instance {
    Instance {
        class: drawn.class,
        bounds: BoundingBox::of_corner_and_size(drawn.sides),
        mask: Some(InstanceMask::Rings(vec![ring(drawn.kind, drawn.sides)])),
        area: drawn.area,
        is_crowd: drawn.is_crowd,
    }
}

fn evaluate(set: &Set, order: impl Iterator<Item = usize>) -> DetectionEvaluation {
    let names = (0..set.classes).map(|class| class.to_string()).collect();
    let mut scorer = DetectionScorer::new(ClassNames(names));
    for image in order {
        let (objects, detections) = &set.images[image];
        scorer.add(image, MeasuredImage::new(objects, detections, SIZE, &MEASURES));
    }
    scorer.finish()
}

fn numbers(scores: &DetectionScores) -> [Option<f64>; 12] {
    let DetectionScores { ap, ap50, ap75, ap_small, ap_medium, ap_large, .. } = *scores;
    let DetectionScores { ar1, ar10, ar100, ar_small, ar_medium, ar_large, .. } = *scores;
    [ap, ap50, ap75, ap_small, ap_medium, ap_large, ar1, ar10, ar100, ar_small, ar_medium, ar_large]
}

fn check(found: &[Option<f64>], expected: &[f64], of: &str) {
    assert_eq!(found.len(), expected.len(), "{of}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let found = found.unwrap_or(-1.0);
        assert!((found - expected).abs() < 1e-9, "{of}, {place}: {found} is not {expected}");
    }
}

#[test]
fn measures_are_those_of_pycocotools() {
    let text = include_str!("../../tests/goldens/evaluation/evaluation.json");
    let goldens: Vec<Golden> = serde_json::from_str(text).unwrap();
    assert_eq!(goldens.len(), 200);
    for (number, golden) in goldens.iter().enumerate() {
        let set = drawn_set(number);
        let found = evaluate(&set, 0..set.images.len());
        check(&numbers(&found.boxes), &golden.boxes, &format!("set {number}, boxes"));
        check(&numbers(found.masks.as_ref().unwrap()), &golden.mask, &format!("set {number}, masks"));
        if !golden.box_classes.is_empty() {
            let [boxes, masks]: [Vec<_>; 2] = [
                found.classes.iter().map(|class| class.box_ap).collect(),
                found.classes.iter().map(|class| class.mask_ap).collect(),
            ];
            check(&boxes, &golden.box_classes, &format!("set {number}, classes by boxes"));
            check(&masks, &golden.mask_classes, &format!("set {number}, classes by masks"));
        }
    }
}

#[test]
fn neither_order_nor_threads_matter() {
    let set = drawn_set(4);
    let expected = evaluate(&set, 0..set.images.len());
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| evaluate(&set, (0..set.images.len()).rev())), expected);
    }
}

#[test]
fn an_evaluation_holds_together() {
    for number in 0..40 {
        let set = drawn_set(number);
        let found = evaluate(&set, 0..set.images.len());
        let counted = |object: &&Instance| !object.is_crowd;
        let objects = set.images.iter().flat_map(|(objects, _)| objects).filter(counted).count() as u64;
        let background = set.classes;
        // Each object is in a row of its class once, each detection that is counted in a column of its class.
        let in_rows: u64 = found.confusion[..background].iter().flatten().sum();
        assert_eq!((in_rows, found.classes.iter().map(|class| class.objects).sum()), (objects, objects));
        let diagonal: u64 = (0..background).map(|class| found.confusion[class][class]).sum();
        let missed: u64 = found.confusion.iter().map(|row| row[background]).sum();
        assert_eq!((found.errors.right, found.errors.missed), (diagonal, missed));
        // The mean of a curve is the average precision.
        let curves = &found.curves.boxes;
        let mean =
            |curve: &[f64]| (!curve.is_empty()).then(|| curve.iter().sum::<f64>() / curve.len() as f64);
        for (curve, expected) in [(&curves.mean, found.boxes.ap), (&curves.at_75, found.boxes.ap75)] {
            assert!((mean(curve).unwrap_or(-1.0) - expected.unwrap_or(-1.0)).abs() < 1e-12, "{number}");
        }
    }
}
