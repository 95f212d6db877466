//! Images that become rectangles, are fitted or only padded agree with timm, Pillow and mmdet's rule: `tests/goldens` has
//! their results and the script that made them.

// Helpers of tests may fail like tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::PathBuf;

use convnext_core::{ImageSize, Preprocessing, Seed};
use convnext_data::{
    Cache, Dataset, Image, ImageSource, Loader, LoaderConfig, OnCorrupt, Orientation, PreparedImage,
    Transform, decode, normalize, open_images, prepare_for_evaluation, resize_for_evaluation,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize)]
struct Case {
    /// The resized image, before any padding.
    file: String,
    source: String,
    /// The keys of [`Preprocessing`] that say what to do.
    geometry: Map<String, Value>,
    padded: ImageSize,
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

fn cases() -> Vec<Case> {
    serde_json::from_slice(&std::fs::read(path("sizes.json")).unwrap()).unwrap()
}

fn image(name: &str) -> Image {
    decode(&std::fs::read(path(name)).unwrap(), name, 3, Orientation::Honour).unwrap()
}

fn preprocessing(geometry: &Map<String, Value>) -> Preprocessing {
    let mut stored = json!({ "mean": [0.25, 0.5, 0.75], "std": [0.5, 0.25, 0.125] });
    stored.as_object_mut().unwrap().extend(geometry.clone());
    serde_json::from_value(stored).unwrap()
}

#[test]
fn sizes_and_pixels_are_those_of_timm_pillow_and_mmdet() {
    let all = cases();
    assert_eq!(all.len(), 33);
    for Case { file, source, geometry, padded } in all {
        let preprocessing = preprocessing(&geometry);
        let (source, expected) = (image(&source), image(&file));
        let resized = resize_for_evaluation(&source, &preprocessing);
        assert_eq!(resized.size(), expected.size(), "{file}: {geometry:?}");
        let most = resized.bytes().iter().zip(expected.bytes()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(most <= Some(1), "{file}: {most:?} levels");

        // What stays of the values when the padding is cut off is what was not padded.
        let PreparedImage { values, size } = prepare_for_evaluation(&source, &preprocessing);
        assert_eq!((size, values.len()), (padded, 3 * padded.pixels()), "{file}");
        let (inside, padding): (Vec<_>, Vec<_>) = values.into_iter().enumerate().partition(|(index, _)| {
            index % padded.width < resized.width() && index / padded.width % padded.height < resized.height()
        });
        let inside: Vec<f32> = inside.into_iter().map(|(_, value)| value).collect();
        assert_eq!(inside, normalize(&resized, &preprocessing.mean, &preprocessing.std), "{file}");
        assert!(padding.iter().all(|(_, value)| value.to_bits() == 0), "{file}");
    }
}

fn loader(preprocessing: Preprocessing, batch_size: usize) -> Result<Loader, String> {
    let paths = ["photo.png", "portrait.png", "tall.png"].map(path);
    let dataset: Dataset = open_images(&paths).unwrap();
    let transform = Transform::Evaluation(preprocessing);
    let source = ImageSource::new(dataset, transform, Orientation::Honour).map_err(|e| e.to_string())?;
    let config = LoaderConfig {
        batch_size,
        threads: 2,
        queue: 2,
        shuffle: false,
        drop_last: false,
        on_corrupt: OnCorrupt::Fail,
        cache: Cache::Off,
        seed: Seed(0),
    };
    Loader::new(source, config).map_err(|error| error.to_string())
}

#[test]
fn images_of_sizes_of_their_own_come_one_by_one() {
    let fitted = preprocessing(json!({ "fit": { "long": 60, "short": 47, "pad": 8 } }).as_object().unwrap());
    let message = loader(fitted.clone(), 2).unwrap_err();
    assert!(message.contains("batch size is 2, but must be at most 1"), "{message}");
    let loader = loader(fitted, 1).unwrap();
    let sizes: Vec<[usize; 2]> =
        loader.epoch(0).map(|batch| batch.unwrap()).map(|batch| [batch.height, batch.width]).collect();
    assert_eq!(sizes, [[40, 64], [64, 40], [64, 24]]);
}

#[test]
fn rectangles_are_stacked() {
    let loader = loader(Preprocessing::for_size([40, 64], 3), 3).unwrap();
    let batch = loader.epoch(0).next().unwrap().unwrap();
    assert_eq!(([batch.height, batch.width], batch.images.len()), ([40, 64], 3 * 3 * 40 * 64));
}
