//! Parts of exported files in a runtime, against the network's own inference.
//!
//! The runtime has no RoIAlign, and suppresses in another way than ONNX says. So the parts between those run by themselves;
//! `tests/check_onnx.py` runs whole files.

use burn::prelude::*;
use burn::tensor::Device;
use burn::tensor::activation::sigmoid;
use convnext_core::{BoundingBox, MaskRcnnConfig, PYRAMID_LEVELS};
use convnext_nn::{DropPath, FeatureMaps, tensor_values};
use rten::{Model, Value as RtenValue};
use rten_tensor::prelude::*;

use super::*;
use crate::mask_rcnn::roi_extractor::{extract, region_level};
use crate::padding::stacked;
use crate::regions::post_processing::{DetectionRule, RegionOutputs, detections};
use crate::regions::proposals::{LevelOutputs, proposals as choose_proposals};
use crate::training_loss::{map_levels, place};

/// Of probabilities: sums of f32 in another order.
const TOLERANCE: f64 = 1e-4;

/// Of the edges of boxes in pixels, whose deltas are multiplied by the sides of large anchors.
const EDGE_TOLERANCE: f64 = 1e-3;

fn image() -> Vec<f32> {
    noise(1000, 3 * SIZE.pixels())
}

fn pyramid(network: &MaskRcnn) -> [FeatureMaps; PYRAMID_LEVELS] {
    let size = padded(SIZE);
    let values = stacked([(&*image(), SIZE)].into_iter(), 3, size);
    let images = TensorData::new(values, [1, 3, size.height, size.width]);
    network.pyramid(Tensor::from_data(images, &Device::flex()), &DropPath::none()).unwrap()
}

/// Some nodes of a detector, with outputs of their own.
struct Probe<'a> {
    head: MaskRcnnConfig,
    outputs: Vec<PartOutput>,
    build: &'a dyn Fn(&mut GraphBuilder, &StageMaps),
}

impl OnnxPart for Probe<'_> {
    fn tensors(&self, backbone: &ModelConfig) -> Vec<TensorShape> {
        self.head.tensors(backbone)
    }

    fn ignores(&self, _name: &str) -> bool {
        false
    }

    fn padded(&self, image: ImageSize) -> ImageSize {
        padded(image)
    }

    fn outputs(&self, _backbone: &ModelConfig, _maps: [[usize; 2]; STAGES]) -> Vec<PartOutput> {
        self.outputs.clone()
    }

    fn append(&self, graph: &mut GraphBuilder, stages: &StageMaps) {
        boxes::constants(graph, SIZE);
        (self.build)(graph, stages);
    }

    fn description(&self) -> String {
        String::new()
    }

    fn properties(&self) -> Vec<(String, Value)> {
        Vec::new()
    }
}

fn real(name: &str) -> PartOutput {
    PartOutput::of_found(name, "n", &[])
}

/// The outputs of some nodes for the image, flat.
fn run(
    detector: &Detector,
    outputs: &[PartOutput],
    build: &dyn Fn(&mut GraphBuilder, &StageMaps),
) -> Vec<Vec<f64>> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let probe = Probe { head: *detector.network.head(), outputs: outputs.to_vec(), build };
    let mut weights = detector.weights.clone();
    weights.metadata.preprocessing.geometry = Geometry::Warp { size: SIZE };
    let options = OnnxOptions { batch: OnnxBatch::Fixed(1), ..OnnxOptions::of(&weights.metadata) };
    write_part(&path, &weights, &probe, &options).unwrap();
    let model = Model::load_file(&path).unwrap();
    let images = RtenValue::from_shape(&[1, 3, SIZE.height, SIZE.width], image()).unwrap();
    let found = model.run(vec![(model.input_ids()[0], images.into())], model.output_ids(), None).unwrap();
    let flat = |value: RtenValue| -> Vec<f64> {
        match value {
            RtenValue::Int32Tensor(values) => values.to_vec().into_iter().map(f64::from).collect(),
            other => other.into_tensor::<f32>().unwrap().to_vec().into_iter().map(f64::from).collect(),
        }
    };
    found.into_iter().map(flat).collect()
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
}

#[test]
fn candidates_are_those_of_inference() {
    const BEST: usize = 20;
    let detector = detector(false);
    let outputs = ["rpn_head.boxes", "rpn_head.logits", "proposals.scores"].map(real);
    let found = run(&detector, &outputs, &|graph, stages| {
        let levels = pyramid::append(graph, stages);
        let candidates = proposals::candidates(graph, &levels, BEST);
        proposals::scores(graph, &candidates);
    });
    let pyramid = pyramid(&detector.network);
    let levels = map_levels(&pyramid, DetectorRules::MmDetection);
    let counts: Vec<usize> = levels.iter().map(|level| level.anchors().min(BEST)).collect();
    let all: usize = counts.iter().sum();
    assert!(counts[4] < BEST && found[1].len() == all && found[2].len() == PYRAMID_LEVELS * all);
    let rule = ProposalRule { best_of_level: BEST, threshold: 1.0, at_most: usize::MAX, min_side: 0.0 };
    let (mut first, mut without_area) = (0, 0);
    for (index, (maps, &level)) in pyramid.iter().zip(&levels).enumerate() {
        let outputs = detector.network.rpn_head.forward(maps);
        let [objectness, deltas] = [outputs.objectness, outputs.deltas].map(tensor_values);
        let outputs = LevelOutputs { level, objectness: &objectness, deltas: &deltas };
        let mut expected = choose_proposals(&[outputs], SIZE, rule).into_iter();
        for at in first..first + counts[index] {
            let edges = &found[0][4 * at..][..4];
            let scores: Vec<f64> = (0..PYRAMID_LEVELS).map(|level| found[2][level * all + at]).collect();
            let has_area = edges[0] < edges[2] && edges[1] < edges[3];
            for (level, score) in scores.into_iter().enumerate() {
                assert_eq!(score > -1e29, level == index && has_area, "{level} {score}");
            }
            without_area += usize::from(!has_area);
            if has_area {
                let expected = expected.next().unwrap();
                assert_close(edges, &expected.bounds.edges(), EDGE_TOLERANCE);
                assert_close(&[1.0 / (1.0 + (-found[1][at]).exp())], &[expected.score], TOLERANCE);
            }
        }
        assert_eq!(expected.next(), None);
        first += counts[index];
    }
    assert!(without_area > 0);
}

#[test]
fn regions_are_of_the_levels_of_inference() {
    let sides = [0.0, 1.0, 55.9, 111.99, 112.0, 112.01, 223.97, 224.0, 447.9, 448.0, 5000.0];
    let regions: Vec<[f32; 4]> = sides.iter().map(|side| [5.0, 3.0, 5.0 + side, 3.0 + side]).collect();
    let output = real("probe.levels").whole_numbers();
    let found = run(&detector(false), &[output], &|graph, _| {
        graph.floats("regions", &[regions.len(), 4], regions.as_flattened());
        region_maps::region_levels(graph, "probe", "regions");
    });
    let expected: Vec<f64> = regions.iter().map(|&bounds| region_level(bounds) as f64).collect();
    assert_eq!(found, [expected]);
}

/// Boxes of some sizes, in part at the edge of the image.
fn some_regions() -> Vec<BoundingBox> {
    let corners = [[0.0, 0.0], [10.5, 20.25], [30.0, 3.0], [41.0, 60.5], [5.0, 5.0]];
    let sides = [[67.0, 75.0], [20.0, 31.0], [37.0, 5.5], [9.0, 14.5], [0.5, 0.25]];
    let boxes = corners.into_iter().zip(sides);
    boxes.map(|([x, y], [width, height])| BoundingBox::of_corner_and_size([x, y, width, height])).collect()
}

/// Maps of regions as a constant `[R, W, side, side]`, with what the network has of them.
fn maps_of_regions(network: &MaskRcnn, side: usize) -> (FeatureMaps, Vec<f32>) {
    let places: Vec<_> = some_regions().iter().map(|bounds| place(0, bounds)).collect();
    let maps = extract(&pyramid(network), &places, [side; 2], DetectorRules::MmDetection);
    (maps.clone(), tensor_values(maps.into_tensor()))
}

#[test]
fn classes_and_boxes_are_those_of_inference() {
    let detector = detector(false);
    let (maps, values) = maps_of_regions(&detector.network, BOX_MAP_SIDE);
    let regions = some_regions();
    let edges: Vec<f32> = regions.iter().flat_map(|region| region.edges().map(|edge| edge as f32)).collect();
    let head = *detector.network.head();
    let outputs = ["scores_by_class", "boxes_by_class"].map(|end| real(&format!("roi_head.bbox_head.{end}")));
    let found = run(&detector, &outputs, &|graph, _| {
        graph.floats("maps", &[regions.len(), head.head_width, BOX_MAP_SIDE, BOX_MAP_SIDE], &values);
        graph.floats("regions", &[regions.len(), 4], &edges);
        box_head::class_boxes(graph, &head, CLASSES, "maps", "regions");
    });
    let outputs = detector.network.box_head.forward(&maps);
    let [logits, deltas] = [outputs.scores, outputs.deltas].map(tensor_values);
    let outputs = RegionOutputs { regions: &regions, logits: &logits, deltas: &deltas };
    let rule = DetectionRule {
        score: 0.0,
        suppression: SuppressionRule::Hard { threshold: 1.0 },
        at_most: usize::MAX,
        min_side: 0.0,
    };
    let mut expected = detections(&outputs, CLASSES, SIZE, rule);
    assert_eq!(expected.len(), CLASSES * regions.len());
    // By class and score, as the values of the graph are after this.
    expected.sort_by_key(|found| found.class);
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by(|&one, &other| {
        (one / regions.len()).cmp(&(other / regions.len())).then(found[0][other].total_cmp(&found[0][one]))
    });
    for (at, expected) in order.into_iter().zip(expected) {
        assert_eq!(at / regions.len(), expected.class);
        assert_close(&[found[0][at]], &[expected.score], TOLERANCE);
        assert_close(&found[1][4 * at..][..4], &expected.bounds.edges(), EDGE_TOLERANCE);
    }
}

#[test]
fn masks_are_those_of_the_class() {
    let detector = detector(true);
    let (maps, values) = maps_of_regions(&detector.network, MASK_MAP_SIDE);
    let labels = [2, 0, 1, 1, 2];
    let found = run(&detector, &[real(MASKS)], &|graph, _| {
        let width = detector.network.head().head_width;
        graph.floats("maps", &[labels.len(), width, MASK_MAP_SIDE, MASK_MAP_SIDE], &values);
        graph.integers("classes", &labels);
        mask_head::append(graph, "maps", "classes");
    });
    let rows = detector.network.mask_head.as_ref().unwrap().forward(&maps).rows;
    let probabilities = tensor_values(sigmoid(rows));
    let pixels = MASK_SIDE * MASK_SIDE;
    let of_class =
        |(place, &[a, b, c]): (usize, &[f32; CLASSES])| f64::from([a, b, c][labels[place / pixels] as usize]);
    let expected: Vec<f64> = probabilities.as_chunks().0.iter().enumerate().map(of_class).collect();
    assert!(
        expected.iter().copied().fold(0.0, f64::max) - expected.iter().copied().fold(1.0, f64::min) > 0.1
    );
    assert_close(&found[0], &expected, TOLERANCE);
}
